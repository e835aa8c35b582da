/* Products of matrices, recorded on the tape. */
#ifndef FT_BACKEND_CUDA_PRODUCTS_H
#define FT_BACKEND_CUDA_PRODUCTS_H

#include "backend/cuda/cuda.h"

/* out = activation(a b + bias), or out += a b. Matrices are row-major and contiguous; a_transposed:
 * a lies there as [k, m]; b_transposed: b lies there as [n, k]; not both. */
typedef struct ft_cuda_product {
    ft_precision precision;     /* of a, b and bias; sums are float32 */
    ft_precision out_precision; /* that, which bias needs, or float32 */
    int32_t m, n, k;
    bool a_transposed, b_transposed, add;
    ft_activation activation; /* where all is float32 */
    const void *a;            /* [m, k] */
    const void *b;            /* [k, n] */
    const void *bias;         /* [n] or NULL */
    void *kept; /* [m, n]: a b + bias, or NULL: not wanted; where all is float32, not with `add` */
    void *out;  /* [m, n] */
} ft_cuda_product;

/* 16-bit operands are cuBLASLt's, which has tensor cores for them; products of float32 are our own
 * kernels': exact where tensor cores would round their operands to TensorFloat-32, and quick where
 * out has few rows. */
ft_status ft_cuda_record_product(ft_cuda *, const ft_cuda_product *);

#endif
