/* Products of matrices by cuBLASLt, recorded on the tape. An algorithm is chosen for each shape
 * when it is first needed, which compiles nothing, and kept: the same one is run each time. */
#ifndef FT_BACKEND_CUDA_CUBLASLT_CUBLASLT_H
#define FT_BACKEND_CUDA_CUBLASLT_CUBLASLT_H

#include "backend/cuda/cuda.h"

/* For the device whose context is current. */
ft_status ft_cublaslt_create(ft_cublaslt **out);
void ft_cublaslt_destroy(ft_cublaslt *);

/* out = a b + bias, or out += a b. Matrices are row-major and contiguous; a_transposed: a lies
 * there as [k, m]; b_transposed: b lies there as [n, k]; not both. */
typedef struct ft_cublaslt_product {
    ft_precision precision;     /* of a, b and bias; sums are float32 */
    ft_precision out_precision; /* that, which bias needs, or float32 */
    int32_t m, n, k;
    bool a_transposed, b_transposed, add;
    bool tf32;        /* a and b may be rounded to it, where they are float32 */
    const void *a;    /* [m, k] */
    const void *b;    /* [k, n] */
    const void *bias; /* [n] or NULL */
    void *out;        /* [m, n] */
} ft_cublaslt_product;

ft_status ft_cublaslt_record_product(ft_cuda *, const ft_cublaslt_product *);

#endif
