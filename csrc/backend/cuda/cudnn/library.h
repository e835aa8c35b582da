/* cuDNN as it was found at run time. */
#ifndef FT_BACKEND_CUDA_CUDNN_LIBRARY_H
#define FT_BACKEND_CUDA_CUDNN_LIBRARY_H

#include "backend/cuda/cudnn/cudnn_api.h"
#include "common/status.h"

typedef struct ft_cudnn_library {
    ft_cudnn_functions functions;
    int version; /* 10000 * major + 100 * minor + patch */
} ft_cudnn_library;

enum { FT_CUDNN_OLDEST = 91002 }; /* the first whose attention is known to be sound */

/* Takes the functions from what dlopen returned for libcudnn.so.9. Refuses a version before
 * FT_CUDNN_OLDEST. */
ft_status ft_cudnn_library_find(void *loaded, ft_cudnn_library *out);

/* FT_OK where status is cuDNN's success; otherwise an error that says what was being done and why
 * cuDNN would not. */
ft_status ft_cudnn_check(const ft_cudnn_library *, int status, const char *doing);

/* The reason in what GetLastErrorString wrote, which is a log of several lines; cut out of it. */
const char *ft_cudnn_reason(char *message);

#endif
