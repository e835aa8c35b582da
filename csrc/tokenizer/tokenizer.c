#include "tokenizer/tokenizer.h"

#include <string.h>

#include "common/memory.h"
#include "tokenizer/tokenizer_internal.h"

static ft_status fill_rules(ft_rules *rules, const ft_tokenizer_options *options,
                            const ft_vocabulary *vocabulary)
{
    ft_wordpiece *model = &rules->model;
    rules->normalizer = options->normalizer;
    model->vocabulary = vocabulary;
    FT_FORWARD(ft_allocate(options->prefix_length, (void **)&model->prefix));
    memcpy(model->prefix, options->prefix, options->prefix_length);
    model->prefix_length = options->prefix_length;
    model->prefix_hash = ft_hash_bytes(FT_HASH_START, options->prefix, options->prefix_length);
    model->unknown = options->unknown;
    model->longest_word = options->longest_word;

    ft_ids ids = {0};
    ft_status status = FT_OK;
    for (uint8_t byte = 0; status == FT_OK && byte < 128; byte++) {
        ids.count = 0;
        status = ft_wordpiece_match(model, &byte, 1, &ids, NULL);
        if (status == FT_OK)
            rules->ascii[byte] = ids.data[0];
    }
    ft_release(ids.data);
    return status;
}

static ft_status fill_added(ft_rules *rules, const ft_added_token *added, size_t count)
{
    /* The normalised forms of the tokens to be found in normalised text, end to end. */
    ft_added_token *raw = NULL, *normalized = NULL;
    ft_text_buffer text = {0};
    size_t raw_count = 0, normalized_count = 0;
    ft_status status = ft_allocate(count * sizeof *raw, (void **)&raw);
    if (status == FT_OK)
        status = ft_allocate(count * sizeof *normalized, (void **)&normalized);
    for (size_t i = 0; status == FT_OK && i < count; i++) {
        if (!added[i].normalized) {
            raw[raw_count++] = added[i];
            continue;
        }
        uint8_t *copy;
        status = ft_normalize(&rules->normalizer, added[i].bytes, added[i].length, &text);
        if (status == FT_OK)
            status = ft_allocate(text.length, (void **)&copy);
        if (status != FT_OK)
            break;
        if (text.length > 0)
            memcpy(copy, text.bytes, text.length);
        normalized[normalized_count] = added[i];
        normalized[normalized_count].bytes = copy;
        normalized[normalized_count++].length = text.length;
    }
    if (status == FT_OK)
        status = ft_added_tokens_fill(&rules->raw, raw, raw_count);
    if (status == FT_OK)
        status = ft_added_tokens_fill(&rules->normalized, normalized, normalized_count);
    for (size_t i = 0; i < normalized_count; i++)
        ft_release((void *)normalized[i].bytes);
    ft_text_buffer_clear(&text);
    ft_release(raw);
    ft_release(normalized);
    return status;
}

ft_status ft_tokenizer_create(const ft_tokenizer_options *options, const ft_vocabulary *vocabulary,
                              const ft_added_token *added, size_t added_count, ft_tokenizer **out)
{
    ft_tokenizer *tokenizer;
    *out = NULL;
    FT_FORWARD(ft_allocate(sizeof *tokenizer, (void **)&tokenizer));
    pthread_mutex_init(&tokenizer->lock, NULL);
    tokenizer->single = options->single;
    tokenizer->pair = options->pair;
    ft_status status = fill_rules(&tokenizer->rules, options, vocabulary);
    if (status == FT_OK)
        status = fill_added(&tokenizer->rules, added, added_count);
    if (status != FT_OK) {
        ft_tokenizer_destroy(tokenizer);
        return status;
    }
    *out = tokenizer;
    return FT_OK;
}

void ft_tokenizer_destroy(ft_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    while (tokenizer->idle != NULL) {
        ft_encoder *encoder = tokenizer->idle;
        tokenizer->idle = encoder->next;
        ft_encoder_destroy(encoder);
    }
    ft_release(tokenizer->rules.model.prefix);
    ft_added_tokens_clear(&tokenizer->rules.raw);
    ft_added_tokens_clear(&tokenizer->rules.normalized);
    pthread_mutex_destroy(&tokenizer->lock);
    ft_release(tokenizer);
}

const ft_normalizer *ft_tokenizer_normalizer(const ft_tokenizer *tokenizer)
{
    return &tokenizer->rules.normalizer;
}

/* Neither of these waits for the lock. It is held for an instant only, so another encoder is rarely
 * made in vain; and in a process that was forked in that instant it is held for ever. */
ft_status ft_tokenizer_take_encoder(ft_tokenizer *tokenizer, ft_encoder **out)
{
    *out = NULL;
    if (pthread_mutex_trylock(&tokenizer->lock) == 0) {
        *out = tokenizer->idle;
        if (*out != NULL)
            tokenizer->idle = (*out)->next;
        pthread_mutex_unlock(&tokenizer->lock);
    }
    return *out != NULL ? FT_OK : ft_encoder_create(&tokenizer->rules, out);
}

void ft_tokenizer_return_encoder(ft_tokenizer *tokenizer, ft_encoder *encoder)
{
    ft_encoder_trim(encoder);
    if (pthread_mutex_trylock(&tokenizer->lock) != 0) {
        ft_encoder_destroy(encoder);
        return;
    }
    encoder->next = tokenizer->idle;
    tokenizer->idle = encoder;
    pthread_mutex_unlock(&tokenizer->lock);
}
