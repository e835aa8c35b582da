/* Our kernels, compiled by NVRTC for the GPU at hand: a source for a precision when a tape that has
 * the first of its kernels is submitted. What is compiled is kept on disk. */
#ifndef FT_BACKEND_CUDA_DRIVER_MODULES_H
#define FT_BACKEND_CUDA_DRIVER_MODULES_H

#include "backend/cuda/cuda.h"

/* For a GPU of this capability, 10 * major + minor. Refuses where there is no NVRTC. */
ft_status ft_cuda_modules_create(const ft_cuda_driver *, int capability, ft_cuda_modules **out);
/* The context is current, here and in ft_cuda_modules_function. */
void ft_cuda_modules_destroy(ft_cuda_modules *);

/* A kernel's CUfunction, which may be launched with that many bytes of dynamic shared memory. */
ft_status ft_cuda_modules_function(ft_cuda_modules *, ft_kernel, ft_precision,
                                   uint32_t shared_bytes, void **out);

/* The same, if it is known already; otherwise NULL, and the kernel is one of those that
 * ft_cuda_modules_compile compiles. */
void *ft_cuda_modules_known(ft_cuda_modules *, ft_kernel, ft_precision, uint32_t shared_bytes);
/* Together, on all processors: that takes seconds. What fails is told by
 * ft_cuda_modules_function. */
void ft_cuda_modules_compile(ft_cuda_modules *);

/* As list.h has it, for messages. */
const char *ft_cuda_kernel_name(ft_kernel);

#endif
