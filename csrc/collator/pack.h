/* From rows of tokens to the packed batch of common/batch.h. */
#ifndef FT_COLLATOR_PACK_H
#define FT_COLLATOR_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "collator/columns.h"
#include "common/batch.h"
#include "common/status.h"

/* What a batch is to hold. */
typedef struct ft_batch_shape {
    int64_t sequences, tokens;
    int64_t label_width;   /* columns of target_labels; 0: no real-valued labels */
    bool has_class_labels; /* integer labels */
    bool has_key_starts;
} ft_batch_shape;

/* A batch of that shape, zero-filled, its arrays carved from one piece of memory. */
ft_status ft_batch_create(const ft_batch_shape *shape, ft_batch *out);

void ft_batch_release(ft_batch *batch);

/* A padded batch as users hold it. Every value is checked to fit in 32 bits. */
typedef struct ft_padded {
    int64_t rows, length;
    const int64_t *input_ids;      /* [rows, length] */
    const int64_t *attention_mask; /* [rows, length] of 0 and 1, or NULL: all 1 */
    const int64_t *token_type_ids; /* [rows, length] or NULL: all 0 */
    const int64_t *position_ids;   /* [rows, length], [1, length], or NULL: the column's number */
    bool one_row_of_positions;     /* position_ids is [1, length] */
    const int64_t *class_labels;   /* [rows] or NULL */
    const float *target_labels;    /* [rows, label_width] or NULL */
    int64_t label_width;
} ft_padded;

/* Keeps the tokens whose mask is 1, and the first of each row whatever its mask (see key_starts in
 * common/batch.h). A row without a 1 is refused: it has no keys to attend to. */
ft_status ft_pack_padded(const ft_padded *padded, ft_batch *out);

/* The rows of `columns` named by indices [count], in that order. */
ft_status ft_pack_rows(const ft_columns *columns, const int64_t *indices, int64_t count,
                       ft_batch *out);

#endif
