/* A tape without a backend around it, for test_tape.py: which calls tape.h's functions itself,
 * through this. The GPU's context is current from tape_open to tape_close. */
#include <stdlib.h>

#include "backend/cuda/driver/devices.h"
#include "backend/cuda/driver/modules.h"
#include "backend/cuda/kernels/upload.h"
#include "backend/cuda/tape.h"

static bool realloc_fails;

void *__real_realloc(void *, size_t);
void *__wrap_realloc(void *, size_t);

/* The linker puts it in realloc's place. */
void *__wrap_realloc(void *memory, size_t bytes)
{
    bool fails = realloc_fails;
    realloc_fails = false;
    return fails ? NULL : __real_realloc(memory, bytes);
}

void tape_fail_next_realloc(void)
{
    realloc_fails = true;
}

static ft_status open_parts(ft_cuda *cuda)
{
    ft_cuda_device device;
    FT_FORWARD(ft_cuda_driver_load(&cuda->driver));
    FT_FORWARD(ft_cuda_device_find(cuda->driver, 0, &device));
    cuda->device = device.device;
    cuda->capability = device.capability;
    FT_CUDA_FORWARD(cuda->driver, primary_retain(&cuda->context, cuda->device), "retaining");
    FT_CUDA_FORWARD(cuda->driver, context_push(cuda->context), "pushing");
    FT_CUDA_FORWARD(cuda->driver, stream_create(&cuda->stream, 0), "creating a stream");
    FT_FORWARD(ft_cuda_modules_create(cuda->driver, cuda->capability, &cuda->modules));
    return ft_cuda_tape_create(cuda, &cuda->tape);
}

ft_cuda *tape_open(void)
{
    ft_cuda *cuda = calloc(1, sizeof *cuda);
    return cuda != NULL && open_parts(cuda) == FT_OK ? cuda : NULL;
}

void tape_close(ft_cuda *cuda)
{
    void *popped;
    ft_cuda_synchronize(cuda);
    ft_cuda_tape_destroy(cuda, cuda->tape);
    ft_cuda_modules_destroy(cuda->modules);
    cuda->driver->stream_destroy(cuda->stream);
    cuda->driver->context_pop(&popped);
    cuda->driver->primary_release(cuda->device);
    free(cuda);
}

void *tape_allocate(ft_cuda *cuda, size_t bytes)
{
    void *memory;
    return ft_cuda_memory_allocate(cuda->driver, bytes, &memory) == FT_OK ? memory : NULL;
}

void tape_free(ft_cuda *cuda, void *memory)
{
    cuda->driver->memory_free((ft_cu_pointer)memory);
}

/* For calls that are recorded: enqueues it. */
ft_status tape_fill(ft_cuda *cuda, void *memory, unsigned char value, size_t bytes)
{
    FT_CUDA_FORWARD(cuda->driver,
                    set_bytes_async((ft_cu_pointer)memory, value, bytes, cuda->stream), "filling");
    return FT_OK;
}

/* Copies a variable to where it can be seen, when the tape is played. */
ft_status tape_copy_variable(ft_cuda *cuda, const void *value, const int32_t *bytes, void *to)
{
    const ft_upload_arguments arguments = {{{to, value, bytes}}};
    return ft_cuda_launch(cuda, &(ft_launch){
                                    .kernel = FT_KERNEL_upload,
                                    .grid = {1, 1, 1},
                                    .block = {256, 1, 1},
                                    .arguments = &arguments,
                                    .size = sizeof arguments,
                                });
}
