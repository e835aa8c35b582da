/* The rows of a data set as flat arrays: tokens end to end, offsets between them. Rows are appended
 * one by one, with their masked tokens still in; ft_columns_finish drops those, after which the
 * columns no longer change and any number of threads may pack batches from them. */
#ifndef FT_COLLATOR_COLUMNS_H
#define FT_COLLATOR_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef enum ft_label_kind {
    FT_LABEL_NONE = 0,
    FT_LABEL_CLASS,  /* one integer a row */
    FT_LABEL_TARGET, /* label_width real numbers a row */
} ft_label_kind;

/* The per-token columns. */
typedef enum ft_token_column {
    FT_INPUT_IDS = 0,
    FT_TOKEN_TYPE_IDS,
    FT_POSITION_IDS,
    FT_ATTENTION_MASK, /* gone once finished */
    FT_TOKEN_COLUMNS,
} ft_token_column;

extern const char *const ft_token_column_names[FT_TOKEN_COLUMNS];

/* The names that a column of labels may have; NULL ends them. */
extern const char *const ft_label_column_names[];

bool ft_is_label_column(const char *name);

typedef struct ft_columns {
    int64_t rows, row_capacity;
    int64_t token_capacity;
    int64_t *offsets;                  /* [rows + 1]: row r is tokens offsets[r]..offsets[r + 1] */
    int32_t *tokens[FT_TOKEN_COLUMNS]; /* [offsets[rows]] each, or NULL: the column is absent */
    bool has[FT_TOKEN_COLUMNS];
    uint8_t *first_masked; /* [rows] or NULL: rows whose first token is no key of attention */
    ft_label_kind label_kind;
    int64_t label_width;   /* of FT_LABEL_TARGET; set before the first row */
    int64_t *class_labels; /* [rows] or NULL */
    float *target_labels;  /* [rows, label_width] or NULL */
} ft_columns;

/* Room for that many more rows and tokens; arrays of absent columns stay NULL. */
ft_status ft_columns_reserve(ft_columns *columns, int64_t rows, int64_t tokens);

/* Where the tokens of the row now being appended go, in the given column. */
static inline int32_t *ft_columns_tail(const ft_columns *columns, ft_token_column column)
{
    return columns->tokens[column] + columns->offsets[columns->rows];
}

/* Drops masked tokens and checks that every row has a token to attend to. */
ft_status ft_columns_finish(ft_columns *columns);

void ft_columns_release(ft_columns *columns);

#endif
