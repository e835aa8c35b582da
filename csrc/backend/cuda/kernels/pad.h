/* Packed rows to a dense [sequences, length, columns] and back, for attention that is dense inside.
 */
#ifndef FT_BACKEND_CUDA_KERNELS_PAD_H
#define FT_BACKEND_CUDA_KERNELS_PAD_H

#include "types.h"

enum { FT_PAD_THREADS = 128 };

/* pad_rows: dense[s, i] = packed[cu_seqlens[s] + i], or zeros from the sequence's end on.
 * unpad_rows: the reverse; packed rows from layout->tokens to layout->rows become zeros.
 * Grid (length, sequences; unpad_rows one more in y for the rows behind the tokens), one block of
 * FT_PAD_THREADS a row. */
typedef struct ft_pad_arguments {
    void *packed; /* [rows, columns], `stride` elements apart */
    void *dense;  /* [sequences, length, columns] */
    const int *cu_seqlens;
    const ft_cuda_layout *layout;
    int stride, columns, length;
    int vector; /* rows are 16-byte aligned and a multiple of 16 bytes long, packed and dense */
} ft_pad_arguments;

/* attention_begin: what cuDNN wants to know of the sequences, by the first block of FT_PAD_THREADS:
 * lengths[s] = tokens of sequence s, [sequences]; offsets[s] = cu_seqlens[s] * width,
 * [sequences + 1]. Further blocks, of any number, zero the rows of out behind the tokens. */
typedef struct ft_attention_begin_arguments {
    const int *cu_seqlens;
    int *lengths;
    int *q_offsets, *kv_offsets, *out_offsets;
    void *out; /* [rows, out_width] */
    const ft_cuda_layout *layout;
    int sequences, q_width, kv_width, out_width;
    int vector, unused; /* as in ft_pad_arguments, of out */
} ft_attention_begin_arguments;

#endif
