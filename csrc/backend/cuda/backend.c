#include "backend/cuda/cuda.h"

#include <stdlib.h>

#include "backend/bucket.h"
#include "backend/cuda/cublaslt/cublaslt.h"
#include "backend/cuda/cudnn/cudnn.h"
#include "backend/cuda/driver/devices.h"
#include "backend/cuda/driver/driver.h"
#include "backend/cuda/driver/libraries.h"
#include "backend/cuda/driver/modules.h"
#include "backend/cuda/streams.h"
#include "backend/cuda/tape.h"

ft_status ft_cuda_enter(const ft_cuda *cuda)
{
    FT_FORWARD(ft_cuda_driver_usable());
    return ft_cuda_check(cuda->driver, cuda->driver->context_push(cuda->context),
                         "making the GPU's context current");
}

void ft_cuda_leave(const ft_cuda *cuda)
{
    void *popped;
    cuda->driver->context_pop(&popped);
}

/* ---- life ---- */

static void cuda_destroy(ft_backend *backend)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    if (cuda->context != NULL && ft_cuda_enter(cuda) == FT_OK) {
        if (cuda->tape != NULL) {
            ft_cuda_synchronize(cuda);
            ft_cuda_tape_forget(cuda, cuda->tape);
        }
        if (cuda->cudnn != NULL)
            ft_cudnn_destroy(cuda->cudnn);
        if (cuda->cublaslt != NULL)
            ft_cublaslt_destroy(cuda->cublaslt);
        ft_cuda_tape_destroy(cuda, cuda->tape);
        ft_cuda_modules_destroy(cuda->modules);
        if (cuda->ordering != NULL)
            cuda->driver->event_destroy(cuda->ordering);
        if (cuda->stream != NULL)
            cuda->driver->stream_destroy(cuda->stream);
        ft_cuda_leave(cuda);
    }
    if (cuda->context != NULL && ft_cuda_driver_usable() == FT_OK)
        cuda->driver->primary_release(cuda->device);
    free(cuda);
}

/* Within the context. */
static ft_status furnish(ft_cuda *cuda)
{
    FT_CUDA_FORWARD(cuda->driver,
                    device_attribute(&cuda->multiprocessors, FT_CU_MULTIPROCESSORS, cuda->device),
                    "asking how many multiprocessors a GPU has");
    FT_CUDA_FORWARD(cuda->driver, stream_create(&cuda->stream, FT_CU_STREAM_DEFAULT),
                    "creating a stream");
    FT_CUDA_FORWARD(cuda->driver, event_create(&cuda->ordering, FT_CU_EVENT_DISABLE_TIMING),
                    "creating an event");
    FT_FORWARD(ft_cuda_modules_create(cuda->driver, cuda->capability, &cuda->modules));
    FT_FORWARD(ft_cuda_tape_create(cuda, &cuda->tape));
    FT_FORWARD(ft_cublaslt_create(&cuda->cublaslt));
    return ft_cudnn_create(cuda, &cuda->cudnn);
}

static ft_status start(ft_cuda *cuda, int index)
{
    ft_cuda_library library;
    ft_cuda_device device;
    FT_FORWARD(ft_cuda_driver_load(&cuda->driver));
    FT_FORWARD(ft_cuda_device_find(cuda->driver, index, &device));
    FT_FORWARD(ft_cuda_library_need(FT_CUDA_LIBRARY_CUDNN, &library));
    FT_FORWARD(ft_cuda_library_need(FT_CUDA_LIBRARY_NVRTC, &library));
    cuda->device = device.device;
    cuda->capability = device.capability;
    FT_CUDA_FORWARD(cuda->driver, primary_retain(&cuda->context, cuda->device), "starting %s",
                    device.name);
    FT_FORWARD(ft_cuda_enter(cuda));
    ft_status status = furnish(cuda);
    ft_cuda_leave(cuda);
    return status;
}

static ft_status check_precision(ft_backend *backend, ft_precision precision)
{
    FT_RETURN_IF(precision == FT_BFLOAT16 && ft_cuda_of(backend)->capability < 80, FT_ERROR_VALUE,
                 "bfloat16 needs a GPU of compute capability 8.0 or newer, this one has %d.%d: use "
                 "float16 (fp16=True)",
                 ft_cuda_of(backend)->capability / 10, ft_cuda_of(backend)->capability % 10);
    return FT_OK;
}

static ft_status check_tf32(ft_backend *backend)
{
    FT_RETURN_IF(ft_cuda_of(backend)->capability < 80, FT_ERROR_VALUE,
                 "TensorFloat-32 needs a GPU of compute capability 8.0 or newer, this one has "
                 "%d.%d: train without tf32, or in float16 (fp16=True)",
                 ft_cuda_of(backend)->capability / 10, ft_cuda_of(backend)->capability % 10);
    return FT_OK;
}

