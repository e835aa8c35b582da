/* Added tokens: tokens that are found in the text itself, before it is split into words, such as
 * [SEP] and [MASK]. */
#ifndef FT_TOKENIZER_ADDED_TOKENS_H
#define FT_TOKENIZER_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef struct ft_added_token {
    const uint8_t *bytes; /* valid UTF-8 */
    size_t length;
    int32_t id;
    bool single_word; /* only where no word character is next to it */
    bool lstrip;      /* takes the white space on its left */
    bool rstrip;      /* takes the white space on its right */
    bool normalized;  /* looked for in the normalised text */
    bool special;     /* may be asked to be left in the text */
} ft_added_token;

/* Tokens that are looked for together: the leftmost that matches, of those the longest. */
typedef struct ft_added_tokens {
    ft_added_token *tokens; /* by first byte, then longest first */
    size_t count;
    uint32_t starts[257]; /* the tokens that start with byte b: [starts[b], starts[b + 1]) */
    int only_start;       /* the byte that every token starts with, or -1 */
    uint8_t *bytes;       /* of all tokens */
} ft_added_tokens;

/* Copies the tokens; empty ones are left out. The caller clears the set in any case. */
ft_status ft_added_tokens_fill(ft_added_tokens *set, const ft_added_token *tokens, size_t count);

void ft_added_tokens_clear(ft_added_tokens *set);

typedef struct ft_added_match {
    size_t start, stop; /* bytes; the white space it takes included */
    int32_t id;
    bool spaced; /* it has taken white space, or lost some to the token before */
} ft_added_match;

/* Where the search stands: zero-initialise it. */
typedef struct ft_added_cursor {
    size_t at;         /* where to look for the next token */
    size_t taken;      /* the end of the last match */
    bool pass_special; /* set by the caller: special tokens are passed over */
} ft_added_cursor;

/* The next match in the text, valid UTF-8; false where there is none. */
bool ft_added_tokens_next(const ft_added_tokens *set, const uint8_t *text, size_t length,
                          ft_added_cursor *cursor, ft_added_match *match);

#endif
