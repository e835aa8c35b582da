/* The columns that go with the ids (token types, masks), and padding. A row of such a column is a
 * few runs of equal numbers. */
#ifndef FT_TOKENIZER_ROWS_H
#define FT_TOKENIZER_ROWS_H

#include "tokenizer/tokenizer.h"

typedef enum ft_column {
    FT_COLUMN_IDS,
    FT_COLUMN_TYPES,
    FT_COLUMN_MASK,      /* 1: a token, 0: padding */
    FT_COLUMN_SPECIAL,   /* 1: a special token or padding */
    FT_COLUMN_SEQUENCES, /* which text a token is of: 0, 1, or -1 for special tokens and padding */
    FT_COLUMN_WORDS,     /* the number of a token's word, or -1. This and the next need a trace */
    FT_COLUMN_OFFSETS,   /* two numbers a token: the characters of the text it comes from */
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

/* Whether a column is made of runs: all but the ids, words and offsets. */
static inline bool ft_column_has_runs(ft_column column)
{
    return column >= FT_COLUMN_TYPES && column <= FT_COLUMN_SEQUENCES;
}

/* The runs of a row of such a column, padded, none of them empty; returns how many. */
int ft_encoding_runs(const ft_encoding *encoding, int64_t row, ft_column column,
                     const ft_padding *padding, ft_run runs[FT_RUNS]);

/* The length of the longest row, those of overflow counted or not, and of the shortest; 0 where
 * there are no rows. */
int64_t ft_encoding_longest(const ft_encoding *encoding, bool overflow);
int64_t ft_encoding_shortest(const ft_encoding *encoding);

/* Writes a column to out [rows, width], or [rows, width, 2] for the offsets; every padded row is
 * `width` long. */
void ft_encoding_fill(const ft_encoding *encoding, ft_column column, const ft_padding *padding,
                      int64_t width, int64_t *out);

#endif
