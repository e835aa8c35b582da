/* What the operations' files share in launching kernels. */
#ifndef FT_BACKEND_CUDA_LAUNCH_H
#define FT_BACKEND_CUDA_LAUNCH_H

#include "backend/cuda/cuda.h"

/* Launches a kernel on a line of blocks. */
static inline ft_status ft_cuda_launch_line(ft_cuda *cuda, ft_kernel kernel, ft_precision precision,
                                            uint32_t blocks, uint32_t threads,
                                            const void *arguments, size_t size)
{
    const ft_launch launch = {
        .kernel = kernel,
        .precision = precision,
        .grid = {blocks, 1, 1},
        .block = {threads, 1, 1},
        .arguments = arguments,
        .size = size,
    };
    return ft_cuda_launch(cuda, &launch);
}

/* How many blocks, up to `most`, share out `count` pieces of work of which each does `each` at a
 * time; count is not 0. */
static inline uint32_t ft_cuda_blocks(size_t count, size_t each, uint32_t most)
{
    size_t blocks = (count - 1) / each + 1;
    return blocks < most ? (uint32_t)blocks : most;
}

/* The most blocks of 256 threads that pass over a buffer: as many as a multiprocessor may hold, for
 * each of them. */
static inline uint32_t ft_cuda_pass_blocks(const ft_cuda *cuda)
{
    return 8 * (uint32_t)cuda->multiprocessors;
}

/* May float4s be loaded from where these point? NULL is nowhere. */
#define FT_CUDA_ALIGNED(...)                                                                       \
    ft_cuda_aligned((const void *const[]){__VA_ARGS__},                                            \
                    sizeof((const void *const[]){__VA_ARGS__}) / sizeof(void *))

static inline bool ft_cuda_aligned(const void *const *pointers, size_t count)
{
    uintptr_t bits = 0;
    for (size_t i = 0; i < count; i++)
        bits |= (uintptr_t)pointers[i];
    return bits % 16 == 0;
}

#endif
