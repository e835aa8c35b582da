/* The kernels' table, from the bodies beside it. Each kernels_*.c sets FT_LANES, FT_KERNELS (the
 * table's symbol) and FT_KERNELS_NAME, chooses its target and includes this. */
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
