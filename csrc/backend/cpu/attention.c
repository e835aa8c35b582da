#include "backend/cpu/cpu.h"

#include <omp.h>
#include <string.h>

static void zero_strided(void *x, size_t begin, size_t end, size_t width, size_t stride)
{
    for (size_t r = begin; r < end; r++)
        memset((float *)x + r * stride, 0, width * sizeof(float));
}

/* Which thread does which head does not change what it computes, so they may take them as they
 * come: lengths differ. */
ft_status ft_cpu_attention_forward(ft_backend *backend, const ft_attention *a)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    const ft_layout *l = a->layout;
    FT_FORWARD(
        ft_cpu_begin(cpu, cpu->kernels->attention_scratch(a->head_dim, l->max_length, false)));
    size_t width = (size_t)a->heads * (size_t)a->head_dim;
    if (!a->first_only)
        zero_strided(a->out, (size_t)l->tokens, (size_t)l->rows, width, width);
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
    FT_FORWARD(
        ft_cpu_begin(cpu, cpu->kernels->attention_scratch(a->head_dim, l->max_length, true)));
    size_t width = (size_t)a->heads * (size_t)a->head_dim;
    size_t tokens = (size_t)l->tokens, rows = (size_t)l->rows;
    if (!a->first_only)
        zero_strided(g->dq, tokens, rows, width, (size_t)a->q_stride);
    zero_strided(g->dk, tokens, rows, width, (size_t)a->kv_stride);
    zero_strided(g->dv, tokens, rows, width, (size_t)a->kv_stride);
#pragma omp parallel for collapse(2) schedule(dynamic)                                             \
    num_threads(ft_cpu_threads_for(cpu, (size_t)l->tokens *width))
    for (int32_t s = 0; s < l->sequences; s++)
        for (int32_t head = 0; head < a->heads; head++)
            cpu->kernels->attention_backward(a, g, s, head,
                                             ft_cpu_scratch(cpu, omp_get_thread_num()));
    return FT_OK;
}
