/* Second stages of sums, in an order that does not depend on the GPU's scheduling. */
#include "common.cuh"
#include "partials.h"

FT_KERNEL(add_partials, FT_PARTIALS_COLUMNS *FT_PARTIALS_SHARES)
(const ft_add_partials_arguments a)
{
    __shared__ float shares[FT_PARTIALS_SHARES][FT_PARTIALS_COLUMNS];
    const ft_partials s = a.sums[blockIdx.y];
    int column = blockIdx.x * FT_PARTIALS_COLUMNS + threadIdx.x;
    float sum = 0.0f;
    if (column < s.columns)
#pragma unroll 4
        for (int part = threadIdx.y; part < s.count; part += FT_PARTIALS_SHARES)
            sum += s.parts[(size_t)part * s.stride + column];
    shares[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || column >= s.columns)
        return;
    for (int share = 1; share < FT_PARTIALS_SHARES; share++)
        sum += shares[share][threadIdx.x];
    s.out[column] = s.accumulate ? s.out[column] + sum : sum;
}
