/* The columns that go with the ids (token types, masks), and padding. A row of such a column is a
 * few runs of equal numbers. */
#ifndef FT_TOKENIZER_ROWS_H
#define FT_TOKENIZER_ROWS_H

#include "tokenizer/tokenizer.h"

typedef enum ft_column {
    FT_COLUMN_IDS,
    FT_COLUMN_TYPES,
    FT_COLUMN_MASK,    /* 1: a token, 0: padding */
    FT_COLUMN_SPECIAL, /* 1: a special token or padding */
    FT_COLUMNS,
} ft_column;

typedef struct ft_padding {
    int64_t length; /* rows shorter than this are padded to it; 0: none */
    bool left;
    int32_t id, type;
} ft_padding;

typedef struct ft_run {
    int64_t count;
    int64_t value;
} ft_run;

enum { FT_RUNS = FT_TEMPLATE_PIECES + 1 };

/* The runs of a row of any column but the ids, padded, none of them empty; returns how many. */
int ft_encoding_runs(const ft_encoding *encoding, int64_t row, ft_column column,
                     const ft_padding *padding, ft_run runs[FT_RUNS]);

static inline int64_t ft_encoding_length(const ft_encoding *encoding, int64_t row)
{
    return encoding->offsets[row + 1] - encoding->offsets[row];
}

/* The length of the longest row, and of the shortest; 0 where there are no rows. */
int64_t ft_encoding_longest(const ft_encoding *encoding);
int64_t ft_encoding_shortest(const ft_encoding *encoding);

/* Writes a column to out [rows, width]; every padded row is `width` long. */
void ft_encoding_fill(const ft_encoding *encoding, ft_column column, const ft_padding *padding,
                      int64_t width, int64_t *out);

#endif
