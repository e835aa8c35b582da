/* Activations of a linear layer and their derivatives, as the reference backend has them. */
#ifndef FT_BACKEND_CUDA_KERNELS_ACTIVATION_CUH
#define FT_BACKEND_CUDA_KERNELS_ACTIVATION_CUH

#include "common.cuh"
#include "linear.h"

#define FT_SQRT_HALF 0.707106781186547524f
#define FT_INVERSE_SQRT_2PI 0.398942280401432678f

__device__ inline float ft_activate(int activation, float z)
{
    switch (activation) {
    case FT_CUDA_GELU:
        return 0.5f * z * (1.0f + erff(z * FT_SQRT_HALF));
    case FT_CUDA_TANH:
        return tanhf(z);
    case FT_CUDA_RELU:
        return z < 0.0f ? 0.0f : z;
    default:
        return z;
    }
}

/* The derivative, from what was kept: GELU's argument, tanh's and ReLU's result. */
__device__ inline float ft_activation_slope(int activation, float kept)
{
    switch (activation) {
    case FT_CUDA_GELU:
        return 0.5f * (1.0f + erff(kept * FT_SQRT_HALF)) +
               kept * (FT_INVERSE_SQRT_2PI * expf(-0.5f * kept * kept));
    case FT_CUDA_TANH:
        return 1.0f - kept * kept;
    case FT_CUDA_RELU:
        return kept > 0.0f ? 1.0f : 0.0f;
    default:
        return 1.0f;
    }
}

#endif
