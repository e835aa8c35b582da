/* Sums over many rows, of which parameters' gradients are made, have two stages: blocks leave parts
 * of them, and those are added up. The second stages of a whole backward are put off, and made by
 * one kernel: each would take less time than it takes to launch. */
#ifndef FT_BACKEND_CUDA_SUMS_H
#define FT_BACKEND_CUDA_SUMS_H

#include "backend/cuda/cuda.h"
#include "backend/cuda/kernels/partials.h"
#include "backend/cuda/tape.h"

enum { FT_CUDA_SUMS = 256 }; /* that may wait */

/* Those that are put off, and where their parts lie. */
typedef struct ft_cuda_sums {
    ft_partials waiting[FT_CUDA_SUMS];
    int count;
    ft_cuda_memory parts;
    size_t used; /* bytes of it */
} ft_cuda_sums;

/* The columns that a sum has, and where it goes. */
typedef struct ft_cuda_sum {
    float *out;
    int32_t columns;
} ft_cuda_sum;

/* Puts off `count` sums, to be written or added to where they go. Their parts lie side by side:
 * what is launched next fills `parts` rows of them, at *out. */
ft_status ft_cuda_sum_later(ft_cuda *, uint32_t parts, const ft_cuda_sum *sums, int count,
                            bool accumulate, float **out);

/* Records what was put off. */
ft_status ft_cuda_finish_sums(ft_cuda *);

#endif
