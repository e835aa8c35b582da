/* The kernels that have a tile of queries or keys, of heads of up to so many columns. */
#ifndef FT_BACKEND_CUDA_KERNELS_ATTENTION_KERNELS_CUH
#define FT_BACKEND_CUDA_KERNELS_ATTENTION_KERNELS_CUH

#include "attention_backward.cuh"
#include "attention_forward.cuh"
#if FT_PRECISION == 2
#    include "attention_tensor_passes.cuh"
#endif

/* A multiprocessor holds `blocks` blocks of the backward passes: shared memory decides how many. */
#define FT_ATTENTION_KERNELS(columns, blocks)                                                      \
    FT_KERNEL_RESIDENT(attention_forward_##columns, FT_ATTENTION_FORWARD_THREADS, 2)               \
    (ft_attention_arguments a)                                                                     \
    {                                                                                              \
        attention_forward<columns>(a);                                                             \
    }                                                                                              \
    FT_KERNEL_RESIDENT(attention_dq_##columns, FT_ATTENTION_BACKWARD_THREADS, blocks)              \
    (ft_attention_arguments a)                                                                     \
    {                                                                                              \
        attention_dq<columns>(a);                                                                  \
    }                                                                                              \
    FT_KERNEL_RESIDENT(attention_dkdv_##columns, FT_ATTENTION_BACKWARD_THREADS, blocks)            \
    (ft_attention_arguments a)                                                                     \
    {                                                                                              \
        attention_dkdv<columns>(a);                                                                \
    }

#define FT_ATTENTION_TENSOR_KERNELS(columns)                                                       \
    FT_KERNEL_RESIDENT(attention_forward_##columns, FT_ATTENTION_TENSOR_THREADS, 4)                \
    (ft_attention_arguments a)                                                                     \
    {                                                                                              \
        attention_tensor_forward<columns>(a);                                                      \
    }                                                                                              \
    FT_KERNEL_RESIDENT(attention_dq_##columns, FT_ATTENTION_TENSOR_THREADS, 4)                     \
    (ft_attention_arguments a)                                                                     \
    {                                                                                              \
        attention_tensor_dq<columns>(a);                                                           \
    }                                                                                              \
    FT_KERNEL_RESIDENT(attention_dkdv_##columns, FT_ATTENTION_TENSOR_THREADS, 2)                   \
    (ft_attention_arguments a)                                                                     \
    {                                                                                              \
        attention_tensor_dkdv<columns>(a);                                                         \
    }

#endif
