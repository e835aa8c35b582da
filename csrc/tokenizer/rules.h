/* All that decides which ids a text becomes. */
#ifndef FT_TOKENIZER_RULES_H
#define FT_TOKENIZER_RULES_H

#include "tokenizer/added_tokens.h"
#include "tokenizer/normalize.h"
#include "tokenizer/wordpiece.h"

typedef struct ft_rules {
    ft_normalizer normalizer;
    ft_wordpiece model;
    ft_added_tokens raw;        /* added tokens looked for in the text as it is */
    ft_added_tokens normalized; /* and in the normalised text */
    int32_t ascii[128];         /* the id of each ASCII punctuation mark */
} ft_rules;

#endif