static int cuda_threads(const ft_backend *backend)
{
    (void)backend;
    return 1;
}

static ft_status cuda_set_threads(ft_backend *backend, int threads)
{
    (void)backend;
    return ft_backend_check_threads(threads);
}

/* Whole tiles of a product. */
static int32_t cuda_bucket(const ft_backend *backend, int32_t tokens)
{
    (void)backend;
    return ft_bucket_of(tokens, 64);
}

/* ---- memory ---- */

static ft_status allocate(ft_cuda *cuda, size_t bytes, void **out)
{
    FT_FORWARD(ft_cuda_memory_allocate(cuda->driver, bytes, out));
    ft_status status = FT_OK;
    if (bytes > 0)
        status = ft_cuda_check(
            cuda->driver,
            cuda->driver->set_bytes_async((ft_cu_pointer)*out, 0, bytes, cuda->stream),
            "zeroing new memory");
    if (status != FT_OK) {
        cuda->driver->memory_free((ft_cu_pointer)*out);
        *out = NULL;
    }
    return status;
}

/* What is recorded may use it. A failure of that has been told, or will be, by whoever waits. */
static void cuda_release(ft_backend *backend, void *memory)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    if (memory == NULL || ft_cuda_enter(cuda) != FT_OK)
        return;
    ft_cuda_synchronize(cuda);
    cuda->driver->memory_free((ft_cu_pointer)memory);
    ft_cuda_leave(cuda);
}

/* ---- operations, within the context ---- */

static ft_status enter_operation(ft_cuda *cuda, ft_cuda_kind kind)
{
    FT_FORWARD(ft_cuda_enter(cuda));
    ft_status status = ft_cuda_begin(cuda, kind);
    if (status != FT_OK)
        ft_cuda_leave(cuda);
    return status;
}

