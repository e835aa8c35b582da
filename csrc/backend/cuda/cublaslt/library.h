/* cuBLASLt as it was found at run time. */
#ifndef FT_BACKEND_CUDA_CUBLASLT_LIBRARY_H
#define FT_BACKEND_CUDA_CUBLASLT_LIBRARY_H

#include "backend/cuda/cublaslt/cublaslt_api.h"
#include "backend/cuda/driver/libraries.h"

typedef struct ft_cublaslt_library {
    ft_cublaslt_functions functions;
    int version; /* 10000 * major + 100 * minor + patch */
} ft_cublaslt_library;

ft_status ft_cublaslt_library_find(const ft_cuda_library *, ft_cublaslt_library *out);

/* FT_OK where status is cuBLASLt's success; otherwise an error that says what was being done, why
 * cuBLASLt would not, and what to do about it. */
ft_status ft_cublaslt_check(const ft_cublaslt_library *, int status, const char *doing, ...)
    __attribute__((format(printf, 3, 4)));

#endif
