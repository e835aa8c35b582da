#include "backend/cpu/cpu.h"

#include <omp.h>
#include <string.h>

#include "backend/precision.h"

/* Of x, the rows that belong to no sequence. */
static void zero_rest(const ft_attention *a, void *x, size_t stride)
{
    size_t bytes = ft_precision_bytes(a->precision);
    for (size_t r = (size_t)a->layout->tokens; r < (size_t)a->layout->rows; r++)
        memset((char *)x + r * stride * bytes, 0, (size_t)a->heads * (size_t)a->head_dim * bytes);
}

/* Which thread does which head does not change what it computes, so they may take them as they
 * come: lengths differ. */
ft_status ft_cpu_attention_forward(ft_backend *backend, const ft_attention *a)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    const ft_layout *l = a->layout;
    FT_FORWARD(ft_cpu_begin(cpu, cpu->kernels->attention_scratch(a, false)));
    size_t width = (size_t)a->heads * (size_t)a->head_dim;
    if (!a->first_only)
        zero_rest(a, a->out, width);
#pragma omp parallel for collapse(2) schedule(dynamic)                                             \
    num_threads(ft_cpu_threads_for(cpu, (size_t)l->tokens *width))
    for (int32_t s = 0; s < l->sequences; s++)
        for (int32_t head = 0; head < a->heads; head++)
            cpu->kernels->attention_forward(a, s, head, ft_cpu_scratch(cpu, omp_get_thread_num()));
    return FT_OK;
}

ft_status ft_cpu_attention_backward(ft_backend *backend, const ft_attention *a,
                                    const ft_attention_gradient *g)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    const ft_layout *l = a->layout;
    FT_FORWARD(ft_cpu_begin(cpu, cpu->kernels->attention_scratch(a, true)));
    size_t width = (size_t)a->heads * (size_t)a->head_dim;
    if (!a->first_only)
        zero_rest(a, g->dq, (size_t)a->q_stride);
    zero_rest(a, g->dk, (size_t)a->kv_stride);
    zero_rest(a, g->dv, (size_t)a->kv_stride);
#pragma omp parallel for collapse(2) schedule(dynamic)                                             \
    num_threads(ft_cpu_threads_for(cpu, (size_t)l->tokens *width))
    for (int32_t s = 0; s < l->sequences; s++)
        for (int32_t head = 0; head < a->heads; head++)
            cpu->kernels->attention_backward(a, g, s, head,
                                             ft_cpu_scratch(cpu, omp_get_thread_num()));
    return FT_OK;
}
