/* Products of float32 matrices by our own kernels: exact where tensor cores would round their
 * operands to TensorFloat-32, and quick where out has few rows. */
#ifndef FT_BACKEND_CUDA_PRODUCTS_H
#define FT_BACKEND_CUDA_PRODUCTS_H

#include "backend/cuda/cuda.h"

/* out = activation(a b + bias), or out += a b. Matrices are row-major and contiguous; a_transposed:
 * a lies there as [k, m]; b_transposed: b lies there as [n, k]; not both. */
typedef struct ft_cuda_product {
    int32_t m, n, k;
    bool a_transposed, b_transposed, add;
    ft_activation activation;
    const float *a;    /* [m, k] */
    const float *b;    /* [k, n] */
    const float *bias; /* [n] or NULL */
    float *kept;       /* [m, n]: a b + bias, or NULL: not wanted; not with `add` */
    float *out;        /* [m, n] */
} ft_cuda_product;

/* The bytes of scratch that the product needs while it runs. */
size_t ft_cuda_product_scratch(const ft_cuda *, const ft_cuda_product *);

ft_status ft_cuda_record_product(ft_cuda *, const ft_cuda_product *, void *scratch);

#endif
