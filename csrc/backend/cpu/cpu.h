/* The CPU backend: oneDNN for matrix products, kernels of our own for everything between them.
 *
 * An operation is a function here that splits its rows, columns or heads over OpenMP's threads and
 * lets a kernel (kernels/kernels.h, compiled per instruction set) do each part. */
#ifndef FT_BACKEND_CPU_CPU_H
#define FT_BACKEND_CPU_CPU_H

#include "backend/backend.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/products.h"

typedef struct ft_cpu {
    ft_backend base;
    int threads;
    bool waits_briefly; /* see waiting.h */
    const ft_cpu_kernels *kernels;
    ft_products *products;
    float *scratch; /* [threads, scratch_floats] */
    size_t scratch_floats;
} ft_cpu;

static inline ft_cpu *ft_cpu_of(ft_backend *backend)
{
    return (ft_cpu *)backend;
}

/* The names of the kernels that this processor runs, best first; returns how many. */
enum { FT_CPU_KERNEL_SETS = 4 };
int ft_cpu_kernels_available(const char *names[FT_CPU_KERNEL_SETS]);

/* Before an operation's parallel region: refuses where libgomp would hang (in a child forked from a
 * process that had used it) or not give as many threads, and sees to `floats` of scratch per
 * thread. */
ft_status ft_cpu_begin(ft_cpu *, size_t floats);

/* ft_products_run on the backend's threads, after ft_cpu_begin. */
ft_status ft_cpu_product(ft_cpu *, const char *operation, ft_product, const void *a, const void *b,
                         const float *bias, void *c);

/* Scratch of one thread, aligned to FT_ALIGNMENT. */
static inline float *ft_cpu_scratch(const ft_cpu *cpu, int thread)
{
    return cpu->scratch + (size_t)thread * cpu->scratch_floats;
}

/* A thread's share [begin, end) of `count` things, in whole blocks of `block`. */
typedef struct ft_share {
    size_t begin, end;
} ft_share;

static inline ft_share ft_share_of(size_t count, size_t block, int thread, int threads)
{
    size_t blocks = (count + block - 1) / block;
    size_t begin = blocks * (size_t)thread / (size_t)threads * block;
    size_t end = blocks * ((size_t)thread + 1) / (size_t)threads * block;
    return (ft_share){begin < count ? begin : count, end < count ? end : count};
}

/* Work on fewer elements than this is not worth waking other threads for. */
enum { FT_PARALLEL_ELEMENTS = 16384 };

static inline int ft_cpu_threads_for(const ft_cpu *cpu, size_t elements)
{
    return elements < FT_PARALLEL_ELEMENTS ? 1 : cpu->threads;
}

ft_status ft_cpu_embedding_forward(ft_backend *, const ft_embedding *);
ft_status ft_cpu_embedding_backward(ft_backend *, const ft_embedding *,
                                    const ft_embedding_gradient *);
ft_status ft_cpu_linear_forward(ft_backend *, const ft_linear *);
ft_status ft_cpu_linear_backward(ft_backend *, const ft_linear_gradient *);
ft_status ft_cpu_attention_forward(ft_backend *, const ft_attention *);
ft_status ft_cpu_attention_backward(ft_backend *, const ft_attention *,
                                    const ft_attention_gradient *);
ft_status ft_cpu_residual_norm_forward(ft_backend *, const ft_residual_norm *);
ft_status ft_cpu_residual_norm_backward(ft_backend *, const ft_residual_norm *,
                                        const ft_residual_norm_gradient *);
ft_status ft_cpu_dropout(ft_backend *, const ft_dropout *, size_t count, const float *x, float *y);
ft_status ft_cpu_scale_add(ft_backend *, size_t count, float scale, const float *y, float *x);
ft_status ft_cpu_sum_of_squares(ft_backend *, const float *x, size_t count, ft_rows, double *out);
ft_status ft_cpu_adamw(ft_backend *, const ft_adamw *, const ft_adamw_operands *);
ft_status ft_cpu_cast(ft_backend *, ft_precision, size_t count, const float *x, void *y);
ft_status ft_cpu_zero_rows(ft_backend *, float *x, size_t count, ft_rows);

#endif
