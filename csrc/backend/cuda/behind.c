#include "backend/cuda/behind.h"

#include "backend/cuda/tape.h"

ft_status ft_cuda_zero_behind(ft_cuda *cuda, const ft_cuda_behind *behind)
{
    FT_FORWARD(ft_cuda_finish_behind(cuda));
    *ft_cuda_tape_behind(cuda->tape) = *behind;
    return FT_OK;
}

const ft_cuda_layout *ft_cuda_take_behind(ft_cuda *cuda, const ft_linear_gradient *g)
{
    ft_cuda_behind *waiting = ft_cuda_tape_behind(cuda->tape);
    const ft_pad_arguments *rows = &waiting->rows;
    if (rows->packed != g->dy || waiting->count != g->rows || rows->columns != g->out ||
        rows->stride != g->out || waiting->precision != g->precision)
        return NULL;
    waiting->rows.packed = NULL;
    return rows->layout;
}

ft_status ft_cuda_finish_behind(ft_cuda *cuda)
{
    ft_cuda_behind *waiting = ft_cuda_tape_behind(cuda->tape);
    const ft_pad_arguments rows = waiting->rows;
    if (rows.packed == NULL)
        return FT_OK;
    waiting->rows.packed = NULL;
    return ft_cuda_launch(cuda, &(ft_launch){
                                    .kernel = FT_KERNEL_unpad_rows,
                                    .precision = waiting->precision,
                                    .grid = {(uint32_t)rows.length, 1, 1},
                                    .block = {FT_PAD_THREADS, 1, 1},
                                    .arguments = &rows,
                                    .size = sizeof rows,
                                });
}
