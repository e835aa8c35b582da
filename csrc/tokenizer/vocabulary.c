#include "tokenizer/vocabulary.h"

#include <string.h>

#include "common/memory.h"

/* FNV's low bits are its weakest. */
static size_t slot_of(const ft_vocabulary *vocabulary, uint64_t hash)
{
    return (size_t)((hash ^ hash >> 29) * 0x9E3779B97F4A7C15u >> 32) & vocabulary->mask;
}

static int matches(const ft_vocabulary *vocabulary, const ft_vocabulary_slot *slot, uint64_t hash,
                   const uint8_t *head, size_t head_length, const uint8_t *tail, size_t tail_length)
{
    const uint8_t *bytes = vocabulary->bytes + slot->start;
    return slot->hash == hash && slot->length == head_length + tail_length &&
           memcmp(bytes, head, head_length) == 0 &&
           memcmp(bytes + head_length, tail, tail_length) == 0;
}

ft_status ft_vocabulary_fill(ft_vocabulary *vocabulary, const ft_token *tokens, size_t count)
{
    static const uint8_t nothing[1];
    size_t total = 0, slots = 16;
    for (size_t i = 0; i < count; i++) {
        FT_RETURN_IF(tokens[i].length > UINT32_MAX - total, FT_ERROR_VALUE,
                     "the vocabulary's tokens are more than 4 GiB");
        total += tokens[i].length;
    }
    FT_RETURN_IF(count > (size_t)1 << 30, FT_ERROR_VALUE, "a vocabulary of %zu tokens is too large",
                 count);
    while (slots < 2 * count)
        slots *= 2;

    FT_FORWARD(ft_allocate(slots * sizeof *vocabulary->slots, (void **)&vocabulary->slots));
    FT_FORWARD(ft_allocate(total, (void **)&vocabulary->bytes));
    vocabulary->mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        vocabulary->slots[i].id = -1;

    uint32_t start = 0;
    for (size_t i = 0; i < count; i++) {
        const ft_token *token = &tokens[i];
        uint64_t hash = ft_hash_bytes(FT_HASH_START, token->bytes, token->length);
        size_t at = slot_of(vocabulary, hash);
        while (vocabulary->slots[at].id >= 0 && !matches(vocabulary, &vocabulary->slots[at], hash,
                                                         token->bytes, token->length, nothing, 0))
            at = (at + 1) & vocabulary->mask;
        memcpy(vocabulary->bytes + start, token->bytes, token->length);
        vocabulary->slots[at] =
            (ft_vocabulary_slot){hash, start, (uint32_t)token->length, token->id, 0};
        start += (uint32_t)token->length;
        if (token->length > vocabulary->longest)
            vocabulary->longest = token->length;
    }
    return FT_OK;
}

void ft_vocabulary_clear(ft_vocabulary *vocabulary)
{
    ft_release(vocabulary->slots);
    ft_release(vocabulary->bytes);
    *vocabulary = (ft_vocabulary){0};
}

int32_t ft_vocabulary_find(const ft_vocabulary *vocabulary, uint64_t hash, const uint8_t *head,
                           size_t head_length, const uint8_t *tail, size_t tail_length)
{
    size_t at = slot_of(vocabulary, hash);
    while (vocabulary->slots[at].id >= 0) {
        if (matches(vocabulary, &vocabulary->slots[at], hash, head, head_length, tail, tail_length))
            return vocabulary->slots[at].id;
        at = (at + 1) & vocabulary->mask;
    }
    return -1;
}
