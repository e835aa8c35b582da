/* What the norm's two users, the residual norm and the embedding, share on the host. */
#ifndef FT_BACKEND_CUDA_NORM_H
#define FT_BACKEND_CUDA_NORM_H

#include "backend/cuda/cuda.h"
#include "backend/cuda/kernels/norm.h"

/* May rows of this width be kept in registers? `aligned`: all that a row is loaded from, and stored
 * to, is 16-byte aligned. */
static inline bool ft_cuda_norm_in_registers(int32_t hidden, bool aligned)
{
    return aligned && hidden % 4 == 0 && hidden <= FT_NORM_IN_REGISTERS;
}

/* Launches a forward, whose arguments, of that size, begin with `norm`. */
ft_status ft_cuda_norm_forward(ft_cuda *, ft_kernel, ft_precision,
                               const ft_norm_forward_arguments *norm, size_t size);

/* Launches a backward, and puts off what makes dgamma and dbeta of its blocks' sums. The arguments,
 * of that size, begin with `norm`; `partial` is filled in here. */
ft_status ft_cuda_norm_backward(ft_cuda *, ft_kernel, ft_precision,
                                ft_norm_backward_arguments *norm, size_t size, float *dgamma,
                                float *dbeta, bool accumulate);

#endif
