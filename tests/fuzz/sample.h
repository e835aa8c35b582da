/* A tokenizer and rows of texts, drawn from the bytes of a fuzz input. */
#ifndef FT_FUZZ_SAMPLE_H
#define FT_FUZZ_SAMPLE_H

#include "input.h"
#include "tokenizer/tokenizer.h"

enum {
    SAMPLE_ADDED = 7,
    SAMPLE_ROWS = 24,
    SAMPLE_TEXTS = 256, /* of one side, all rows together */
    SAMPLE_FIRST_ADDED = 5000,
};

typedef struct sample {
    ft_tokenizer_options options;
    ft_vocabulary vocabulary;
    size_t ids;                             /* of the vocabulary: from 0 */
    ft_added_token added[SAMPLE_ADDED + 1]; /* ids from SAMPLE_FIRST_ADDED; room for one more */
    size_t added_count;
    ft_text texts[2][SAMPLE_TEXTS];
    int64_t words[2][SAMPLE_ROWS + 1]; /* where each row's texts begin */
    ft_texts sides[2];
    bool split; /* a row's texts are words */
    int64_t rows;
    ft_encode_options encode;
    bool two_threads;       /* compare with two */
    int failing_allocation; /* -1: none */
    strings strings;
} sample;

/* The input: eight bytes of options, a vocabulary where they ask for one, the added tokens, each
 * behind a byte of flags, and the texts. All but the options end with 0xFF. A text that is given in
 * words has | between them. */
void sample_draw(sample *sample, input in);

/* Whether a row is a pair. */
bool sample_has_second(const sample *sample, int64_t row);

void sample_clear(sample *sample);

#endif
