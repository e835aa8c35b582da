/* Arguments of rows.cu's kernels. */
#ifndef FT_BACKEND_CUDA_KERNELS_ROWS_H
#define FT_BACKEND_CUDA_KERNELS_ROWS_H

#include "table.h"
#include "types.h"

enum { FT_ROWS_THREADS = 256 };

/* first_rows_gather: first[s] = x[cu_seqlens[s]], of the precision. first_rows_scatter: dx's row
 * cu_seqlens[s] += dfirst[s], in float32. A block for each sequence. */
typedef struct ft_first_rows_arguments {
    const int *cu_seqlens;
    const void *from;
    void *to;
    int hidden, unused;
} ft_first_rows_arguments;

/* Passes over flat buffers, by any number of blocks. `fours`: all are 16-byte aligned. */

/* dropout: y = dropout(x). */
typedef struct ft_dropout_arguments {
    const ft_cuda_dropout *dropout;
    const float *x;
    float *y;
    unsigned long long count;
    int fours, unused;
} ft_dropout_arguments;

/* scale_add: x = *scale * x (+ y where y is not NULL). */
typedef struct ft_scale_add_arguments {
    const float *scale;
    const float *y;
    float *x;
    unsigned long long count;
    int fours, unused;
} ft_scale_add_arguments;

/* cast: y = x rounded to the precision. */
typedef struct ft_cast_arguments {
    const float *x;
    void *y;
    unsigned long long count;
    int fours, unused;
} ft_cast_arguments;

/* zero_rows: zeroes the flagged rows of x. */
typedef struct ft_zero_rows_arguments {
    float *x;
    ft_cuda_table table;
} ft_zero_rows_arguments;

/* add_flags: sets those of `to` that are set in `from`. */
typedef struct ft_add_flags_arguments {
    const unsigned char *from;
    unsigned char *to;
    unsigned long long count;
} ft_add_flags_arguments;

#endif
