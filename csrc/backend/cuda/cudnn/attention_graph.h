/* Fused attention as operation graphs, forward and backward, in the form in which cuDNN recognises
 * it: the operations and their order are those of its documentation. */
#ifndef FT_BACKEND_CUDA_CUDNN_ATTENTION_GRAPH_H
#define FT_BACKEND_CUDA_CUDNN_ATTENTION_GRAPH_H

#include "backend/backend.h"
#include "backend/cuda/cudnn/graph.h"

/* Sequences of at most `length` rows. Ragged: packed rows, and offsets say where each sequence
 * begins; otherwise sequence s begins at row s * length. Part of a plan's key, so without padding.
 */
typedef struct ft_cudnn_attention_shape {
    int32_t precision;
    int32_t backward, ragged; /* 0 or 1 */
    int32_t sequences, heads, length, head_dim;
    int32_t q_stride, kv_stride; /* between rows; out's is heads * head_dim */
    float dropout;               /* p; 0: none */
} ft_cudnn_attention_shape;

/* Which graphs these are: to be raised with every change of them or of the ids, so that no plan on
 * disk is taken for another. */
enum { FT_CUDNN_ATTENTION_GRAPHS = 2 };

/* The tensors' ids. */
enum {
    FT_ATTENTION_Q = 1,
    FT_ATTENTION_K,
    FT_ATTENTION_V,
    FT_ATTENTION_OUT,
    FT_ATTENTION_STATISTICS, /* float32 [sequences, heads, length]: log of the sum of exponentials
                              */
    FT_ATTENTION_Q_LENGTHS,  /* int32 [sequences]; the same numbers as kv's */
    FT_ATTENTION_KV_LENGTHS,
    FT_ATTENTION_Q_OFFSETS, /* int32 [sequences + 1], in elements; of q and dq */
    FT_ATTENTION_KV_OFFSETS,
    FT_ATTENTION_OUT_OFFSETS,
    FT_ATTENTION_SEED, /* int64 */
    FT_ATTENTION_SEED_OFFSET,
    /* by value, float32 */
    FT_ATTENTION_SCALE,
    FT_ATTENTION_MASKED,     /* the score of what is no key: minus infinity */
    FT_ATTENTION_KEEP,       /* 1 - p */
    FT_ATTENTION_KEEP_SCALE, /* 1 / (1 - p) */
    /* backward alone */
    FT_ATTENTION_DOUT,
    FT_ATTENTION_DQ,
    FT_ATTENTION_DK,
    FT_ATTENTION_DV,
    FT_ATTENTION_ROW_SUMS, /* scratch, float32 [sequences, heads, length] */
    FT_ATTENTION_DQ_SUMS,  /* scratch, float32 [sequences, heads, length, head_dim] */
};

/* Whether this compute capability may have fused attention; whether it is known to; and whether
 * that takes ragged rows: `spread`, rows that are further apart than they are long, as the thirds
 * of one matrix are. */
bool ft_cudnn_attends(int capability);
bool ft_cudnn_attends_surely(int capability);
bool ft_cudnn_attends_ragged(int capability, int version, bool spread);

void ft_cudnn_attention_graph(ft_cudnn_graph *, const ft_cudnn_attention_shape *);

#endif
