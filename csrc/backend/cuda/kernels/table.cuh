/* Passes over tables of which only some rows matter: a warp has a row at a time. */
#ifndef FT_BACKEND_CUDA_KERNELS_TABLE_CUH
#define FT_BACKEND_CUDA_KERNELS_TABLE_CUH

#include "fours.cuh"
#include "table.h"

/* Calls of_row(begin, end, flagged) with the elements of each row that is this warp's. */
template <typename OfRow>
__device__ inline void ft_for_each_row(const ft_cuda_table &t, const OfRow &of_row)
{
    size_t warp = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) / FT_WARP;
    size_t warps = (size_t)gridDim.x * blockDim.x / FT_WARP;
    for (size_t row = warp, begin; (begin = row * t.width) < t.count; row += warps) {
        size_t end = begin + t.width < t.count ? begin + t.width : t.count;
        of_row(begin, end, t.flags == 0 || t.flags[row]);
    }
}

/* Calls of_elements(at, T()) for this lane's part of a row; T is float, or float4 for four from
 * `at` on. */
template <typename OfElements>
__device__ inline void ft_for_each_in_row(const ft_cuda_table &t, size_t begin, size_t end,
                                          const OfElements &of_elements)
{
    int lane = threadIdx.x % FT_WARP;
    if (!t.fours) {
        for (size_t at = begin + lane; at < end; at += FT_WARP)
            of_elements(at, ft_none<float>());
        return;
    }
    size_t at = begin + 4 * lane;
    for (; at + 4 <= end; at += 4 * FT_WARP)
        of_elements(at, ft_none<float4>());
    for (; at < end; at++)
        of_elements(at, ft_none<float>());
}

#endif
