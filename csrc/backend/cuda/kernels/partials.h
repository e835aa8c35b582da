/* Second stages of sums over many rows, whose first stages' blocks have left a part each. */
#ifndef FT_BACKEND_CUDA_KERNELS_PARTIALS_H
#define FT_BACKEND_CUDA_KERNELS_PARTIALS_H

#include "types.h"

/* The columns of a block, and among how many threads a column's parts are shared. */
enum { FT_PARTIALS_COLUMNS = 32, FT_PARTIALS_SHARES = 8 };

/* out = the sum of the parts, or += where `accumulate`. */
typedef struct ft_partials {
    const float *parts; /* `count` rows of `columns`, `stride` apart */
    float *out;         /* [columns] */
    int count, stride, columns, accumulate;
} ft_partials;

/* add_partials: all of `sums`. Grid (columns of the widest, sums), blocks of (FT_PARTIALS_COLUMNS,
 * FT_PARTIALS_SHARES) threads. */
typedef struct ft_add_partials_arguments {
    const ft_partials *sums;
} ft_add_partials_arguments;

#endif
