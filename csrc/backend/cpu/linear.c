#include "backend/cpu/cpu.h"

#include <omp.h>
#include <string.h>

/* Columns go to threads in cache lines' worth. */
enum { COLUMN_BLOCK = 16 };

/* oneDNN runs on what omp_get_max_threads says, and counts on getting them all, which it would not
 * under OMP_DYNAMIC: both are ours, and then again the caller's own. */
ft_status ft_cpu_product(ft_cpu *cpu, const char *operation, ft_product p, const void *a,
                         const void *b, const float *bias, void *c)
{
    int threads = omp_get_max_threads(), dynamic = omp_get_dynamic();
    omp_set_num_threads(cpu->threads);
    omp_set_dynamic(false);
    ft_status status = ft_products_run(cpu->products, operation, p, a, b, bias, c);
    omp_set_dynamic(dynamic);
    omp_set_num_threads(threads);
    return status;
}

ft_status ft_cpu_linear_forward(ft_backend *backend, const ft_linear *l)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    if (l->rows == 0)
        return FT_OK;
    FT_FORWARD(ft_cpu_begin(cpu, 0));
    bool keeps = l->activation == FT_ACTIVATION_GELU && l->kept != NULL;
    void *sum = keeps ? l->kept : l->y, *y = l->y;
    ft_product xw = {
        .precision = l->precision,
        .c_precision = l->precision,
        .m = l->rows,
        .n = l->out,
        .k = l->in,
        .b_transposed = true,
        .has_bias = true,
    };
    FT_FORWARD(ft_cpu_product(cpu, "linear_forward", xw, l->x, l->weight, l->bias, sum));
    if (l->activation == FT_ACTIVATION_NONE)
        return FT_OK;
    size_t count = (size_t)l->rows * (size_t)l->out;
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, count))
    {
        ft_share share =
            ft_share_of(count, COLUMN_BLOCK, omp_get_thread_num(), omp_get_num_threads());
        cpu->kernels->activation_forward(l->activation, l->precision, sum, y, share.begin,
                                         share.end);
    }
    return FT_OK;
}

ft_status ft_cpu_linear_backward(ft_backend *backend, const ft_linear_gradient *g)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    FT_FORWARD(ft_cpu_begin(cpu, 0));
    size_t count = (size_t)g->rows * (size_t)g->out;
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, count))
    {
        ft_share share =
            ft_share_of((size_t)g->out, COLUMN_BLOCK, omp_get_thread_num(), omp_get_num_threads());
        cpu->kernels->activation_backward(g, (int32_t)share.begin, (int32_t)share.end);
    }
    if (g->rows == 0) {
        if (!g->accumulate)
            memset(g->dweight, 0, (size_t)g->out * (size_t)g->in * sizeof *g->dweight);
        return FT_OK;
    }
    if (g->dx != NULL) {
        ft_product dyw = {
            .precision = g->precision,
            .c_precision = g->dx_precision,
            .m = g->rows,
            .n = g->in,
            .k = g->out,
            .add = g->add_to_dx,
        };
        FT_FORWARD(ft_cpu_product(cpu, "linear_backward", dyw, g->dy, g->weight, NULL, g->dx));
    }
    ft_product dyx = {
        .precision = g->precision,
        .m = g->out,
        .n = g->in,
        .k = g->rows,
        .a_transposed = true,
        .add = g->accumulate,
    };
    return ft_cpu_product(cpu, "linear_backward", dyx, g->dy, g->x, NULL, g->dweight);
}
