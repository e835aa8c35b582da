#include "backend/cuda/kernels/rows.h"

#include <string.h>

#include "backend/cuda/driver/driver.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/table.h"

static ft_status first_rows(ft_cuda *cuda, ft_kernel kernel, ft_precision precision,
                            const ft_layout *l, int32_t hidden, const void *from, void *to)
{
    const ft_first_rows_arguments arguments = {
        .cu_seqlens = l->cu_seqlens, .from = from, .to = to, .hidden = hidden};
    return ft_cuda_launch_line(cuda, kernel, precision, l->sequences, FT_ROWS_THREADS, &arguments,
                               sizeof arguments);
}

ft_status ft_cuda_first_rows_gather(ft_backend *backend, const ft_layout *l, ft_precision precision,
                                    int32_t hidden, const void *x, void *first)
{
    return first_rows(ft_cuda_of(backend), FT_KERNEL_first_rows_gather, precision, l, hidden, x,
                      first);
}

ft_status ft_cuda_first_rows_scatter(ft_backend *backend, const ft_layout *l, int32_t hidden,
                                     const float *dfirst, float *dx)
{
    return first_rows(ft_cuda_of(backend), FT_KERNEL_first_rows_scatter, FT_FLOAT32, l, hidden,
                      dfirst, dx);
}

/* Launches a pass over `count` elements, not 0; the threads of its blocks have up to four each. */
static ft_status pass(ft_cuda *cuda, ft_kernel kernel, ft_precision precision, size_t count,
                      const void *arguments, size_t size)
{
    uint32_t blocks = ft_cuda_blocks(count, 4 * FT_ROWS_THREADS, ft_cuda_pass_blocks(cuda));
    return ft_cuda_launch_line(cuda, kernel, precision, blocks, FT_ROWS_THREADS, arguments, size);
}

ft_status ft_cuda_dropout_forward(ft_backend *backend, const ft_dropout *dropout, size_t count,
                                  const float *x, float *y)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    if (count == 0)
        return FT_OK;
    ft_dropout_arguments arguments = {
        .x = x, .y = y, .count = count, .fours = FT_CUDA_ALIGNED(x, y)};
    FT_FORWARD(ft_cuda_dropout_variable(cuda, dropout, &arguments.dropout));
    return pass(cuda, FT_KERNEL_dropout, FT_FLOAT32, count, &arguments, sizeof arguments);
}

ft_status ft_cuda_scale_by(ft_backend *backend, size_t count, const float *scale, const float *y,
                           float *x)
{
    if (count == 0)
        return FT_OK;
    const ft_scale_add_arguments arguments = {
        .scale = scale, .y = y, .x = x, .count = count, .fours = FT_CUDA_ALIGNED(y, x)};
    return pass(ft_cuda_of(backend), FT_KERNEL_scale_add, FT_FLOAT32, count, &arguments,
                sizeof arguments);
}

ft_status ft_cuda_scale_add(ft_backend *backend, size_t count, float scale, const float *y,
                            float *x)
{
    const float *variable;
    FT_FORWARD(ft_cuda_float_variable(ft_cuda_of(backend), scale, &variable));
    return ft_cuda_scale_by(backend, count, variable, y, x);
}

ft_status ft_cuda_cast(ft_backend *backend, ft_precision precision, size_t count, const float *x,
                       void *y)
{
    if (count == 0)
        return FT_OK;
    const ft_cast_arguments arguments = {
        .x = x, .y = y, .count = count, .fours = FT_CUDA_ALIGNED(x, y)};
    return pass(ft_cuda_of(backend), FT_KERNEL_cast, precision, count, &arguments,
                sizeof arguments);
}

ft_status ft_cuda_zero_rows(ft_backend *backend, float *x, size_t count, ft_rows rows)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    if (count == 0)
        return FT_OK;
    const ft_zero_rows_arguments arguments = {
        .x = x, .table = ft_cuda_table_of(rows, count, FT_CUDA_ALIGNED(x))};
    return ft_cuda_launch_line(cuda, FT_KERNEL_zero_rows, FT_FLOAT32,
                               ft_cuda_table_blocks(cuda, &arguments.table), FT_TABLE_THREADS,
                               &arguments, sizeof arguments);
}

ft_status ft_cuda_add_flags(ft_backend *backend, size_t count, const uint8_t *from, uint8_t *to)
{
    if (count == 0)
        return FT_OK;
    const ft_add_flags_arguments arguments = {.from = from, .to = to, .count = count};
    return pass(ft_cuda_of(backend), FT_KERNEL_add_flags, FT_FLOAT32, count, &arguments,
                sizeof arguments);
}

typedef struct copy_arguments {
    void *to;
    const void *from;
    size_t bytes;
} copy_arguments;

static ft_status play_copy(ft_cuda *cuda, const void *arguments)
{
    copy_arguments a;
    memcpy(&a, arguments, sizeof a);
    return ft_cuda_check(cuda->driver,
                         cuda->driver->copy_on_device_async(
                             (ft_cu_pointer)a.to, (ft_cu_pointer)a.from, a.bytes, cuda->stream),
                         "copying %zu bytes on the GPU", a.bytes);
}

ft_status ft_cuda_copy(ft_backend *backend, void *to, const void *from, size_t bytes)
{
    const copy_arguments arguments = {to, from, bytes};
    if (bytes == 0)
        return FT_OK;
    return ft_cuda_record_call(ft_cuda_of(backend), play_copy, &arguments, sizeof arguments);
}
