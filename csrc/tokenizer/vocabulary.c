#include "tokenizer/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "tokenizer/reserve.h"

enum {
    MOST_TOKENS = 1 << 29,
    FEWEST_SLOTS = 4,  /* as a power of two */
    BLOCK = 32,        /* tokens that are put into the table together */
    MOST_STEPS = 4096, /* from a token's own slot; those of real vocabularies are a few dozen */
};

/* Spreads the hash over 32 bits. The upper ones choose the slot; the lower ones are kept in it,
 * so that few tokens are compared in vain. */
static inline uint32_t spread(uint64_t hash)
{
    return (uint32_t)((hash ^ hash >> 32) * 0x9E3779B97F4A7C15u >> 32);
}

/* The polynomial of eight bytes, the first of them with the highest power. */
static inline uint64_t hash_block(uint64_t bytes)
{
    const uint64_t base = FT_HASH_BASE, pairs = 0x00FF00FF00FF00FFu, fours = 0x0000FFFF0000FFFFu;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    bytes = (bytes & pairs) * base + (bytes >> 8 & pairs);
    bytes = (bytes & fours) * (base * base) + (bytes >> 16 & fours);
    return (bytes & 0xFFFFFFFFu) * (base * base * base * base) + (bytes >> 32);
}

/* ft_hash_bytes of a token whose first byte is one of eight that can be read. */
static inline uint64_t hash_token(const uint8_t *bytes, size_t length)
{
    enum { B = FT_HASH_BASE };
    static const uint64_t powers[9] = {
        1,
        (uint64_t)B,
        (uint64_t)B * B,
        (uint64_t)B * B * B,
        (uint64_t)B * B * B * B,
        (uint64_t)B * B * B * B * B,
        (uint64_t)B * B * B * B * B * B,
        (uint64_t)B * B * B * B * B * B * B,
        (uint64_t)B * B * B * B * B * B * B * B,
    };
    uint64_t block;
    if (length == 0)
        return FT_HASH_START;
    size_t first = (length - 1) % 8 + 1;
    memcpy(&block, bytes, sizeof block);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    block >>= 8 * (8 - first);
#else
    block <<= 8 * (8 - first);
#endif
    uint64_t hash = FT_HASH_START * powers[first] + hash_block(block);
    for (size_t i = first; i < length; i += 8) {
        memcpy(&block, bytes + i, sizeof block);
        hash = hash * powers[8] + hash_block(block);
    }
    return hash;
}

/* ft_reserve, but that the first request is taken as it is: it mostly knows how much will be used.
 */
static ft_status reserve(void **array, size_t element, size_t used, size_t more, size_t *capacity)
{
    if (*array != NULL)
        return ft_reserve(array, element, used, more, capacity);
    FT_FORWARD(ft_allocate(more * element, array));
    *capacity = more;
    return FT_OK;
}

ft_status ft_vocabulary_reserve(ft_vocabulary *vocabulary, size_t tokens, size_t bytes)
{
    FT_RETURN_IF(tokens > MOST_TOKENS - vocabulary->count, FT_ERROR_VALUE,
                 "a vocabulary has at most %d tokens", MOST_TOKENS);
    FT_RETURN_IF(bytes > UINT32_MAX - vocabulary->byte_count, FT_ERROR_VALUE,
                 "a vocabulary's tokens have at most 4 GiB");
    FT_FORWARD(reserve((void **)&vocabulary->tokens, sizeof *vocabulary->tokens, vocabulary->count,
                       tokens, &vocabulary->capacity));
    if (bytes == 0)
        return FT_OK;
    FT_FORWARD(reserve((void **)&vocabulary->own_bytes, 1, vocabulary->byte_count, bytes,
                       &vocabulary->own_capacity));
    vocabulary->bytes = vocabulary->own_bytes;
    return FT_OK;
}

static bool is_token(const ft_vocabulary *vocabulary, const ft_token *token, const uint8_t *head,
                     size_t head_length, const uint8_t *tail, size_t tail_length)
{
    const uint8_t *bytes = vocabulary->bytes + token->start;
    return token->length == head_length + tail_length && memcmp(bytes, head, head_length) == 0 &&
           memcmp(bytes + head_length, tail, tail_length) == 0;
}

/* The slot of a token: its own, or the empty one where it belongs. */
static inline uint32_t *slot_of(const ft_vocabulary *vocabulary, uint32_t hash, const uint8_t *head,
                                size_t head_length, const uint8_t *tail, size_t tail_length)
{
    int bits = vocabulary->slot_bits;
    uint32_t mask = ((uint32_t)1 << bits) - 1, kept = hash << bits, at = hash >> (32 - bits);
    /* Two steps past other tokens without a branch: one in three finds the first slot taken, which
     * no processor can foresee. */
    for (int i = 0; i < 2; i++) {
        uint32_t slot = vocabulary->slots[at];
        at = (at + ((slot != 0) & ((slot ^ kept) > mask))) & mask;
    }
    for (;; at = (at + 1) & mask) {
        uint32_t *slot = &vocabulary->slots[at];
        if (*slot == 0 ||
            ((*slot ^ kept) <= mask && is_token(vocabulary, &vocabulary->tokens[(*slot & mask) - 1],
                                                head, head_length, tail, tail_length)))
            return slot;
    }
}

