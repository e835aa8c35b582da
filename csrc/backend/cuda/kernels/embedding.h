/* Arguments of embedding.cu's kernels. */
#ifndef FT_BACKEND_CUDA_KERNELS_EMBEDDING_H
#define FT_BACKEND_CUDA_KERNELS_EMBEDDING_H

#include "norm.h"

enum {
    FT_EMBEDDING_THREADS = 256,
    FT_EMBEDDING_TYPE_THREADS = 1024,
    /* embedding_types: the columns of a block. */
    FT_EMBEDDING_TYPE_COLUMNS = 16,
};

/* embedding_forward: as ft_embedding. */
typedef struct ft_embedding_forward_arguments {
    ft_norm_forward_arguments norm;
    const int *input_ids, *position_ids, *token_type_ids;
    const float *word, *position, *type;
    float *sum;
    void *out;
    float *stream;
} ft_embedding_forward_arguments;

/* embedding_norm_backward: dout becomes the gradient of `sum`. */
typedef struct ft_embedding_norm_arguments {
    ft_norm_backward_arguments norm;
    const float *sum;
    float *dout;
} ft_embedding_norm_arguments;

/* A table that rows were taken from, and its gradient. */
typedef struct ft_embedding_table {
    const int *ids;       /* [tokens] */
    float *dtable;        /* [any, hidden] */
    unsigned char *flags; /* [any]: 1 for each row of dtable that was added to; or NULL */
    int skipped, unused;  /* the id that gets no gradient, or -1 */
} ft_embedding_table;

/* embedding_tables: adds row t of d to row ids[t] of either table's gradient, in the order of t.
 * Grid (rows, 2): a block for each token and table; those work whose id is the first of its kind.
 */
typedef struct ft_embedding_tables_arguments {
    ft_embedding_table word, position;
    const float *d; /* [tokens, hidden] */
    const int *tokens;
    int hidden;
    int fours; /* hidden is a multiple of four, d and the tables 16-byte aligned */
} ft_embedding_tables_arguments;

/* embedding_types: the same for a table of few rows that all tokens take from. Blocks of
 * FT_EMBEDDING_TYPE_COLUMNS columns. */
typedef struct ft_embedding_types_arguments {
    const int *ids;
    float *dtable;
    const float *d;
    const int *tokens;
    int hidden, unused;
} ft_embedding_types_arguments;

#endif
