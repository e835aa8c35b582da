#include "backend/cuda/kernels/optimizer.h"

#include <math.h>

#include "backend/cuda/launch.h"
#include "backend/cuda/table.h"

ft_status ft_cuda_sum_of_squares(ft_backend *backend, const float *x, size_t count, ft_rows rows,
                                 double *out)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    ft_sum_of_squares_arguments squares = {
        .x = x, .out = out, .table = ft_cuda_table_of(rows, count, FT_CUDA_ALIGNED(x))};
    uint32_t parts = ft_cuda_table_blocks(cuda, &squares.table);
    if (parts > 1)
        FT_FORWARD(ft_cuda_scratch(cuda, parts * sizeof(double), (void **)&squares.out));
    FT_FORWARD(ft_cuda_launch_line(cuda, FT_KERNEL_sum_of_squares, FT_FLOAT32, parts,
                                   FT_TABLE_THREADS, &squares, sizeof squares));
    if (parts == 1)
        return FT_OK;
    const ft_add_up_arguments all = {.parts = squares.out, .out = out, .count = (int)parts};
    return ft_cuda_launch_line(cuda, FT_KERNEL_add_up, FT_FLOAT32, 1, FT_TABLE_THREADS, &all,
                               sizeof all);
}

ft_status ft_cuda_clip(ft_backend *backend, const double *squares, int32_t count, float loss_scale,
                       float max_norm, float *norm_and_scale)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    const ft_clip_limits limits = {.loss_scale = loss_scale, .max_norm = max_norm};
    ft_clip_arguments arguments = {
        .squares = squares, .norm_and_scale = norm_and_scale, .count = count};
    FT_FORWARD(ft_cuda_variable(cuda, &limits, sizeof limits, (const void **)&arguments.limits));
    return ft_cuda_launch_line(cuda, FT_KERNEL_clip, FT_FLOAT32, 1, 32, &arguments,
                               sizeof arguments);
}

ft_status ft_cuda_adamw(ft_backend *backend, const ft_adamw *a, const ft_adamw_operands *o)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    if (o->count == 0)
        return FT_OK;
    const ft_adamw_factors factors = {
        .decay = (float)(1.0 - a->lr * a->weight_decay),
        /* Subtracted in float64: 1 - 0.999f is off by 5e-5 of itself. */
        .rest1 = (float)(1.0 - a->beta1),
        .rest2 = (float)(1.0 - a->beta2),
        .beta2 = (float)a->beta2,
        .step_size = (float)(a->lr / (1.0 - pow(a->beta1, (double)a->step))),
        .correction2 = (float)sqrt(1.0 - pow(a->beta2, (double)a->step)),
        .eps = (float)a->eps,
    };
    bool aligned = FT_CUDA_ALIGNED(o->parameter, o->gradient, o->moment1, o->moment2, o->shadow);
    ft_adamw_arguments arguments = {
        .scale = o->scale,
        .parameter = o->parameter,
        .gradient = o->gradient,
        .moment1 = o->moment1,
        .moment2 = o->moment2,
        .shadow = o->shadow,
        .table = ft_cuda_table_of(o->rows, o->count, aligned),
    };
    FT_FORWARD(ft_cuda_variable(cuda, &factors, sizeof factors, (const void **)&arguments.factors));
    return ft_cuda_launch_line(cuda, FT_KERNEL_adamw, o->shadow ? o->shadow_precision : FT_FLOAT32,
                               ft_cuda_table_blocks(cuda, &arguments.table), FT_TABLE_THREADS,
                               &arguments, sizeof arguments);
}
