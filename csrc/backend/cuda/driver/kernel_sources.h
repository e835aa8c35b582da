/* The text of our kernels, which is part of this library. */
#ifndef FT_BACKEND_CUDA_DRIVER_KERNEL_SOURCES_H
#define FT_BACKEND_CUDA_DRIVER_KERNEL_SOURCES_H

typedef enum ft_kernel_source {
#define FT_SOURCE_OF(name) FT_KERNEL_SOURCE_##name,
#include "backend/cuda/kernels/files.h"
    FT_KERNEL_SOURCE_COUNT,
} ft_kernel_source;

enum {
#define FT_HEADER_OF(name, file) FT_KERNEL_HEADER_##name,
#include "backend/cuda/kernels/files.h"
    FT_KERNEL_HEADER_COUNT,
};

typedef struct ft_kernel_text {
    const char *file; /* "norm.cu" */
    const char *text;
} ft_kernel_text;

extern const ft_kernel_text ft_kernel_sources[FT_KERNEL_SOURCE_COUNT];
extern const ft_kernel_text ft_kernel_headers[FT_KERNEL_HEADER_COUNT];

#endif
