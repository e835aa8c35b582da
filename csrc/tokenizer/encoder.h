/* From one text to its ids: added tokens, normalisation, splitting, WordPiece. An encoder is the
 * scratch memory of one thread at work; what it computes depends on the rules alone. */
#ifndef FT_TOKENIZER_ENCODER_H
#define FT_TOKENIZER_ENCODER_H

#include <stdbool.h>

#include "tokenizer/reserve.h"
#include "tokenizer/rules.h"
#include "tokenizer/trace.h"

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
#ifdef FT_FUZZING
    FT_WORD_SET_BITS = 2, /* so little memory that a short text fills it */
    FT_WORD_MANY = 1 << 5,
#else
    FT_WORD_SET_BITS = 16,
    FT_WORD_MANY = 1 << 17,
#endif
};

typedef struct ft_encoder {
    const ft_rules *rules;
    ft_text_buffer text; /* the normalised form of a word, or of a text */
    ft_word *words; /* [1 << FT_WORD_SET_BITS, 2]: a set is two words that share a cache line */
    int32_t *many;  /* [FT_WORD_MANY] */
    size_t many_count;
    bool pass_special;       /* set by the caller: special tokens in a text are text */
    ft_trace traces[2];      /* scratch of whoever encodes rows: of the first and second text */
    struct ft_encoder *next; /* in a list of idle encoders */
} ft_encoder;

ft_status ft_encoder_create(const ft_rules *rules, ft_encoder **out);

void ft_encoder_destroy(ft_encoder *encoder);

/* Gives back the scratch memory that a very long text has taken. */
void ft_encoder_trim(ft_encoder *encoder);

/* Adds the ids of a text, valid UTF-8, without special tokens. */
ft_status ft_encoder_encode(ft_encoder *encoder, const uint8_t *text, size_t length, ft_ids *out);

#endif
