/* Large tiles: little of shared memory is read for each product. */
#include "sgemm.cuh"

#define FT_SGEMM(operands, a_by_k, b_by_k)                                                         \
    FT_KERNEL_RESIDENT(sgemm_##operands##_large, FT_SGEMM_LARGE_THREADS, 2)(ft_sgemm_arguments p)  \
    {                                                                                              \
        product<FT_SGEMM_LARGE_ROWS, FT_SGEMM_LARGE_COLUMNS, FT_SGEMM_LARGE_DEPTH, 8, 8, a_by_k,   \
                b_by_k>(p);                                                                        \
    }

FT_SGEMM(nt, true, true)
FT_SGEMM(nn, true, false)
FT_SGEMM(tn, false, false)
