/* Products of 16-bit operands by cuBLASLt, recorded on the tape. An algorithm is chosen for each
 * shape when it is first needed, which compiles nothing, and kept: the same one is run each time.
 */
#ifndef FT_BACKEND_CUDA_CUBLASLT_CUBLASLT_H
#define FT_BACKEND_CUDA_CUBLASLT_CUBLASLT_H

#include "backend/cuda/products.h"

/* For the device whose context is current. */
ft_status ft_cublaslt_create(ft_cublaslt **out);
void ft_cublaslt_destroy(ft_cublaslt *);

/* Operands are of 16 bits, and none of m, n and k is 0; there is no activation. */
ft_status ft_cublaslt_record_product(ft_cuda *, const ft_cuda_product *);

#endif
