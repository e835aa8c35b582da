/* Sums over a block, in an order that is always the same. */
#ifndef FT_BACKEND_CUDA_KERNELS_SUMS_CUH
#define FT_BACKEND_CUDA_KERNELS_SUMS_CUH

#include "common.cuh"

/* Of the lanes of a warp: every lane has it. */
__device__ inline double ft_warp_sum(double x)
{
    for (int distance = FT_WARP / 2; distance > 0; distance /= 2)
        x += __shfl_xor_sync(FT_ALL_LANES, x, distance);
    return x;
}

/* Of a block of whole warps: every thread has it. `shared` has an entry for each warp. */
template <typename T> __device__ inline T ft_block_sum(T x, T *shared)
{
    int warp = threadIdx.x / FT_WARP, warps = blockDim.x / FT_WARP;
    x = ft_warp_sum(x);
    __syncthreads(); /* what was in `shared` before has been read */
    if (threadIdx.x % FT_WARP == 0)
        shared[warp] = x;
    __syncthreads();
    T sum = 0;
    for (int w = 0; w < warps; w++)
        sum += shared[w];
    return sum;
}

#endif
