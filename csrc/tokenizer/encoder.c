#include "tokenizer/encoder.h"

#include <string.h>

#include "common/memory.h"
#include "tokenizer/scan.h"
#include "tokenizer/unicode.h"

enum {
    /* The last bytes of a text are copied to where this many can be read after them. */
    MARGIN = 32,
    /* Bytes and tokens of scratch memory that an idle encoder keeps. */
    MOST_KEPT = 1 << 18,
};

ft_status ft_encoder_create(const ft_rules *rules, ft_encoder **out)
{
    ft_encoder *encoder;
    *out = NULL;
    FT_FORWARD(ft_allocate(sizeof *encoder, (void **)&encoder));
    encoder->rules = rules;
    ft_status status =
        ft_allocate(sizeof(ft_word) << (FT_WORD_SET_BITS + 1), (void **)&encoder->words);
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
    ft_trace_clear(&encoder->traces[0]);
    ft_trace_clear(&encoder->traces[1]);
    ft_release(encoder);
}

void ft_encoder_trim(ft_encoder *encoder)
{
    if (encoder->text.capacity > MOST_KEPT)
        ft_text_buffer_clear(&encoder->text);
    for (int i = 0; i < 2; i++)
        if (encoder->traces[i].ids.capacity > MOST_KEPT ||
            encoder->traces[i].text.capacity > MOST_KEPT)
            ft_trace_clear(&encoder->traces[i]);
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
            FT_FORWARD(ft_wordpiece_match(&rules->model, word, (size_t)(at - word), out, NULL));
        if (!(flags & FT_UNICODE_SPACE))
            FT_FORWARD(ft_wordpiece_match(&rules->model, at, (size_t)(p - at), out, NULL));
        word = p;
    }
    if (end > word)
        FT_FORWARD(ft_wordpiece_match(&rules->model, word, (size_t)(end - word), out, NULL));
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

/* Keeps what a word has become, in place of the older of the two words in its set. */
static void keep_word(ft_encoder *encoder, ft_word *set, const uint64_t key[2], size_t length,
                      const int32_t *ids, size_t count)
{
    if (count > length)
        return;
    ft_word word = {{key[0], key[1]}, (uint16_t)length, (uint16_t)count, {0}};
    if (count <= 3) {
        memcpy(word.ids, ids, count * sizeof *ids);
    } else {
        if (encoder->many_count + count > FT_WORD_MANY) {
            memset(encoder->words, 0, sizeof(ft_word) << (FT_WORD_SET_BITS + 1));
            encoder->many_count = 0;
        }
        memcpy(encoder->many + encoder->many_count, ids, count * sizeof *ids);
        word.ids[0] = (int32_t)encoder->many_count;
        encoder->many_count += count;
    }
    set[1] = set[0];
    set[0] = word;
}

/* The first `length` bytes at word, at most 16, and zeros, as two numbers. Reads 16 bytes. */
static inline void load_key(const uint8_t *word, size_t length, uint64_t key[2])
{
    static const uint64_t ones_then_zeros[4] = {~(uint64_t)0, ~(uint64_t)0, 0, 0};
    uint64_t mask[2];
    memcpy(mask, (const uint8_t *)ones_then_zeros + (FT_WORD_BYTES - length), sizeof mask);
    memcpy(key, word, sizeof mask);
    key[0] &= mask[0];
    key[1] &= mask[1];
}

static inline ft_word *word_set(const ft_encoder *encoder, const uint64_t key[2])
{
    uint64_t hash = key[0] * 0x9E3779B97F4A7C15u ^ key[1] * 0xC2B2AE3D27D4EB4Fu;
    hash = (hash ^ hash >> 32) * 0xD6E8FEB86659FD93u;
    return &encoder->words[2 * (hash >> (64 - FT_WORD_SET_BITS))];
}

static inline bool is_word(const ft_word *word, const uint64_t key[2], size_t length)
{
    return word->key[0] == key[0] && word->key[1] == key[1] && word->length == length;
}

/* A word that is not kept: encodes it, and keeps it where it is short. */
static ft_status encode_new_word(ft_encoder *encoder, const uint8_t *word, size_t length,
                                 ft_ids *out)
{
    size_t before = out->count;
    FT_FORWARD(encode_word(encoder, word, length, out));
    if (length >= FT_WORD_BYTES)
        return FT_OK;
    uint64_t key[2];
    load_key(word, length, key);
    keep_word(encoder, word_set(encoder, key), key, length, out->data + before,
              out->count - before);
    return FT_OK;
}

/* The length of a word of which 16 bytes are known to be within it. */
static size_t long_word(const uint8_t *word, const uint8_t *end)
{
    size_t length = FT_WORD_BYTES;
    while (word + length < end && !ft_is_ascii_space(word[length]) &&
           !ft_is_ascii_punctuation(word[length]))
        length++;
    return length;
}

/* Encodes the words and punctuation that start before `limit`, and moves *text past them. Up to
 * `end` there is text, and 16 bytes can be read from anywhere before `limit`. */
static ft_status encode_words(ft_encoder *encoder, const uint8_t **text, const uint8_t *limit,
                              const uint8_t *end, ft_ids *out)
{
    const int32_t *ascii = encoder->rules->ascii;
    const uint8_t *p = *text;
    /* Kept words and punctuation never have more ids than bytes, but are written three at a time.
     */
    FT_FORWARD(ft_ids_reserve(out, (size_t)(end - p) + 4));
    int32_t *ids = out->data + out->count;
    while (p < limit) {
        uint32_t boundaries = ft_boundaries(p);
        if (boundaries & 1) {
            if (!ft_is_ascii_space(*p))
                *ids++ = ascii[*p];
            p++;
            continue;
        }
        size_t length = FT_WORD_BYTES;
        if (boundaries != 0) {
            length = (size_t)__builtin_ctz(boundaries);
            uint64_t key[2];
            load_key(p, length, key);
            const ft_word *word = word_set(encoder, key);
            word += !is_word(word, key, length);
            if (is_word(word, key, length)) {
                if (word->count <= 3)
                    memcpy(ids, word->ids, sizeof word->ids);
                else
                    memcpy(ids, encoder->many + word->ids[0], word->count * sizeof *ids);
                ids += word->count;
                p += length;
                p += *p == ' ';
                continue;
            }
        } else {
            length = long_word(p, end);
        }
        out->count = (size_t)(ids - out->data);
        FT_FORWARD(encode_new_word(encoder, p, length, out));
        p += length;
        FT_FORWARD(ft_ids_reserve(out, (size_t)(p < end ? end - p : 0) + 4));
        ids = out->data + out->count;
    }
    out->count = (size_t)(ids - out->data);
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
    ft_added_cursor cursor = {.pass_special = encoder->pass_special};
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
    ft_added_cursor cursor = {.pass_special = encoder->pass_special};
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
