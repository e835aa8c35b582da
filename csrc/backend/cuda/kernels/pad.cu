/* Packed rows to dense ones and back; what cuDNN wants to know of the sequences. */
#include "common.cuh"
#include "pad.h"

/* One row, by the threads of a block: `columns` elements from `from`, or zeros where it is NULL. */
__device__ inline void copy_row(const ft_element *from, ft_element *to, int columns, bool vector)
{
    const int PER_QUAD = 16 / sizeof(ft_element);
    if (vector) {
        for (int i = threadIdx.x; i < columns / PER_QUAD; i += blockDim.x)
            ((uint4 *)to)[i] = from ? ((const uint4 *)from)[i] : make_uint4(0, 0, 0, 0);
    } else {
        for (int i = threadIdx.x; i < columns; i += blockDim.x)
            to[i] = from ? from[i] : (ft_element)0;
    }
}

FT_KERNEL(pad_rows, FT_PAD_THREADS)(ft_pad_arguments a)
{
    int begin = a.cu_seqlens[blockIdx.y], length = a.cu_seqlens[blockIdx.y + 1] - begin;
    int row = blockIdx.x;
    const ft_element *from = (const ft_element *)a.packed + (size_t)(begin + row) * a.stride;
    ft_element *to = (ft_element *)a.dense + ((size_t)blockIdx.y * a.length + row) * a.columns;
    copy_row(row < length ? from : 0, to, a.columns, a.vector);
}

/* Rows behind the tokens, every `step`th from the one of that number on. */
__device__ inline void zero_behind(const ft_cuda_layout *layout, void *packed, int stride,
                                   int columns, bool vector, int first, int step)
{
    for (int row = layout->tokens + first; row < layout->rows; row += step)
        copy_row(0, (ft_element *)packed + (size_t)row * stride, columns, vector);
}

FT_KERNEL(unpad_rows, FT_PAD_THREADS)(ft_pad_arguments a)
{
    if (blockIdx.y == gridDim.y - 1) {
        zero_behind(a.layout, a.packed, a.stride, a.columns, a.vector, blockIdx.x, gridDim.x);
        return;
    }
    int begin = a.cu_seqlens[blockIdx.y], length = a.cu_seqlens[blockIdx.y + 1] - begin;
    int row = blockIdx.x;
    if (row >= length)
        return;
    const ft_element *from =
        (const ft_element *)a.dense + ((size_t)blockIdx.y * a.length + row) * a.columns;
    copy_row(from, (ft_element *)a.packed + (size_t)(begin + row) * a.stride, a.columns, a.vector);
}

FT_KERNEL(attention_begin, FT_PAD_THREADS)(ft_attention_begin_arguments a)
{
    if (blockIdx.x > 0) {
        zero_behind(a.layout, a.out, a.out_width, a.out_width, a.vector, blockIdx.x - 1,
                    gridDim.x - 1);
        return;
    }
    for (int s = threadIdx.x; s <= a.sequences; s += blockDim.x) {
        int begin = a.cu_seqlens[s];
        if (s < a.sequences)
            a.lengths[s] = a.cu_seqlens[s + 1] - begin;
        a.q_offsets[s] = begin * a.q_width;
        a.kv_offsets[s] = begin * a.kv_width;
        a.out_offsets[s] = begin * a.out_width;
    }
}
