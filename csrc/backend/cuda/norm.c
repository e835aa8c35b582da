#include "backend/cuda/norm.h"

#include "backend/cuda/launch.h"
#include "backend/cuda/sums.h"

ft_status ft_cuda_norm_forward(ft_cuda *cuda, ft_kernel kernel, ft_precision precision,
                               const ft_norm_forward_arguments *norm, size_t size)
{
    if (norm->rows == 0)
        return FT_OK;
    size_t each = norm->in_registers ? FT_NORM_WARPS : 1;
    return ft_cuda_launch_line(cuda, kernel, precision, ft_cuda_blocks(norm->rows, each, INT32_MAX),
                               FT_NORM_THREADS, norm, size);
}

ft_status ft_cuda_norm_backward(ft_cuda *cuda, ft_kernel kernel, ft_precision precision,
                                ft_norm_backward_arguments *norm, size_t size, float *dgamma,
                                float *dbeta, bool accumulate)
{
    const ft_cuda_sum sums[] = {{dgamma, norm->hidden}, {dbeta, norm->hidden}};
    size_t each = norm->in_registers ? FT_NORM_WARPS : 1;
    uint32_t parts = 0;
    if (norm->rows > 0)
        parts = ft_cuda_blocks(norm->rows, each, FT_NORM_BACKWARD_BLOCKS * cuda->multiprocessors);
    FT_FORWARD(ft_cuda_sum_later(cuda, parts, sums, 2, accumulate, &norm->partial));
    if (parts == 0)
        return FT_OK;
    return ft_cuda_launch_line(cuda, kernel, precision, parts, FT_NORM_THREADS, norm, size);
}

ft_status ft_cuda_residual_norm_forward(ft_backend *backend, const ft_residual_norm *n)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    bool aligned = FT_CUDA_ALIGNED(n->x, n->residual, n->gamma, n->beta, n->sum, n->y, n->stream);
    ft_residual_norm_forward_arguments arguments = {
        .norm =
            {
                .gamma = n->gamma,
                .beta = n->beta,
                .mean = n->mean,
                .rstd = n->rstd,
                .rows = n->rows,
                .hidden = n->hidden,
                .in_registers = ft_cuda_norm_in_registers(n->hidden, aligned),
                .eps = n->eps,
            },
        .x = n->x,
        .residual = n->residual,
        .sum = n->sum,
        .y = n->y,
        .stream = n->stream,
    };
    FT_FORWARD(ft_cuda_dropout_variable(cuda, &n->dropout, &arguments.norm.dropout));
    FT_FORWARD(ft_cuda_int_variable(cuda, n->tokens, &arguments.norm.tokens));
    return ft_cuda_norm_forward(cuda, FT_KERNEL_residual_norm_forward, n->precision,
                                &arguments.norm, sizeof arguments);
}

ft_status ft_cuda_residual_norm_backward(ft_backend *backend, const ft_residual_norm *n,
                                         const ft_residual_norm_gradient *g)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    bool aligned = FT_CUDA_ALIGNED(n->sum, n->gamma, g->dy, g->dresidual, g->dx);
    ft_residual_norm_backward_arguments arguments = {
        .norm =
            {
                .gamma = n->gamma,
                .mean = n->mean,
                .rstd = n->rstd,
                .rows = n->rows,
                .hidden = n->hidden,
                .in_registers = ft_cuda_norm_in_registers(n->hidden, aligned),
            },
        .sum = n->sum,
        .dy = g->dy,
        .dresidual = g->dresidual,
        .dx = g->dx,
    };
    FT_FORWARD(ft_cuda_dropout_variable(cuda, &n->dropout, &arguments.norm.dropout));
    FT_FORWARD(ft_cuda_int_variable(cuda, n->tokens, &arguments.norm.tokens));
    return ft_cuda_norm_backward(cuda, FT_KERNEL_residual_norm_backward, n->precision,
                                 &arguments.norm, sizeof arguments, g->dgamma, g->dbeta,
                                 g->accumulate);
}
