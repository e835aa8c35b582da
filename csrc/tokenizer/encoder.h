/* From one text to its ids: added tokens, normalisation, splitting, WordPiece. An encoder is the
 * scratch memory of one thread at work; what it computes depends on the rules alone. */
#ifndef FT_TOKENIZER_ENCODER_H
#define FT_TOKENIZER_ENCODER_H

#include "tokenizer/added_tokens.h"
#include "tokenizer/normalize.h"
#include "tokenizer/reserve.h"
#include "tokenizer/wordpiece.h"

typedef struct ft_rules {
    ft_normalizer normalizer;
    ft_wordpiece model;
    ft_added_tokens raw;        /* added tokens looked for in the text as it is */
    ft_added_tokens normalized; /* and in the normalised text */
    int32_t ascii[128];         /* the id of each ASCII punctuation mark */
} ft_rules;

/* What a short word of raw text becomes, kept because most words come again. One half cache line.
 */
typedef struct ft_word {
    uint64_t key[2]; /* the word's bytes, padded with zeros */
    uint16_t length; /* 0: nothing is kept here */
    uint16_t count;
    int32_t ids[3]; /* the ids; where they are more than three, ids[0] is their place in `many` */
} ft_word;

enum {
    FT_WORD_BYTES = 16, /* longer words are not kept */
#ifdef FT_FUZZING /* so little that a short text fills it */
    FT_WORD_SET_BITS = 2,
    FT_WORD_MANY = 1 << 5,
#else
    FT_WORD_SET_BITS = 14,
    FT_WORD_MANY = 1 << 15,
#endif
};

typedef struct ft_encoder {
    const ft_rules *rules;
    ft_text_buffer text; /* the normalised form of a word, or of a text */
    ft_word *words; /* [1 << FT_WORD_SET_BITS, 2]: a set is two words that share a cache line */
    int32_t *many;  /* [FT_WORD_MANY] */
    size_t many_count;
    ft_ids first, second;    /* scratch of whoever encodes rows */
    struct ft_encoder *next; /* in a list of idle encoders */
} ft_encoder;

ft_status ft_encoder_create(const ft_rules *rules, ft_encoder **out);

void ft_encoder_destroy(ft_encoder *encoder);

/* Adds the ids of a text, valid UTF-8, without special tokens. */
ft_status ft_encoder_encode(ft_encoder *encoder, const uint8_t *text, size_t length, ft_ids *out);

#endif
