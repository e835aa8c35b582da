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

typedef enum ft_truncation {
    FT_TRUNCATE_NOT,
    FT_TRUNCATE_LONGEST_FIRST,
    FT_TRUNCATE_ONLY_FIRST,
    FT_TRUNCATE_ONLY_SECOND,
} ft_truncation;

typedef struct ft_encode_options {
    bool special_tokens;
    ft_truncation truncation;
    int64_t max_length; /* of a row, special tokens included; not negative */
    bool truncate_left; /* drop a text's first tokens, not its last */
    int threads;        /* 0: as many as there are processors and the texts are worth */
} ft_encode_options;

/* Rows of ids, end to end. */
typedef struct ft_encoding {
    int64_t rows;
    int32_t *ids;     /* [offsets[rows]] */
    int64_t *offsets; /* [rows + 1]: row r is ids[offsets[r]..offsets[r + 1]) */
    int32_t *lengths; /* [rows, 2]: tokens of the first and the second text; -1: no second text */
    bool special_tokens;
    ft_template single, pair;
} ft_encoding;

/* Encodes rows of texts. `second` is NULL, or [rows]. Release the result with ft_encoding_clear. */
ft_status ft_tokenizer_encode(ft_tokenizer *tokenizer, const ft_text *first, const ft_text *second,
                              int64_t rows, const ft_encode_options *options, ft_encoding *out);

void ft_encoding_clear(ft_encoding *encoding);

/* The template that row r was made with. */
static inline const ft_template *ft_encoding_template(const ft_encoding *encoding, int64_t row)
{
    return encoding->lengths[2 * row + 1] < 0 ? &encoding->single : &encoding->pair;
}

#endif
