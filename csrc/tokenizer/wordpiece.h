/* WordPiece: a word becomes the longest token that starts it, then the longest continuation that
 * starts the rest, and so on; or the unknown token, where some rest has none. */
#ifndef FT_TOKENIZER_WORDPIECE_H
#define FT_TOKENIZER_WORDPIECE_H

#include "tokenizer/reserve.h"
#include "tokenizer/vocabulary.h"

typedef struct ft_wordpiece {
    const ft_vocabulary *vocabulary;
    int32_t unknown;     /* the unknown token's id */
    size_t longest_word; /* in code points; a longer word is unknown */
    uint8_t *prefix;     /* of continuations, "##" */
    size_t prefix_length;
    uint64_t prefix_hash;
} ft_wordpiece;

/* Adds the ids of a word, valid UTF-8 and not empty; and to `ends`, unless it is NULL, the byte of
 * the word that each piece ends before. */
ft_status ft_wordpiece_match(const ft_wordpiece *model, const uint8_t *word, size_t length,
                             ft_ids *out, ft_sizes *ends);

#endif
