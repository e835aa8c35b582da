/* Whether what a reader made of a file can be used. */
#ifndef FT_FUZZ_USABLE_H
#define FT_FUZZ_USABLE_H

#include "tokenizer/vocabulary.h"

/* The id of a token; -1 where there is none. */
int32_t find_token(const ft_vocabulary *vocabulary, const uint8_t *bytes, size_t length);

/* Both hold the same tokens with the same ids. */
void check_same_vocabulary(const ft_vocabulary *a, const ft_vocabulary *b);

/* Finds each token by its bytes and its id, and encodes a text. */
void check_usable(const ft_vocabulary *vocabulary);

#endif
