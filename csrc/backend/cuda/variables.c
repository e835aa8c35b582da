#include "backend/cuda/variables.h"

#include <string.h>

#include "backend/cuda/driver/driver.h"
#include "backend/cuda/tape.h"
#include "backend/dropout.h"

enum { FIRST_BLOCK = 256 << 10, VARIABLE_ALIGNMENT = 16 };

ft_status ft_cuda_variables_create(ft_cuda *cuda, ft_cuda_variables *v)
{
    for (int i = 0; i < FT_CUDA_SLOTS; i++)
        FT_CUDA_FORWARD(cuda->driver, event_create(&v->events[i], FT_CU_EVENT_DISABLE_TIMING),
                        "creating an event");
    return FT_OK;
}

static void free_block(const ft_cuda_driver *driver, ft_cuda_variables *v, int i)
{
    if (v->blocks[i].device != NULL)
        driver->memory_free((ft_cu_pointer)v->blocks[i].device);
    for (int slot = 0; slot < FT_CUDA_SLOTS; slot++)
        if (v->blocks[i].host[slot] != NULL)
            driver->host_free(v->blocks[i].host[slot]);
    memset(&v->blocks[i], 0, sizeof v->blocks[i]);
}

void ft_cuda_variables_destroy(ft_cuda *cuda, ft_cuda_variables *v)
{
    for (int i = 0; i < v->count; i++)
        free_block(cuda->driver, v, i);
    for (int i = 0; i < FT_CUDA_SLOTS; i++)
        if (v->events[i] != NULL)
            cuda->driver->event_destroy(v->events[i]);
}

static ft_status fill_block(ft_cuda *cuda, ft_cuda_variables *v, int i, size_t capacity)
{
    FT_FORWARD(ft_cuda_memory_allocate(cuda->driver, capacity, &v->blocks[i].device));
    for (int slot = 0; slot < FT_CUDA_SLOTS; slot++)
        FT_CUDA_FORWARD(cuda->driver, host_allocate(&v->blocks[i].host[slot], capacity, 0),
                        "allocating %zu bytes of pinned memory", capacity);
    v->blocks[i].capacity = capacity;
    return FT_OK;
}

static ft_status add_block(ft_cuda *cuda, ft_cuda_variables *v, size_t room)
{
    FT_RETURN_IF(v->count == FT_CUDA_BLOCKS, FT_ERROR_RUNTIME,
                 "what is asked of the GPU at once has too many arguments");
    size_t capacity = v->count ? 2 * v->blocks[v->count - 1].capacity : FIRST_BLOCK;
    while (capacity < room)
        capacity *= 2;
    ft_status status = fill_block(cuda, v, v->count, capacity);
    if (status != FT_OK)
        free_block(cuda->driver, v, v->count);
    else
        v->count++;
    return status;
}

/* Waits for the GPU where it is a whole round of slots behind. */
static ft_status open_slot(ft_cuda *cuda, ft_cuda_variables *v)
{
    int next = (v->slot + 1) % FT_CUDA_SLOTS;
    if (v->pending[next])
        FT_CUDA_FORWARD(cuda->driver, event_synchronize(v->events[next]),
                        "waiting for an earlier step");
    v->pending[next] = false;
    v->slot = next;
    v->open = true;
    return FT_OK;
}

ft_status ft_cuda_variables_add(ft_cuda *cuda, ft_cuda_variables *v, const void *value, size_t size,
                                size_t room, const void **device)
{
    room = (room + VARIABLE_ALIGNMENT - 1) / VARIABLE_ALIGNMENT * VARIABLE_ALIGNMENT;
    if (!v->open)
        FT_FORWARD(open_slot(cuda, v));
    while (v->filling < v->count &&
           v->blocks[v->filling].capacity - v->blocks[v->filling].used < room)
        v->filling++;
    if (v->filling == v->count)
        FT_FORWARD(add_block(cuda, v, room));
    size_t at = v->blocks[v->filling].used;
    memcpy((char *)v->blocks[v->filling].host[v->slot] + at, value, size);
    v->blocks[v->filling].used = at + room;
    *device = (char *)v->blocks[v->filling].device + at;
    return FT_OK;
}

static ft_status send(ft_cuda *cuda, ft_cuda_variables *v)
{
    for (int i = 0; i < v->count; i++)
        if (v->blocks[i].used > 0)
            FT_CUDA_FORWARD(cuda->driver,
                            copy_to_device_async((ft_cu_pointer)v->blocks[i].device,
                                                 v->blocks[i].host[v->slot], v->blocks[i].used,
                                                 cuda->stream),
                            "copying a step's arguments to the GPU");
    FT_CUDA_FORWARD(cuda->driver, event_record(v->events[v->slot], cuda->stream),
                    "recording an event");
    v->pending[v->slot] = true;
    return FT_OK;
}

ft_status ft_cuda_variables_send(ft_cuda *cuda, ft_cuda_variables *v)
{
    if (!v->open)
        return FT_OK;
    ft_status status = send(cuda, v);
    if (status != FT_OK) /* some may have been enqueued, and nothing will say when they are done */
        cuda->driver->stream_synchronize(cuda->stream);
    for (int i = 0; i < v->count; i++)
        v->blocks[i].used = 0;
    v->filling = 0;
    v->open = false;
    return status;
}

ft_status ft_cuda_dropout_variable(ft_cuda *cuda, const ft_dropout *d, const ft_cuda_dropout **out)
{
    ft_cuda_dropout value = {
        .seed = d->seed,
        .step = d->step,
        .site_and_micro_step = (uint32_t)d->site << 16 | d->micro_step,
        .threshold = ft_dropout_threshold(d->p),
        .scale = ft_dropout_scale(d->p),
    };
    return ft_cuda_variable(cuda, &value, sizeof value, (const void **)out);
}

ft_status ft_cuda_layout_variable(ft_cuda *cuda, const ft_layout *l, const ft_cuda_layout **out)
{
    ft_cuda_layout value = {l->sequences, l->tokens, l->rows, l->max_length};
    return ft_cuda_variable(cuda, &value, sizeof value, (const void **)out);
}

ft_status ft_cuda_int_variable(ft_cuda *cuda, int32_t value, const int32_t **out)
{
    return ft_cuda_variable(cuda, &value, sizeof value, (const void **)out);
}

ft_status ft_cuda_float_variable(ft_cuda *cuda, float value, const float **out)
{
    return ft_cuda_variable(cuda, &value, sizeof value, (const void **)out);
}
