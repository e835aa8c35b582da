/* Our own attention: for what cuDNN does not take. */
#ifndef FT_BACKEND_CUDA_KERNELS_ATTENTION_H
#define FT_BACKEND_CUDA_KERNELS_ATTENTION_H

#include "types.h"

/* The kernels exist for heads of up to 32, 64 and 128 columns: attention_<pass>_<columns>.
 *
 * attention_forward writes out and lse. attention_dq writes dq, and delta: the sum of dout * out in
 * each row. attention_dkdv, which reads delta, writes dk and dv. A block makes a tile of queries
 * (dkdv: of keys) of one head of one sequence. Grid ((sequences + 1) * tiles, heads), with as many
 * tiles as the longest sequence has; those of the sequence behind the last zero the rows that
 * belong to none. Dynamic shared memory: see FT_ATTENTION_SHARED_FLOATS.
 *
 * attention_first_forward and attention_first_backward: one query a sequence, its first row, which
 * is row s of q and out. Grid (sequences, heads), in backward one sequence more, for the rows that
 * belong to none. */
enum {
    FT_ATTENTION_FORWARD_THREADS = 256,
    FT_ATTENTION_BACKWARD_THREADS = 128,
    FT_ATTENTION_FIRST_THREADS = 256,
    FT_ATTENTION_KEYS = 32, /* of a tile */
    /* In float16, heads of up to FT_ATTENTION_TENSOR_COLUMNS columns are tensor cores': tiles of
     * FT_ATTENTION_TENSOR_ROWS queries or keys, no dynamic shared memory. */
    FT_ATTENTION_TENSOR_COLUMNS = 64,
    FT_ATTENTION_TENSOR_ROWS = 64,
    FT_ATTENTION_TENSOR_THREADS = 128,
};

typedef struct ft_attention_arguments {
    const void *q, *k, *v; /* heads * head_dim columns, rows q_stride or kv_stride apart */
    void *out;             /* [query rows, heads * head_dim] */
    float *lse;            /* [heads, query rows] */
    const void *dout;      /* as out */
    void *dq, *dk, *dv;    /* as q, k, v */
    float *delta;          /* [heads, query rows] */
    const int *cu_seqlens, *key_starts;
    const ft_cuda_layout *layout;
    const ft_cuda_dropout *dropout;
    int sequences, rows, query_rows;
    int heads, head_dim, q_stride, kv_stride;
    int tiles;
    int vector; /* rows may be read and written four columns at a time */
    float scale;
} ft_attention_arguments;

/* The queries of a tile: of heads of many columns few, so that tiles of all operands fit in the 64
 * KiB of shared memory that every GPU gives a block. */
#define FT_ATTENTION_FORWARD_QUERIES(columns) ((columns) <= 64 ? 64 : 32)
#define FT_ATTENTION_BACKWARD_QUERIES(columns) ((columns) <= 64 ? 32 : 16)

/* Tiles in shared memory are float32; their rows are a bit longer than their columns, against bank
 * conflicts. */
#define FT_ATTENTION_PITCH(columns) ((columns) + 4)

/* Tiles of queries (in backward also of dout), of keys and of values; behind them the scores, or
 * what backward makes of them: one tile for dq, two for dkdv. */
#define FT_ATTENTION_SHARED_FLOATS(columns, queries, query_tiles, score_tiles)                     \
    (((query_tiles) * (queries) + 2 * FT_ATTENTION_KEYS) * FT_ATTENTION_PITCH(columns) +           \
     (score_tiles) * (queries)*FT_ATTENTION_PITCH(FT_ATTENTION_KEYS))

#endif
