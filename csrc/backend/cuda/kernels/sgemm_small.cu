/* Small tiles: enough blocks for every multiprocessor where out has few rows; and the sum of the
 * splits, which comes after tiles of either size. */
#include "sgemm.cuh"

#define FT_SGEMM(operands, a_by_k, b_by_k)                                                         \
    FT_KERNEL_RESIDENT(sgemm_##operands##_small, FT_SGEMM_SMALL_THREADS, 4)(ft_sgemm_arguments p)  \
    {                                                                                              \
        product<FT_SGEMM_SMALL_ROWS, FT_SGEMM_SMALL_COLUMNS, FT_SGEMM_SMALL_DEPTH, 4, 4, a_by_k,   \
                b_by_k>(p);                                                                        \
    }

FT_SGEMM(nt, true, true)
FT_SGEMM(nn, true, false)
FT_SGEMM(tn, false, false)

FT_KERNEL(sgemm_sum, FT_SGEMM_SUM_THREADS)(ft_sgemm_arguments p)
{
    size_t count = (size_t)p.m * p.n, at = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count)
        return;
    float sum = 0.0f;
#pragma unroll 4
    for (int split = 0; split < p.splits; split++)
        sum += p.partials[split * count + at];
    write_sum(p, at, (int)(at % p.n), sum);
    if (p.activation != FT_CUDA_NO_ACTIVATION)
        activate(p, at);
}