/* Puts the tokens into the table. One that is there already gets the later id, and keeps its place;
 * the others close up. */
static ft_status fill_table(ft_vocabulary *vocabulary)
{
    static const uint8_t nothing[1];
    size_t count = vocabulary->count, kept = 0;
    int bits = vocabulary->slot_bits;
    uint32_t mask = ((uint32_t)1 << bits) - 1;
    for (size_t begin = 0; begin < count; begin += BLOCK) {
        /* Slots are all over memory: a block's are asked for while the hashes are computed. */
        uint32_t hashes[BLOCK];
        size_t block = count - begin < BLOCK ? count - begin : BLOCK;
        for (size_t i = 0; i < block; i++) {
            const ft_token *token = &vocabulary->tokens[begin + i];
            const uint8_t *bytes = vocabulary->bytes + token->start;
            hashes[i] = spread(vocabulary->byte_count - token->start >= 8
                                   ? hash_token(bytes, token->length)
                                   : ft_hash_bytes(FT_HASH_START, bytes, token->length));
            __builtin_prefetch(&vocabulary->slots[hashes[i] >> (32 - bits)], 1);
        }
        for (size_t i = 0; i < block; i++) {
            ft_token token = vocabulary->tokens[begin + i];
            uint32_t *slot = slot_of(vocabulary, hashes[i], vocabulary->bytes + token.start,
                                     token.length, nothing, 0);
            if (*slot != 0) {
                vocabulary->tokens[(*slot & mask) - 1].id = token.id;
                continue;
            }
            size_t steps = (size_t)(slot - vocabulary->slots) - (hashes[i] >> (32 - bits));
            FT_RETURN_IF((steps & mask) > MOST_STEPS, FT_ERROR_VALUE,
                         "the vocabulary was made to be slow: more than %d of its tokens collide",
                         MOST_STEPS);
            vocabulary->tokens[kept++] = token;
            *slot = hashes[i] << bits | (uint32_t)kept;
            if (token.length > vocabulary->longest)
                vocabulary->longest = token.length;
        }
    }
    vocabulary->count = kept;
    return FT_OK;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static ft_status sort_by_id(ft_vocabulary *vocabulary)
{
    const ft_token *tokens = vocabulary->tokens;
    size_t ordered = 1;
    while (ordered < vocabulary->count && tokens[ordered - 1].id < tokens[ordered].id)
        ordered++;
    if (ordered >= vocabulary->count)
        return FT_OK;
    FT_FORWARD(
        ft_allocate(vocabulary->count * sizeof *vocabulary->by_id, (void **)&vocabulary->by_id));
    for (size_t i = 0; i < vocabulary->count; i++)
        vocabulary->by_id[i] = (uint64_t)tokens[i].id << 32 | i;
    qsort(vocabulary->by_id, vocabulary->count, sizeof *vocabulary->by_id, compare);
    return FT_OK;
}

ft_status ft_vocabulary_finish(ft_vocabulary *vocabulary)
{
    static const uint8_t nothing[1];
    int bits = FEWEST_SLOTS;
    if (vocabulary->bytes == NULL)
        vocabulary->bytes = nothing;
    while ((size_t)1 << bits <= 2 * vocabulary->count)
        bits++;
    vocabulary->slot_bits = bits;
    FT_FORWARD(ft_allocate(sizeof *vocabulary->slots << bits, (void **)&vocabulary->slots));
    FT_FORWARD(fill_table(vocabulary));
    FT_FORWARD(sort_by_id(vocabulary));
    vocabulary->greatest =
        vocabulary->count == 0 ? -1 : ft_vocabulary_in_order(vocabulary, vocabulary->count - 1)->id;
    return FT_OK;
}

void ft_vocabulary_clear(ft_vocabulary *vocabulary)
{
    ft_release(vocabulary->own_bytes);
    ft_release(vocabulary->tokens);
    ft_release(vocabulary->slots);
    ft_release(vocabulary->by_id);
    *vocabulary = (ft_vocabulary){0};
}

int32_t ft_vocabulary_find(const ft_vocabulary *vocabulary, uint64_t hash, const uint8_t *head,
                           size_t head_length, const uint8_t *tail, size_t tail_length)
{
    uint32_t mask = ((uint32_t)1 << vocabulary->slot_bits) - 1;
    uint32_t slot = *slot_of(vocabulary, spread(hash), head, head_length, tail, tail_length);
    return slot == 0 ? -1 : vocabulary->tokens[(slot & mask) - 1].id;
}

const ft_token *ft_vocabulary_token(const ft_vocabulary *vocabulary, int64_t id)
{
    /* The last place whose id is not greater. */
    size_t low = 0, high = vocabulary->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ft_vocabulary_in_order(vocabulary, middle)->id <= id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    const ft_token *token = ft_vocabulary_in_order(vocabulary, low - 1);
    return token->id == id ? token : NULL;
}

bool ft_vocabulary_is_dense(const ft_vocabulary *vocabulary)
{
    for (size_t i = 0; i < vocabulary->count; i++)
        if ((size_t)ft_vocabulary_in_order(vocabulary, i)->id != i)
            return false;
    return true;
}
