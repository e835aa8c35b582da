/* Finding where words of raw text end, 16 bytes at a time. */
#ifndef FT_TOKENIZER_SCAN_H
#define FT_TOKENIZER_SCAN_H

#include <stdint.h>

#ifdef __SSE2__
#    include <emmintrin.h>
#endif

/* ASCII white space and punctuation end a word in every normalisation; any other byte may be
 * within one. */
static inline int ft_is_ascii_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static inline int ft_is_ascii_punctuation(uint8_t byte)
{
    return (byte >= '!' && byte <= '/') || (byte >= ':' && byte <= '@') ||
           (byte >= '[' && byte <= '`') || (byte >= '{' && byte <= '~');
}

/* Bit i: text[i] is ASCII white space or punctuation. Reads 16 bytes. */
static inline uint32_t ft_boundaries(const uint8_t *text)
{
#ifdef __SSE2__
    const __m128i bytes = _mm_loadu_si128((const __m128i *)text);
    /* first <= byte < first + count, as one signed comparison */
#    define FT_IN_RANGE(x, first, count)                                                           \
        _mm_cmplt_epi8(_mm_add_epi8((x), _mm_set1_epi8((char)(-128 - (first)))),                   \
                       _mm_set1_epi8((char)(-128 + (count))))
    __m128i letter = FT_IN_RANGE(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 26);
    __m128i digit = FT_IN_RANGE(bytes, '0', 10);
    __m128i printable = FT_IN_RANGE(bytes, ' ', '~' - ' ' + 1);
    __m128i space =
        _mm_or_si128(FT_IN_RANGE(bytes, '\t', 2), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r')));
#    undef FT_IN_RANGE
    __m128i mark = _mm_andnot_si128(_mm_or_si128(letter, digit), printable);
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(mark, space));
#else
    uint32_t mask = 0;
    for (int i = 0; i < 16; i++)
        mask |= (uint32_t)(ft_is_ascii_space(text[i]) || ft_is_ascii_punctuation(text[i])) << i;
    return mask;
#endif
}

#endif
