/* Arguments of optimizer.cu's kernels. */
#ifndef FT_BACKEND_CUDA_KERNELS_OPTIMIZER_H
#define FT_BACKEND_CUDA_KERNELS_OPTIMIZER_H

#include "table.h"
#include "types.h"

/* sum_of_squares: out[block] = the block's part of the sum, for any number of blocks. */
typedef struct ft_sum_of_squares_arguments {
    const float *x;
    double *out; /* [grid] */
    ft_cuda_table table;
} ft_sum_of_squares_arguments;

/* add_up: *out = the sum of the parts. One block of FT_TABLE_THREADS threads. */
typedef struct ft_add_up_arguments {
    const double *parts;
    double *out;
    int count, unused;
} ft_add_up_arguments;

/* What a step of training may change, in device memory. */
typedef struct ft_clip_limits {
    float loss_scale, max_norm;
} ft_clip_limits;

/* clip: as the operation. One warp. */
typedef struct ft_clip_arguments {
    const double *squares;
    const ft_clip_limits *limits;
    float *norm_and_scale;
    int count, unused;
} ft_clip_arguments;

/* What ft_adamw comes to in a step; in device memory. */
typedef struct ft_adamw_factors {
    float decay;        /* 1 - lr * weight_decay */
    float rest1, rest2; /* 1 - beta */
    float beta2;
    float step_size;   /* lr / (1 - beta1^step) */
    float correction2; /* sqrt(1 - beta2^step) */
    float eps;
    float unused;
} ft_adamw_factors;

/* adamw: as ft_adamw_operands, by any number of blocks. The shadow is of the precision. */
typedef struct ft_adamw_arguments {
    const ft_adamw_factors *factors;
    const float *scale;
    float *parameter;
    const float *gradient;
    float *moment1, *moment2;
    void *shadow;
    ft_cuda_table table;
} ft_adamw_arguments;

#endif
