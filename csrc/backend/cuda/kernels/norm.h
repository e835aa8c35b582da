/* Arguments of the kernels that normalize rows: norm.cu's, and a part of embedding.cu's. */
#ifndef FT_BACKEND_CUDA_KERNELS_NORM_H
#define FT_BACKEND_CUDA_KERNELS_NORM_H

#include "types.h"

enum {
    FT_NORM_THREADS = 256,
    /* Rows no longer than this, a multiple of four, 16-byte aligned, are kept in registers: a warp
     * has one. Others take a block, and several passes over memory. */
    FT_NORM_IN_REGISTERS = 1024,
    FT_NORM_WARPS = FT_NORM_THREADS / 32,
    /* A backward's blocks for each multiprocessor: as many as run at a time. More would only leave
     * more sums to add up. */
    FT_NORM_BACKWARD_BLOCKS = 2,
};

/* Any norm's forward. A block has FT_NORM_WARPS rows where they are in registers, otherwise one. */
typedef struct ft_norm_forward_arguments {
    const float *gamma, *beta; /* [hidden] */
    float *mean, *rstd;        /* [rows] */
    const ft_cuda_dropout *dropout;
    const int *tokens;
    int rows, hidden, in_registers;
    float eps;
} ft_norm_forward_arguments;

/* Any norm's backward. As many blocks as `partial` has parts. */
typedef struct ft_norm_backward_arguments {
    const float *gamma;
    const float *mean, *rstd;
    float *partial; /* [parts, 2, hidden]: each block's part of dgamma and of dbeta */
    const ft_cuda_dropout *dropout;
    const int *tokens;
    int rows, hidden, in_registers, unused;
} ft_norm_backward_arguments;

/* residual_norm_forward: as ft_residual_norm. */
typedef struct ft_residual_norm_forward_arguments {
    ft_norm_forward_arguments norm;
    const void *x;
    const float *residual;
    void *sum, *y;
    float *stream;
} ft_residual_norm_forward_arguments;

/* residual_norm_backward: as ft_residual_norm_gradient. */
typedef struct ft_residual_norm_backward_arguments {
    ft_norm_backward_arguments norm;
    const void *sum;
    const float *dy;
    float *dresidual;
    void *dx;
} ft_residual_norm_backward_arguments;

#endif
