/* What kernels and the C code that launches them agree on. Compiled by both: no includes but those
 * for C, and no types whose size differs. */
#ifndef FT_BACKEND_CUDA_KERNELS_TYPES_H
#define FT_BACKEND_CUDA_KERNELS_TYPES_H

/* The key and probability of a dropout, as ft_dropout. Kept: those whose number is at least
 * `threshold`; 0: all, and scale is 1. */
typedef struct ft_cuda_dropout {
    unsigned long long seed;
    unsigned step;
    unsigned site_and_micro_step; /* site << 16 | micro_step */
    unsigned threshold;
    float scale;
} ft_cuda_dropout;

/* The counts of a layout. */
typedef struct ft_cuda_layout {
    int sequences, tokens, rows, max_length;
} ft_cuda_layout;

#endif
