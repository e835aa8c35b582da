/* The elementwise half of a linear layer: activations and the gradient of the bias. */
#ifndef FT_BACKEND_CUDA_KERNELS_LINEAR_H
#define FT_BACKEND_CUDA_KERNELS_LINEAR_H

#include "types.h"

/* ft_activation's numbers. */
enum { FT_CUDA_NO_ACTIVATION = 0, FT_CUDA_GELU, FT_CUDA_TANH, FT_CUDA_RELU };

/* activation_forward: y = activation(z); y may be z. A thread has FT_ACTIVATION_WIDTH elements
 * where `vector`: then count is a multiple of that, and z and y are 16-byte aligned; otherwise it
 * has one. */
enum { FT_ACTIVATION_THREADS = 256, FT_ACTIVATION_WIDTH = 8 };

typedef struct ft_activation_arguments {
    const void *z;
    void *y;
    unsigned long long count;
    int activation, vector;
} ft_activation_arguments;

/* Blocks have FT_DZ_LANES threads along the columns, four columns each where `vector`, one
 * otherwise, and FT_DZ_ROWS along the rows. */
enum { FT_DZ_LANES = 32, FT_DZ_ROWS = 8 };

/* linear_dz: dy becomes dz = dy * activation'(kept), and chunk c of chunk_rows rows sums dz's
 * columns into partials[c], of which add_partials makes dbias. Where there is a layout, dz's rows
 * behind the tokens are zeros, whatever dy is there. Grid (columns, chunks). */
typedef struct ft_linear_dz_arguments {
    void *dy;                     /* [rows, columns] */
    const void *kept;             /* [rows, columns]; unused without an activation */
    float *partials;              /* [chunks, columns] */
    const ft_cuda_layout *layout; /* or NULL */
    int rows, columns, chunk_rows, activation, vector, unused;
} ft_linear_dz_arguments;

#endif
