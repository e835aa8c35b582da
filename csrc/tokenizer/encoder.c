#include "tokenizer/encoder.h"

#include <string.h>

#include "common/memory.h"
#include "tokenizer/scan.h"
#include "tokenizer/unicode.h"

enum {
    /* The last bytes of a text are copied to where this many can be read after them. */
    MARGIN = 32,
};

ft_status ft_encoder_create(const ft_rules *rules, ft_encoder **out)
{
    ft_encoder *encoder;
    *out = NULL;
    FT_FORWARD(ft_allocate(sizeof *encoder, (void **)&encoder));
    encoder->rules = rules;
    ft_status status = ft_allocate(sizeof(ft_word) << FT_WORD_SLOT_BITS, (void **)&encoder->words);
    if (status == FT_OK)
        status = ft_allocate(sizeof(int32_t) * FT_WORD_MANY, (void **)&encoder->many);
    if (status != FT_OK) {
        ft_encoder_destroy(encoder);
        return status;
    }
    *out = encoder;
    return FT_OK;
}

void ft_encoder_destroy(ft_encoder *encoder)
{
    if (encoder == NULL)
        return;
    ft_text_buffer_clear(&encoder->text);
    ft_release(encoder->words);
    ft_release(encoder->many);
    ft_release(encoder->first.data);
    ft_release(encoder->second.data);
    ft_release(encoder);
}

/* Splits a normalised text at white space and punctuation, and matches the words. */
static ft_status encode_normalized(const ft_rules *rules, const uint8_t *text, size_t length,
                                   ft_ids *out)
{
    const uint8_t *end = text + length, *word = text;
    for (const uint8_t *p = text; p < end;) {
        const uint8_t *at = p;
        uint8_t flags = ft_unicode_of(ft_utf8_next(&p))->flags;
        if (!(flags & (FT_UNICODE_SPACE | FT_UNICODE_PUNCTUATION)))
            continue;
        if (at > word)
            FT_FORWARD(ft_wordpiece_match(&rules->model, word, (size_t)(at - word), out));
        if (!(flags & FT_UNICODE_SPACE))
            FT_FORWARD(ft_wordpiece_match(&rules->model, at, (size_t)(p - at), out));
        word = p;
    }
    if (end > word)
        FT_FORWARD(ft_wordpiece_match(&rules->model, word, (size_t)(end - word), out));
    return FT_OK;
}

/* A word of raw text, the long way. What it becomes depends on nothing around it: the ASCII
 * characters at its ends neither change nor let accents pass. */
static ft_status encode_word(ft_encoder *encoder, const uint8_t *word, size_t length, ft_ids *out)
{
    const ft_rules *rules = encoder->rules;
    FT_FORWARD(ft_normalize(&rules->normalizer, word, length, &encoder->text));
    if (encoder->text.length == 0)
        return FT_OK;
    return encode_normalized(rules, encoder->text.bytes, encoder->text.length, out);
}

static void keep_word(ft_encoder *encoder, ft_word *slot, const uint64_t key[2], size_t length,
                      const int32_t *ids, size_t count)
{
    slot->length = 0;
    if (count > length)
        return;
    if (count <= 3) {
        memcpy(slot->ids, ids, count * sizeof *ids);
    } else {
        if (encoder->many_count + count > FT_WORD_MANY) {
            memset(encoder->words, 0, sizeof(ft_word) << FT_WORD_SLOT_BITS);
            encoder->many_count = 0;
        }
        memcpy(encoder->many + encoder->many_count, ids, count * sizeof *ids);
        slot->ids[0] = (int32_t)encoder->many_count;
        encoder->many_count += count;
    }
    slot->key[0] = key[0];
    slot->key[1] = key[1];
    slot->count = (uint16_t)count;
    slot->length = (uint16_t)length;
}

/* The first `length` bytes at word, at most 16, as two numbers. Reads 16 bytes. */
static inline void load_key(const uint8_t *word, size_t length, uint64_t key[2])
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(key, word, 16);
    if (length < 8) {
        key[0] &= ((uint64_t)1 << 8 * length) - 1;
        key[1] = 0;
    } else if (length < 16) {
        key[1] &= ((uint64_t)1 << 8 * (length - 8)) - 1;
    }
#else
    key[0] = key[1] = 0;
    memcpy(key, word, length);
#endif
}

static inline size_t word_slot(const uint64_t key[2])
{
    uint64_t hash = key[0] * 0x9E3779B97F4A7C15u ^ key[1] * 0xC2B2AE3D27D4EB4Fu;
    return (size_t)((hash ^ hash >> 32) * 0xD6E8FEB86659FD93u >> (64 - FT_WORD_SLOT_BITS));
}

