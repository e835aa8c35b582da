/* Products made ready to run, by their shape, and kept for the backend's life. */
#ifndef FT_BACKEND_CUDA_CUBLASLT_PLANS_H
#define FT_BACKEND_CUDA_CUBLASLT_PLANS_H

#include <stdbool.h>

#include "backend/backend.h"
#include "backend/cuda/cublaslt/library.h"

/* ft_cublaslt_product without its memory, of which the alignments are left. Compared byte for
 * byte: without padding. */
typedef struct ft_cublaslt_shape {
    int32_t precision, out_precision; /* ft_precision */
    int32_t m, n, k;
    int32_t a_transposed, b_transposed; /* 0 or 1 */
    int32_t tf32;                       /* 0 or 1; 1 where a and b are float32 */
    /* bytes, powers of two */
    uint32_t a_alignment, b_alignment, out_alignment;
    uint32_t bias_alignment; /* 0: there is no bias */
} ft_cublaslt_shape;

typedef struct ft_cublaslt_plan {
    ft_cublaslt_operation operation;
    ft_cublaslt_layout a, b, out; /* as cuBLASLt has them: see plans.c */
    ft_cublaslt_algorithm algorithm;
    size_t workspace; /* bytes that it needs */
} ft_cublaslt_plan;

enum { FT_CUBLASLT_PLAN_LISTS = 256 };

typedef struct ft_cublaslt_plans {
    const ft_cublaslt_library *library;
    ft_cublaslt_handle handle;
    struct ft_cublaslt_entry *lists[FT_CUBLASLT_PLAN_LISTS];
} ft_cublaslt_plans;

/* bias: one that is aligned as the shape says. Where *out points to stays as it is until
 * ft_cublaslt_plans_end. */
ft_status ft_cublaslt_plan_find(ft_cublaslt_plans *, const ft_cublaslt_shape *, const void *bias,
                                const ft_cublaslt_plan **out);
/* The bias of what runs next. */
ft_status ft_cublaslt_set_bias(const ft_cublaslt_plans *, const ft_cublaslt_plan *,
                               const void *bias);
void ft_cublaslt_plans_end(ft_cublaslt_plans *);

#endif
