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

/* Floats of a thread's scratch: what the kernel needs, and room for longest_first. */
static size_t scratch_of(const ft_cpu *cpu, const ft_attention *a, bool backward)
{
    const ft_layout *l = a->layout;
    return cpu->kernels->attention_scratch(a, backward) + (size_t)l->sequences +
           (size_t)l->max_length + 1;
}

/* The sequences in order of their lengths, behind what the kernel needs of the first thread's
 * scratch: a long one that comes last would be waited for. */
static const int32_t *longest_first(const ft_cpu *cpu, const ft_attention *a, bool backward)
{
    const ft_layout *l = a->layout;
    float *room = ft_cpu_scratch(cpu, 0) + cpu->kernels->attention_scratch(a, backward);
    int32_t *order = (int32_t *)(void *)room, *longer = order + l->sequences;
    memset(longer, 0, (size_t)(l->max_length + 1) * sizeof *longer);
    for (int32_t s = 0; s < l->sequences; s++) {
        int32_t length = l->cu_seqlens[s + 1] - l->cu_seqlens[s];
        if (length > 0)
            longer[length - 1]++;
    }
    for (int32_t length = l->max_length - 1; length >= 0; length--)
        longer[length] += longer[length + 1];
    for (int32_t s = 0; s < l->sequences; s++)
        order[longer[l->cu_seqlens[s + 1] - l->cu_seqlens[s]]++] = s;
    return order;
}

/* Which thread does which head does not change what it computes, so they may take them as they
 * come. */
ft_status ft_cpu_attention_forward(ft_backend *backend, const ft_attention *a)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    const ft_layout *l = a->layout;
    FT_FORWARD(ft_cpu_begin(cpu, scratch_of(cpu, a, false)));
    const int32_t *order = longest_first(cpu, a, false);
    size_t width = (size_t)a->heads * (size_t)a->head_dim;
    if (!a->first_only)
        zero_rest(a, a->out, width);
#pragma omp parallel for collapse(2) schedule(dynamic)                                             \
    num_threads(ft_cpu_threads_for(cpu, (size_t)l->tokens *width))
    for (int32_t i = 0; i < l->sequences; i++)
        for (int32_t head = 0; head < a->heads; head++)
            cpu->kernels->attention_forward(a, order[i], head,
                                            ft_cpu_scratch(cpu, omp_get_thread_num()));
    return FT_OK;
}

ft_status ft_cpu_attention_backward(ft_backend *backend, const ft_attention *a,
                                    const ft_attention_gradient *g)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    const ft_layout *l = a->layout;
    FT_FORWARD(ft_cpu_begin(cpu, scratch_of(cpu, a, true)));
    const int32_t *order = longest_first(cpu, a, true);
    size_t width = (size_t)a->heads * (size_t)a->head_dim;
    if (!a->first_only)
        zero_rest(a, g->dq, (size_t)a->q_stride);
    zero_rest(a, g->dk, (size_t)a->kv_stride);
    zero_rest(a, g->dv, (size_t)a->kv_stride);
#pragma omp parallel for collapse(2) schedule(dynamic)                                             \
    num_threads(ft_cpu_threads_for(cpu, (size_t)l->tokens *width))
    for (int32_t i = 0; i < l->sequences; i++)
        for (int32_t head = 0; head < a->heads; head++)
            cpu->kernels->attention_backward(a, g, order[i], head,
                                             ft_cpu_scratch(cpu, omp_get_thread_num()));
    return FT_OK;
}
