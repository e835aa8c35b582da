/* Truncation, and the rows that take up what it cuts off. The rules are the Hugging Face library's,
 * whatever one may think of them. */
#ifndef FT_TOKENIZER_TRUNCATION_H
#define FT_TOKENIZER_TRUNCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

typedef enum ft_truncation_strategy {
    FT_TRUNCATE_NOT,
    FT_TRUNCATE_LONGEST_FIRST,
    FT_TRUNCATE_ONLY_FIRST,
    FT_TRUNCATE_ONLY_SECOND,
} ft_truncation_strategy;

typedef struct ft_truncation {
    ft_truncation_strategy strategy;
    int64_t max_length; /* of a row, special tokens included; not negative */
    int64_t stride;     /* tokens that a part shares with the one before it; not negative */
    bool left;          /* the first part is the end of the text, not its beginning */
} ft_truncation;

/* A text of `tokens` tokens in parts of `room` at most, of which the first is what truncation
 * leaves of it. */
typedef struct ft_parts {
    int64_t count; /* at least 1 */
    int64_t tokens, room, stride;
    bool left;
} ft_parts;

/* The tokens [*begin, *end) of a part. */
void ft_parts_get(const ft_parts *parts, int64_t index, int64_t *begin, int64_t *end);

/* Refuses a stride that leaves no room for new tokens. `specials` is the number of special tokens
 * around a single text, which count here even where they are not added. */
ft_status ft_truncation_check(const ft_truncation *truncation, int32_t specials);

/* Cuts a row's texts, of n1 and n2 tokens, into parts, so that with `specials` special tokens the
 * first parts are a row of max_length. n2 is negative where there is no second text. FT_ERROR_VALUE
 * where the strategy cannot. */
ft_status ft_truncate(const ft_truncation *truncation, int32_t specials, int64_t n1, int64_t n2,
                      ft_parts *first, ft_parts *second);

#endif