/* Encodes the words and punctuation that start before `limit`, and moves *text past them. Up to
 * `end` there is text, and 16 bytes can be read from anywhere before `limit`. */
static ft_status encode_words(ft_encoder *encoder, const uint8_t **text, const uint8_t *limit,
                              const uint8_t *end, ft_ids *out)
{
    const ft_rules *rules = encoder->rules;
    const uint8_t *p = *text;
    /* No more ids than bytes come out of words that are kept, and of punctuation. */
    FT_FORWARD(ft_ids_reserve(out, (size_t)(end - p) + 4));
    while (p < limit) {
        uint32_t boundaries = ft_boundaries(p);
        if (boundaries & 1) {
            if (!ft_is_ascii_space(*p))
                out->data[out->count++] = rules->ascii[*p];
            p++;
            continue;
        }
        size_t length = FT_WORD_BYTES;
        if (boundaries != 0) {
            length = (size_t)__builtin_ctz(boundaries);
            uint64_t key[2];
            load_key(p, length, key);
            ft_word *slot = &encoder->words[word_slot(key)];
            if (slot->key[0] == key[0] && slot->key[1] == key[1] && slot->length == length) {
                int32_t *ids = out->data + out->count;
                if (slot->count <= 3)
                    memcpy(ids, slot->ids, sizeof slot->ids);
                else
                    memcpy(ids, encoder->many + slot->ids[0], slot->count * sizeof *ids);
                out->count += slot->count;
            } else {
                size_t before = out->count;
                FT_FORWARD(encode_word(encoder, p, length, out));
                FT_FORWARD(ft_ids_reserve(out, (size_t)(end - p) + 4));
                keep_word(encoder, slot, key, length, out->data + before, out->count - before);
            }
        } else {
            while (p + length < end && !ft_is_ascii_space(p[length]) &&
                   !ft_is_ascii_punctuation(p[length]))
                length++;
            FT_FORWARD(encode_word(encoder, p, length, out));
            FT_FORWARD(ft_ids_reserve(out, (size_t)(end - p) + 4));
        }
        p += length;
    }
    *text = p;
    return FT_OK;
}

/* A stretch of raw text that holds no added token. */
static ft_status encode_stretch(ft_encoder *encoder, const uint8_t *text, size_t length,
                                ft_ids *out)
{
    const uint8_t *end = text + length;
    if (length > MARGIN)
        FT_FORWARD(encode_words(encoder, &text, end - MARGIN, end, out));
    if (text == end)
        return FT_OK;
    uint8_t tail[2 * MARGIN];
    size_t rest = (size_t)(end - text);
    memcpy(tail, text, rest);
    memset(tail + rest, ' ', sizeof tail - rest);
    text = tail;
    return encode_words(encoder, &text, tail + rest, tail + rest, out);
}

/* A stretch of raw text, where there are added tokens to be found in its normalised form. */
static ft_status encode_stretch_normalized(ft_encoder *encoder, const uint8_t *text, size_t length,
                                           ft_ids *out)
{
    const ft_rules *rules = encoder->rules;
    FT_FORWARD(ft_normalize(&rules->normalizer, text, length, &encoder->text));
    text = encoder->text.bytes;
    length = encoder->text.length;
    if (length == 0)
        return FT_OK;
    ft_added_cursor cursor = {0};
    ft_added_match match;
    size_t done = 0;
    while (ft_added_tokens_next(&rules->normalized, text, length, &cursor, &match)) {
        if (done < match.start)
            FT_FORWARD(encode_normalized(rules, text + done, match.start - done, out));
        FT_FORWARD(ft_ids_reserve(out, 1));
        out->data[out->count++] = match.id;
        done = match.stop;
    }
    return encode_normalized(rules, text + done, length - done, out);
}

ft_status ft_encoder_encode(ft_encoder *encoder, const uint8_t *text, size_t length, ft_ids *out)
{
    const ft_rules *rules = encoder->rules;
    ft_status (*encode)(ft_encoder *, const uint8_t *, size_t, ft_ids *) =
        rules->normalized.count > 0 ? encode_stretch_normalized : encode_stretch;
    ft_added_cursor cursor = {0};
    ft_added_match match;
    size_t done = 0;
    while (ft_added_tokens_next(&rules->raw, text, length, &cursor, &match)) {
        if (done < match.start)
            FT_FORWARD(encode(encoder, text + done, match.start - done, out));
        FT_FORWARD(ft_ids_reserve(out, 1));
        out->data[out->count++] = match.id;
        done = match.stop;
    }
    return encode(encoder, text + done, length - done, out);
}
