#include "tokenizer/vocabulary_lines.h"

#include <string.h>

#ifdef __SSE2__
#    include <emmintrin.h>
#endif

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

enum { STEP = 64 }; /* bytes looked at together */

/* Bit i: text[i] ends a line. Reads STEP bytes. */
static inline uint64_t line_ends(const uint8_t *text)
{
    uint64_t mask = 0;
#ifdef __SSE2__
    for (int i = 0; i < STEP; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(text + i));
        const __m128i same = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n'));
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(same) << i;
    }
#else
    for (int i = 0; i < STEP; i++)
        mask |= (uint64_t)(text[i] == '\n') << i;
#endif
    return mask;
}

static size_t count_lines(const uint8_t *text, size_t length)
{
    size_t count = length > 0 && text[length - 1] != '\n';
    for (size_t i = 0; i < length; i++)
        count += text[i] == '\n';
    return count;
}

/* Unicode's White_Space beyond ASCII. */
static bool is_space(uint32_t code)
{
    return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
           code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

/* The length of a line, valid UTF-8, without the white space at its end. */
static inline size_t trimmed(const uint8_t *line, size_t length)
{
    while (length > 0) {
        uint8_t last = line[length - 1];
        if (last < 0x80) {
            if (last != ' ' && (last < '\t' || last > '\r'))
                break;
            length--;
            continue;
        }
        size_t start = length - 1;
        while ((line[start] & 0xC0) == 0x80)
            start--;
        const uint8_t *character = line + start;
        if (!is_space(ft_utf8_next(&character)))
            break;
        length = start;
    }
    return length;
}

static inline void add_line(ft_vocabulary *vocabulary, size_t start, size_t stop, bool trim)
{
    size_t length = stop - start;
    if (trim)
        length = trimmed(vocabulary->bytes + start, length);
    ft_vocabulary_append(vocabulary, start, length, (int32_t)vocabulary->count);
}

ft_status ft_vocabulary_read_lines(ft_vocabulary *vocabulary, const uint8_t *text, size_t length,
                                   bool trim)
{
    size_t valid = ft_utf8_valid(text, length);
    FT_RETURN_IF(valid < length, FT_ERROR_VALUE, "the byte 0x%02x at position %zu is malformed",
                 text[valid], valid);
    FT_RETURN_IF(length > UINT32_MAX, FT_ERROR_VALUE, "a vocabulary has at most 4 GiB");
    FT_FORWARD(ft_vocabulary_reserve(vocabulary, count_lines(text, length), 0));
    vocabulary->bytes = text;
    vocabulary->byte_count = length;

    size_t start = 0, at = 0;
    for (; length - at >= STEP; at += STEP) {
        for (uint64_t ends = line_ends(text + at); ends != 0; ends &= ends - 1) {
            size_t stop = at + (size_t)__builtin_ctzll(ends);
            add_line(vocabulary, start, stop, trim);
            start = stop + 1;
        }
    }
    for (; at < length; at++) {
        if (text[at] == '\n') {
            add_line(vocabulary, start, at, trim);
            start = at + 1;
        }
    }
    if (start < length)
        add_line(vocabulary, start, length, trim);
    return ft_vocabulary_finish(vocabulary);
}
