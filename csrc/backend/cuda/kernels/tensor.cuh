/* Tensor cores' product of float16 matrices by one warp, as GPUs have it from compute capability
 * 7.5 on: sums [16, 8] += a [16, 8] b [8, 8]. With group = lane / 4 and pair = lane % 4 a lane has
 *     a[0], a[1]   rows group and group + 8, columns 2 * pair and 2 * pair + 1;
 *     b            rows 2 * pair and 2 * pair + 1, column group;
 *     sums[0], [1] row group, columns 2 * pair and 2 * pair + 1; sums[2], [3] row group + 8,
 * two numbers in a word, the first in its lower half. So sums, rounded, are an a. */
#ifndef FT_BACKEND_CUDA_KERNELS_TENSOR_CUH
#define FT_BACKEND_CUDA_KERNELS_TENSOR_CUH

#include "common.cuh"

__device__ inline unsigned ft_pack(float first, float second)
{
    return (unsigned)ft_round_element(first) | (unsigned)ft_round_element(second) << 16;
}

__device__ inline float ft_first_of(unsigned two)
{
    return ft_to_float((unsigned short)two);
}

__device__ inline float ft_second_of(unsigned two)
{
    return ft_to_float((unsigned short)(two >> 16));
}

__device__ inline void ft_multiply_add(float (&sums)[4], const unsigned (&a)[2], unsigned b)
{
#ifdef __CUDA_ARCH__
    /* volatile: all lanes take part, so it must not move to where some of them do not come. */
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, "
                 "{%6}, {%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b));
#else
    int lane = threadIdx.x % FT_WARP, group = lane / 4, pair = lane % 4;
    for (int k = 0; k < 4; k++) {
        unsigned upper = __shfl_sync(FT_ALL_LANES, a[0], group * 4 + k);
        unsigned lower = __shfl_sync(FT_ALL_LANES, a[1], group * 4 + k);
        for (int j = 0; j < 2; j++) {
            unsigned column = __shfl_sync(FT_ALL_LANES, b, (2 * pair + j) * 4 + k);
            sums[j] += ft_first_of(upper) * ft_first_of(column) +
                       ft_second_of(upper) * ft_second_of(column);
            sums[2 + j] += ft_first_of(lower) * ft_first_of(column) +
                           ft_second_of(lower) * ft_second_of(column);
        }
    }
#endif
}

#endif
