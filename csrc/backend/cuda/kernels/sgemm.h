/* Products of float32 matrices, as sums of float32 products and nothing narrower. */
#ifndef FT_BACKEND_CUDA_KERNELS_SGEMM_H
#define FT_BACKEND_CUDA_KERNELS_SGEMM_H

#include "types.h"

/* Rows and columns of out that a block makes, what it takes of k at a time, and its threads. */
enum {
    FT_SGEMM_LARGE_ROWS = 128,
    FT_SGEMM_LARGE_COLUMNS = 128,
    FT_SGEMM_LARGE_DEPTH = 8,
    FT_SGEMM_LARGE_THREADS = 256,
    FT_SGEMM_SMALL_ROWS = 32,
    FT_SGEMM_SMALL_COLUMNS = 64,
    FT_SGEMM_SMALL_DEPTH = 16,
    FT_SGEMM_SMALL_THREADS = 128,
    FT_SGEMM_SUM_THREADS = 256,
};

/* sgemm_<operands>_<tile>: out = activation(a b + bias), or out += a b. Operands: nt: a [m, k],
 * b [n, k]; nn: a [m, k], b [k, n]; tn: a [k, m], b [k, n]. Grid (tiles of n, tiles of m, splits).
 * With several splits, split s sums k from s * split_depth on, split_depth being a multiple of the
 * tile's depth, into partials[s]; sgemm_sum then adds them up, one thread an element of out. */
typedef struct ft_sgemm_arguments {
    const float *a, *b;
    const float *bias; /* [n] or NULL */
    float *kept;       /* [m, n]: a b + bias, or NULL: not wanted */
    float *out;        /* [m, n] */
    float *partials;   /* [splits, m, n]; unused with one split */
    int m, n, k, split_depth, splits;
    int activation; /* see linear.h */
    int add;
    int vector_a, vector_b, vector_out; /* the matrix is 16-byte aligned, its lines too */
} ft_sgemm_arguments;

#endif