#define WITHIN(name, kind, parameters, call)                                                       \
    static ft_status name parameters                                                               \
    {                                                                                              \
        ft_cuda *cuda = ft_cuda_of(b);                                                             \
        FT_FORWARD(enter_operation(cuda, FT_CUDA_##kind));                                         \
        ft_status status = call;                                                                   \
        ft_cuda_leave(cuda);                                                                       \
        return status;                                                                             \
    }

WITHIN(cuda_submit, ANY, (ft_backend * b), ft_cuda_submit(cuda))
WITHIN(cuda_synchronize, ANY, (ft_backend * b), ft_cuda_synchronize(cuda))
WITHIN(cuda_allocate, ANY, (ft_backend * b, size_t bytes, void **out), allocate(cuda, bytes, out))
WITHIN(cuda_upload, ANY, (ft_backend * b, void *to, const void *from, size_t bytes),
       ft_cuda_upload(cuda, to, from, bytes))
WITHIN(cuda_download, ANY, (ft_backend * b, void *to, const void *from, size_t bytes),
       ft_cuda_download(cuda, to, from, bytes))
WITHIN(cuda_zero, ANY, (ft_backend * b, void *memory, size_t bytes),
       ft_cuda_zero(cuda, memory, bytes))
WITHIN(cuda_copy, ANY, (ft_backend * b, void *to, const void *from, size_t bytes),
       ft_cuda_copy(b, to, from, bytes))
WITHIN(cuda_follow, ANY, (ft_backend * b, void *stream), ft_cuda_follow(cuda, stream))
WITHIN(cuda_lead, ANY, (ft_backend * b, void *stream), ft_cuda_lead(cuda, stream))
WITHIN(padded_lengths, ANY, (ft_backend * b, const ft_padded_arrays *p, int32_t *lengths),
       ft_cuda_padded_lengths(b, p, lengths))
WITHIN(pack, ANY, (ft_backend * b, const ft_padded_arrays *p, const ft_packed_arrays *to),
       ft_cuda_pack(b, p, to))
WITHIN(embedding_forward, ANY, (ft_backend * b, const ft_embedding *e),
       ft_cuda_embedding_forward(b, e))
WITHIN(embedding_backward, BACKWARD,
       (ft_backend * b, const ft_embedding *e, const ft_embedding_gradient *g),
       ft_cuda_embedding_backward(b, e, g))
WITHIN(linear_forward, ANY, (ft_backend * b, const ft_linear *l), ft_cuda_linear_forward(b, l))
WITHIN(linear_backward, LINEAR_BACKWARD, (ft_backend * b, const ft_linear_gradient *g),
       ft_cuda_linear_backward(b, g))
WITHIN(attention_forward, ANY, (ft_backend * b, const ft_attention *a),
       ft_cuda_attention_forward(b, a))
WITHIN(attention_backward, BACKWARD,
       (ft_backend * b, const ft_attention *a, const ft_attention_gradient *g),
       ft_cuda_attention_backward(b, a, g))
WITHIN(residual_norm_forward, ANY, (ft_backend * b, const ft_residual_norm *n),
       ft_cuda_residual_norm_forward(b, n))
WITHIN(residual_norm_backward, BACKWARD,
       (ft_backend * b, const ft_residual_norm *n, const ft_residual_norm_gradient *g),
       ft_cuda_residual_norm_backward(b, n, g))
WITHIN(first_rows_gather, ANY,
       (ft_backend * b, const ft_layout *l, ft_precision precision, int32_t hidden, const void *x,
        void *first),
       ft_cuda_first_rows_gather(b, l, precision, hidden, x, first))
WITHIN(first_rows_scatter, BACKWARD,
       (ft_backend * b, const ft_layout *l, int32_t hidden, const float *dfirst, float *dx),
       ft_cuda_first_rows_scatter(b, l, hidden, dfirst, dx))
WITHIN(dropout, BACKWARD,
       (ft_backend * b, const ft_dropout *d, size_t count, const float *x, float *y),
       ft_cuda_dropout_forward(b, d, count, x, y))
WITHIN(loss, ANY, (ft_backend * b, const ft_loss *l), ft_cuda_loss(b, l))
WITHIN(scale_add, ANY, (ft_backend * b, size_t count, float scale, const float *y, float *x),
       ft_cuda_scale_add(b, count, scale, y, x))
WITHIN(scale_by, ANY, (ft_backend * b, size_t count, const float *scale, const float *y, float *x),
       ft_cuda_scale_by(b, count, scale, y, x))
WITHIN(sum_of_squares, ANY,
       (ft_backend * b, const float *x, size_t count, ft_rows rows, double *out),
       ft_cuda_sum_of_squares(b, x, count, rows, out))
WITHIN(clip, ANY,
       (ft_backend * b, const double *squares, int32_t count, float loss_scale, float max_norm,
        float *norm_and_scale),
       ft_cuda_clip(b, squares, count, loss_scale, max_norm, norm_and_scale))
WITHIN(adamw, ANY, (ft_backend * b, const ft_adamw *how, const ft_adamw_operands *o),
       ft_cuda_adamw(b, how, o))
WITHIN(cast, ANY, (ft_backend * b, ft_precision precision, size_t count, const float *x, void *y),
       ft_cuda_cast(b, precision, count, x, y))
WITHIN(zero_rows, ANY, (ft_backend * b, float *x, size_t count, ft_rows rows),
       ft_cuda_zero_rows(b, x, count, rows))
WITHIN(add_flags, ANY, (ft_backend * b, size_t count, const uint8_t *from, uint8_t *to),
       ft_cuda_add_flags(b, count, from, to))

static const ft_backend_operations cuda_operations = {
    .name = "cuda",
    .host_memory = false,
    .destroy = cuda_destroy,
    .check_precision = check_precision,
    .check_tf32 = check_tf32,
    .threads = cuda_threads,
    .set_threads = cuda_set_threads,
    .submit = cuda_submit,
    .synchronize = cuda_synchronize,
    .bucket = cuda_bucket,
    .attention_state = ft_cuda_attention_state,
    .allocate = cuda_allocate,
    .release = cuda_release,
    .upload = cuda_upload,
    .download = cuda_download,
    .zero = cuda_zero,
    .copy = cuda_copy,
    .follow = cuda_follow,
    .lead = cuda_lead,
    .padded_lengths = padded_lengths,
    .pack = pack,
    .embedding_forward = embedding_forward,
    .embedding_backward = embedding_backward,
    .linear_forward = linear_forward,
    .linear_backward = linear_backward,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .residual_norm_forward = residual_norm_forward,
    .residual_norm_backward = residual_norm_backward,
    .first_rows_gather = first_rows_gather,
    .first_rows_scatter = first_rows_scatter,
    .dropout = dropout,
    .loss = loss,
    .scale_add = scale_add,
    .scale_by = scale_by,
    .sum_of_squares = sum_of_squares,
    .clip = clip,
    .adamw = adamw,
    .cast = cast,
    .zero_rows = zero_rows,
    .add_flags = add_flags,
};

ft_status ft_backend_cuda_create(int device, ft_backend **out)
{
    *out = NULL;
    ft_cuda *cuda = calloc(1, sizeof *cuda);
    FT_RETURN_IF(cuda == NULL, FT_ERROR_MEMORY, "cannot allocate a backend");
    cuda->base.operations = &cuda_operations;
    cuda->base.device = device;
    ft_status status = start(cuda, device);
    if (status != FT_OK) {
        cuda_destroy(&cuda->base);
        return ft_error_within(status, "backend 'cuda:%d'", device);
    }
    *out = &cuda->base;
    return FT_OK;
}
