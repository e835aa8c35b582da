/* Tables of which only some rows matter, for the kernels that pass over them. */
#ifndef FT_BACKEND_CUDA_TABLE_H
#define FT_BACKEND_CUDA_TABLE_H

#include "backend/cuda/kernels/table.h"
#include "backend/cuda/launch.h"

/* aligned: all operands are, to 16 bytes. */
static inline ft_cuda_table ft_cuda_table_of(ft_rows rows, size_t count, bool aligned)
{
    size_t width = rows.flags ? rows.width : FT_TABLE_FLAT_WIDTH;
    return (ft_cuda_table){
        .flags = rows.flags,
        .count = count,
        .width = width,
        .fours = aligned && width % 4 == 0,
    };
}

static inline uint32_t ft_cuda_table_blocks(const ft_cuda *cuda, const ft_cuda_table *table)
{
    size_t rows = table->count ? (table->count - 1) / table->width + 1 : 1;
    return ft_cuda_blocks(rows, FT_TABLE_WARPS, ft_cuda_pass_blocks(cuda));
}

#endif
