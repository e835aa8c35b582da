#include "backend/cuda/norm.h"

#include "backend/cuda/launch.h"

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
    uint32_t parts = 0, columns = 2 * norm->hidden;
    if (norm->rows > 0) {
        size_t each = norm->in_registers ? FT_NORM_WARPS : 1;
        parts = ft_cuda_blocks(norm->rows, each, FT_NORM_BACKWARD_BLOCKS * cuda->multiprocessors);
        FT_FORWARD(ft_cuda_scratch(cuda, (size_t)parts * columns * sizeof(float),
                                   (void **)&norm->partial));
        FT_FORWARD(
            ft_cuda_launch_line(cuda, kernel, precision, parts, FT_NORM_THREADS, norm, size));
    }
    const ft_norm_finish_arguments finish = {
        .partial = norm->partial,
        .dgamma = dgamma,
        .dbeta = dbeta,
        .parts = (int)parts,
        .hidden = norm->hidden,
        .accumulate = accumulate,
    };
    const ft_launch launch = {
        .kernel = FT_KERNEL_norm_finish,
        .precision = precision, /* which does not matter, but that source is compiled */
        .grid = {ft_cuda_blocks(columns, FT_NORM_FINISH_COLUMNS, UINT32_MAX), 1, 1},
        .block = {FT_NORM_FINISH_COLUMNS, FT_NORM_FINISH_SHARES, 1},
        .arguments = &finish,
        .size = sizeof finish,
    };
    return ft_cuda_launch(cuda, &launch);
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
