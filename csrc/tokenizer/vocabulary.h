/* The vocabulary: tokens with their ids, and an open-addressing hash table to find them by their
 * bytes. The hash is taken byte by byte from the front, so that the hashes of all prefixes of a
 * word cost one pass.
 *
 * One is made in three steps: room for tokens (ft_vocabulary_reserve), the tokens
 * (ft_vocabulary_append), the table (ft_vocabulary_finish). It is not changed afterwards, and may
 * be used by several threads at once. */
#ifndef FT_TOKENIZER_VOCABULARY_H
#define FT_TOKENIZER_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef struct ft_token {
    uint32_t start; /* in the vocabulary's bytes */
    uint32_t length;
    int32_t id; /* not negative */
} ft_token;

typedef struct ft_vocabulary {
    const uint8_t *bytes; /* of all tokens, valid UTF-8 each: own_bytes, or a text that somebody
                             else keeps */
    size_t byte_count;
    uint8_t *own_bytes;
    size_t own_capacity;
    ft_token *tokens; /* in the order in which they came */
    size_t count, capacity;
    uint32_t *slots; /* [1 << slot_bits]: 0, or a token's place plus 1, and hash bits above it */
    int slot_bits;
    uint64_t *by_id; /* id << 32 | token, sorted; NULL where the tokens are in order of their ids */
    size_t longest;  /* bytes of the longest token */
    int32_t greatest; /* the greatest id; -1: there is no token */
} ft_vocabulary;

/* Makes room for more tokens, and more bytes in own_bytes. Zero-initialise the vocabulary before
 * the first call; the caller clears it in any case. */
ft_status ft_vocabulary_reserve(ft_vocabulary *vocabulary, size_t tokens, size_t bytes);

/* Adds a token, whose bytes are bytes[start..start + length). There must be room for it. */
static inline void ft_vocabulary_append(ft_vocabulary *vocabulary, size_t start, size_t length,
                                        int32_t id)
{
    vocabulary->tokens[vocabulary->count++] = (ft_token){(uint32_t)start, (uint32_t)length, id};
}

/* Makes the table. Of equal tokens the last one's id counts. */
ft_status ft_vocabulary_finish(ft_vocabulary *vocabulary);

void ft_vocabulary_clear(ft_vocabulary *vocabulary);

static const uint64_t FT_HASH_START = 0xCBF29CE484222325u;

/* The hash is a polynomial of the bytes. Its base is small so that those of whole tokens can be
 * taken eight bytes at a time; that similar tokens get similar hashes is made good where slots are
 * chosen.
 */
enum { FT_HASH_BASE = 241 };

/* The hash of a text one byte longer. */
static inline uint64_t ft_hash_byte(uint64_t hash, uint8_t byte)
{
    return hash * FT_HASH_BASE + byte;
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

/* The token of an id, or NULL. Where several have it, the last that came. */
const ft_token *ft_vocabulary_token(const ft_vocabulary *vocabulary, int64_t id);

/* Whether the ids are 0, 1, 2 and so on, one of each. */
bool ft_vocabulary_is_dense(const ft_vocabulary *vocabulary);

/* The token at a place in order of ids, 0 <= place < count. */
static inline const ft_token *ft_vocabulary_in_order(const ft_vocabulary *vocabulary, size_t place)
{
    return &vocabulary
                ->tokens[vocabulary->by_id == NULL ? place : (uint32_t)vocabulary->by_id[place]];
}

#endif
