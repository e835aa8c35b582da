/* The part of the CPU backend that is compiled once per instruction set. Each kernel does a range
 * of an operation on one thread: rows [begin, end), columns [begin, end) or elements [begin, end),
 * or one head of one sequence. Splitting the work over threads is the caller's business. */
#ifndef FT_BACKEND_CPU_KERNELS_KERNELS_H
#define FT_BACKEND_CPU_KERNELS_KERNELS_H

#include "backend/backend.h"

/* ft_adamw's step with its constants worked out. */
typedef struct ft_adamw_factors {
    float decay;            /* 1 - lr * weight_decay */
    float beta1_complement; /* 1 - beta1 */
    float beta2;
    float beta2_complement; /* 1 - beta2 */
    float step_size;        /* lr / (1 - beta1^step) */
    float root_scale;       /* 1 / sqrt(1 - beta2^step) */
    float eps;
    float gradient_scale;
} ft_adamw_factors;

typedef struct ft_cpu_kernels {
    const char *name;

    /* Floats of scratch that each kernel needs per thread. */
    size_t (*rows_scratch)(int32_t hidden);
    size_t (*attention_scratch)(const ft_attention *, bool backward);

    /* Rows [begin, end); from tokens on they are zeroed. */
    void (*embedding_forward)(const ft_embedding *, int32_t begin, int32_t end, float *scratch);
    /* Through dropout and norm: dout becomes the gradient of sum. dgamma, dbeta [hidden] are added
     * to. */
    void (*embedding_norm_backward)(const ft_embedding *, const ft_embedding_gradient *,
                                    int32_t begin, int32_t end, float *dgamma, float *dbeta,
                                    float *scratch);
    /* Columns [begin, end) of all rows, into the tables. */
    void (*embedding_tables_backward)(const ft_embedding *, const ft_embedding_gradient *,
                                      int32_t begin, int32_t end);

    void (*residual_norm_forward)(const ft_residual_norm *, int32_t begin, int32_t end,
                                  float *scratch);
    void (*residual_norm_backward)(const ft_residual_norm *, const ft_residual_norm_gradient *,
                                   int32_t begin, int32_t end, float *dgamma, float *dbeta,
                                   float *scratch);

    /* y = activation(x), elements [begin, end); y may be x. */
    void (*activation_forward)(ft_activation, ft_precision, const void *x, void *y, size_t begin,
                               size_t end);
    /* Columns [begin, end) of all rows: dy becomes the pre-activation's gradient, whose sum over
     * the rows goes to dbias. */
    void (*activation_backward)(const ft_linear_gradient *, int32_t begin, int32_t end);

    void (*dropout)(const ft_dropout *, const float *x, float *y, size_t begin, size_t end);

    /* One head of one sequence. */
    void (*attention_forward)(const ft_attention *, int32_t sequence, int32_t head, float *scratch);
    void (*attention_backward)(const ft_attention *, const ft_attention_gradient *,
                               int32_t sequence, int32_t head, float *scratch);

    void (*scale_add)(float scale, const float *y, float *x, size_t begin, size_t end);
    double (*sum_of_squares)(const float *x, size_t begin, size_t end);
    /* shadow, if any, follows the parameters. */
    void (*adamw)(const ft_adamw_factors *, float *parameter, const float *gradient, float *moment1,
                  float *moment2, uint16_t *shadow, size_t begin, size_t end);
    /* What adamw comes to where gradient and moments are 0. */
    void (*decay)(const ft_adamw_factors *, float *parameter, uint16_t *shadow, size_t begin,
                  size_t end);
    void (*to_bfloat16)(const float *x, uint16_t *y, size_t begin, size_t end);
} ft_cpu_kernels;

extern const ft_cpu_kernels ft_cpu_kernels_generic;
extern const ft_cpu_kernels ft_cpu_kernels_avx2;
extern const ft_cpu_kernels ft_cpu_kernels_avx512;
extern const ft_cpu_kernels ft_cpu_kernels_avx512bf16;

#endif
