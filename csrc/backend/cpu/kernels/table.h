/* The kernels' table, from the bodies beside it. Each kernels_*.c chooses its target, sets what
 * follows and includes this. (What the compiler defines for a target does not do: the target adds
 * to what the whole build is for, under -march=native say.)
 *   FT_LANES: numbers of float32 in a vector.
 *   FT_MOST_PACKED: how many numbers of the sum that an element of a product is may be in one
 *     32-bit lane: one of float32, or two of bfloat16, a pair, where the processor takes products
 *     of pairs.
 *   FT_KERNELS, FT_KERNELS_NAME: the table's symbol and name. */
#include "backend/cpu/kernels/attention.h"
#include "backend/cpu/kernels/elementwise.h"
#include "backend/cpu/kernels/norm.h"

const ft_cpu_kernels FT_KERNELS = {
    .name = FT_KERNELS_NAME,
    .rows_scratch = rows_scratch,
    .attention_scratch = attention_scratch,
    .embedding_forward = embedding_forward,
    .embedding_norm_backward = embedding_norm_backward,
    .embedding_tables_backward = embedding_tables_backward,
    .residual_norm_forward = residual_norm_forward,
    .residual_norm_backward = residual_norm_backward,
    .activation_forward = activation_forward,
    .activation_backward = activation_backward,
    .dropout = dropout,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .scale_add = scale_add,
    .sum_of_squares = sum_of_squares,
    .adamw = adamw,
    .decay = decay,
    .to_bfloat16 = to_bfloat16,
};
