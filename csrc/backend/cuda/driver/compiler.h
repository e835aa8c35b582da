/* A source of kernels becomes what the driver loads: by NVRTC, or from the cache on disk. Needs no
 * GPU. */
#ifndef FT_BACKEND_CUDA_DRIVER_COMPILER_H
#define FT_BACKEND_CUDA_DRIVER_COMPILER_H

#include <stdbool.h>

#include "backend/backend.h"
#include "backend/cuda/driver/kernel_sources.h"

/* FT_NVRTC_FUNCTION(member, symbol, parameters); all but error_text return an nvrtcResult. */
#define FT_NVRTC_FUNCTIONS(FT_NVRTC_FUNCTION)                                                      \
    FT_NVRTC_FUNCTION(arch_count, nvrtcGetNumSupportedArchs, (int *))                              \
    FT_NVRTC_FUNCTION(archs, nvrtcGetSupportedArchs, (int *))                                      \
    FT_NVRTC_FUNCTION(create, nvrtcCreateProgram,                                                  \
                      (void **program, const char *text, const char *file, int headers,            \
                       const char *const *header_texts, const char *const *header_files))          \
    FT_NVRTC_FUNCTION(destroy, nvrtcDestroyProgram, (void **program))                              \
    FT_NVRTC_FUNCTION(compile, nvrtcCompileProgram,                                                \
                      (void *program, int count, const char *const *options))                      \
    FT_NVRTC_FUNCTION(log_size, nvrtcGetProgramLogSize, (void *program, size_t *))                 \
    FT_NVRTC_FUNCTION(log, nvrtcGetProgramLog, (void *program, char *))                            \
    FT_NVRTC_FUNCTION(cubin_size, nvrtcGetCUBINSize, (void *program, size_t *))                    \
    FT_NVRTC_FUNCTION(cubin, nvrtcGetCUBIN, (void *program, char *))                               \
    FT_NVRTC_FUNCTION(ptx_size, nvrtcGetPTXSize, (void *program, size_t *))                        \
    FT_NVRTC_FUNCTION(ptx, nvrtcGetPTX, (void *program, char *))

typedef struct ft_cuda_compiler {
#define FT_NVRTC_FUNCTION(member, symbol, parameters) int(*member) parameters;
    FT_NVRTC_FUNCTIONS(FT_NVRTC_FUNCTION)
#undef FT_NVRTC_FUNCTION
    const char *(*error_text)(int result);
    int major, minor; /* of NVRTC */
    int target;       /* the compute capability that is compiled for, 10 * major + minor */
    bool uses_ptx;    /* NVRTC is older than the GPU: the driver compiles the rest */
} ft_cuda_compiler;

/* For GPUs of this capability. Refuses where there is no NVRTC. */
ft_status ft_cuda_compiler_load(int capability, ft_cuda_compiler *out);

/* *image is for the caller to free(). anew: what is kept on disk will not do. */
ft_status ft_cuda_compile(const ft_cuda_compiler *, ft_kernel_source, ft_precision, bool anew,
                          void **image, size_t *bytes);

#endif
