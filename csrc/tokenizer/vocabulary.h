/* The vocabulary: an open-addressing hash table from a token's bytes to its id. The hash is taken
 * byte by byte from the front, so that the hashes of all prefixes of a word cost one pass. */
#ifndef FT_TOKENIZER_VOCABULARY_H
#define FT_TOKENIZER_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef struct ft_token {
    const uint8_t *bytes;
    size_t length;
    int32_t id; /* not negative */
} ft_token;

typedef struct ft_vocabulary_slot {
    uint64_t hash;
    uint32_t start; /* in bytes */
    uint32_t length;
    int32_t id; /* negative: the slot is empty */
    int32_t unused;
} ft_vocabulary_slot;

typedef struct ft_vocabulary {
    ft_vocabulary_slot *slots; /* [mask + 1] */
    uint8_t *bytes;            /* of all tokens, end to end */
    size_t mask;               /* the number of slots is a power of two */
    size_t longest;            /* bytes of the longest token */
} ft_vocabulary;

/* Copies the tokens; of equal ones the last wins. The caller clears the vocabulary in any case. */
ft_status ft_vocabulary_fill(ft_vocabulary *vocabulary, const ft_token *tokens, size_t count);

void ft_vocabulary_clear(ft_vocabulary *vocabulary);

static const uint64_t FT_HASH_START = 0xCBF29CE484222325u;

/* The hash of a text one byte longer (FNV-1a). */
static inline uint64_t ft_hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * 0x100000001B3u;
}

static inline uint64_t ft_hash_bytes(uint64_t hash, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = ft_hash_byte(hash, bytes[i]);
    return hash;
}

/* The id of the token that is `head` followed by `tail`, -1 where there is none. `hash` is that of
 * both together. */
int32_t ft_vocabulary_find(const ft_vocabulary *vocabulary, uint64_t hash, const uint8_t *head,
                           size_t head_length, const uint8_t *tail, size_t tail_length);

#endif
