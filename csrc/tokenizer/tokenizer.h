/* A BERT tokenizer: rows of text, single or paired, to rows of ids. It is not changed by use, and
 * may be used by several threads at once. */
#ifndef FT_TOKENIZER_TOKENIZER_H
#define FT_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/normalize.h"
#include "tokenizer/trace.h"
#include "tokenizer/truncation.h"
#include "tokenizer/vocabulary.h"

/* How special tokens are put around the texts of a row: a list of pieces, in order. */
enum {
    FT_PIECE_FIRST = -1,  /* in place of an id: the first text */
    FT_PIECE_SECOND = -2, /* the second text */
    FT_TEMPLATE_PIECES = 32,
};

typedef struct ft_template {
    int32_t count;
    int32_t specials; /* pieces that are an id */
    int32_t ids[FT_TEMPLATE_PIECES];
    int32_t types[FT_TEMPLATE_PIECES]; /* the token type of each piece */
} ft_template;

typedef struct ft_tokenizer_options {
    ft_normalizer normalizer;
    const uint8_t *prefix; /* of tokens that continue a word */
    size_t prefix_length;
    size_t longest_word; /* in code points; a longer word is unknown */
    int32_t unknown;     /* id of the unknown token */
    ft_template single, pair;
} ft_tokenizer_options;

typedef struct ft_tokenizer ft_tokenizer;

/* Copies all it is given but the vocabulary, which is shared: it must outlive the tokenizer. */
ft_status ft_tokenizer_create(const ft_tokenizer_options *options, const ft_vocabulary *vocabulary,
                              const ft_added_token *added, size_t added_count, ft_tokenizer **out);

void ft_tokenizer_destroy(ft_tokenizer *tokenizer);

const ft_normalizer *ft_tokenizer_normalizer(const ft_tokenizer *tokenizer);

/* A text in valid UTF-8; bytes is NULL where a row has no second text. */
typedef struct ft_text {
    const uint8_t *bytes;
    size_t length;
} ft_text;

/* The first or the second texts of rows. */
typedef struct ft_texts {
    const ft_text *texts; /* NULL: no row has one */
    /* NULL: row r's text is texts[r]. Otherwise [rows + 1]: it was split before, into the words
     * texts[words[r]..words[r + 1]). */
    const int64_t *words;
} ft_texts;

typedef struct ft_encode_options {
    bool special_tokens;
    bool pass_special; /* special tokens in a text are text like any other */
    bool overflow;     /* what truncation cuts off becomes further rows */
    bool trace;        /* keep where each token comes from */
    ft_truncation truncation;
    int threads; /* 0: as many as there are processors and the texts are worth */
} ft_encode_options;

typedef struct ft_row {
    int64_t end;        /* its ids begin where the row before ends, and end here */
    int64_t sample;     /* the texts it is of */
    int32_t lengths[2]; /* tokens of the first and the second text; -1: no second text */
    bool further[2];    /* of the first, the second text: a part that was cut off */
} ft_row;

/* Whether it is not its texts' first row. */
static inline bool ft_row_is_overflow(const ft_row *row)
{
    return row->further[0] || row->further[1];
}

/* Rows of tokens, end to end. */
typedef struct ft_encoding {
    int64_t count;
    ft_row *rows;    /* [count] */
    ft_trace tokens; /* where they come from only if options.trace */
    bool special_tokens;
    ft_template single, pair;
} ft_encoding;

/* Encodes rows of texts. Release the result with ft_encoding_clear. */
ft_status ft_tokenizer_encode(ft_tokenizer *tokenizer, const ft_texts *first,
                              const ft_texts *second, int64_t rows,
                              const ft_encode_options *options, ft_encoding *out);

void ft_encoding_clear(ft_encoding *encoding);

static inline int64_t ft_encoding_begin(const ft_encoding *encoding, int64_t row)
{
    return row > 0 ? encoding->rows[row - 1].end : 0;
}

static inline int64_t ft_encoding_length(const ft_encoding *encoding, int64_t row)
{
    return encoding->rows[row].end - ft_encoding_begin(encoding, row);
}

/* The template that row r was made with. */
static inline const ft_template *ft_encoding_template(const ft_encoding *encoding, int64_t row)
{
    return encoding->rows[row].lengths[1] < 0 ? &encoding->single : &encoding->pair;
}

#endif
