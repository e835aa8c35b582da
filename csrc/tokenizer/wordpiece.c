#include "tokenizer/wordpiece.h"

#include <stdbool.h>

enum { HASHES = 256 };

static inline bool is_boundary(const uint8_t *word, size_t length, size_t at)
{
    return at == length || (word[at] & 0xC0) != 0x80;
}

/* The longest token that starts word[start..]; returns its length without prefix, 0 if none. */
static size_t longest_match(const ft_wordpiece *model, const uint8_t *word, size_t length,
                            size_t start, int32_t *id)
{
    size_t prefix_length = start > 0 ? model->prefix_length : 0;
    uint64_t hash = start > 0 ? model->prefix_hash : FT_HASH_START;
    if (model->vocabulary->longest <= prefix_length)
        return 0;
    size_t most = model->vocabulary->longest - prefix_length;
    if (most > length - start)
        most = length - start;

    /* hashes[i]: of the first base + i bytes. A stretch of HASHES is kept at a time; only tokens
     * longer than that ever make more than one. */
    const uint8_t *piece = word + start;
    uint64_t hashes[HASHES];
    size_t best = 0;
    for (size_t base = 0; base < most; base += HASHES) {
        size_t stretch = most - base < HASHES ? most - base : HASHES;
        for (size_t i = 0; i < stretch; i++)
            hashes[i] = hash = ft_hash_byte(hash, piece[base + i]);
        for (size_t i = stretch; i-- > 0;) {
            size_t end = base + i + 1;
            if (!is_boundary(word, length, start + end))
                continue;
            int32_t found = ft_vocabulary_find(model->vocabulary, hashes[i], model->prefix,
                                               prefix_length, piece, end);
            if (found >= 0) {
                best = end;
                *id = found;
                break;
            }
        }
    }
    return best;
}

ft_status ft_wordpiece_match(const ft_wordpiece *model, const uint8_t *word, size_t length,
                             ft_ids *out, ft_sizes *ends)
{
    FT_FORWARD(ft_ids_reserve(out, length + 1));
    if (ends != NULL)
        FT_FORWARD(ft_sizes_reserve(ends, length + 1));
    size_t before = out->count, characters = 0;
    for (size_t i = 0; i < length; i++)
        characters += (word[i] & 0xC0) != 0x80;
    bool known = characters <= model->longest_word;
    for (size_t start = 0; known && start < length;) {
        int32_t id = -1;
        size_t matched = longest_match(model, word, length, start, &id);
        known = matched > 0;
        start += matched;
        if (ends != NULL)
            ends->data[ends->count + out->count - before] = start;
        out->data[out->count++] = id;
    }
    if (!known) {
        out->data[before] = model->unknown;
        out->count = before + 1;
        if (ends != NULL)
            ends->data[ends->count] = length;
    }
    if (ends != NULL)
        ends->count += out->count - before;
    return FT_OK;
}
