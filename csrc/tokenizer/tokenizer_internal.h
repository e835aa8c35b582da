/* What tokenizer.c and batch.c share. */
#ifndef FT_TOKENIZER_TOKENIZER_INTERNAL_H
#define FT_TOKENIZER_TOKENIZER_INTERNAL_H

#include <pthread.h>

#include "tokenizer/encoder.h"
#include "tokenizer/tokenizer.h"

struct ft_tokenizer {
    ft_rules rules;
    ft_template single, pair;
    pthread_mutex_t lock; /* guards idle */
    ft_encoder *idle;     /* encoders that nobody uses now, with the words they know */
};

/* An encoder for one thread, to be returned. */
ft_status ft_tokenizer_take_encoder(ft_tokenizer *tokenizer, ft_encoder **out);

void ft_tokenizer_return_encoder(ft_tokenizer *tokenizer, ft_encoder *encoder);

#endif
