/* What the tokenizer knows of each code point. The tables (unicode_tables.c) are generated, by
 * generate_tables.py, from the behaviour of the Hugging Face library that this one equals. */
#ifndef FT_TOKENIZER_UNICODE_H
#define FT_TOKENIZER_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum {
    FT_UNICODE_REMOVED = 1,     /* dropped when text is cleaned: controls, format, private use */
    FT_UNICODE_SPACE = 2,       /* separates words */
    FT_UNICODE_MARK = 4,        /* nonspacing mark, dropped with the accents */
    FT_UNICODE_PUNCTUATION = 8, /* a word of its own */
    FT_UNICODE_CJK = 16,        /* ideograph, which is given a space on either side */
    FT_UNICODE_WORD = 32,       /* word character to an added token that is a single word */
};

typedef struct ft_unicode_record {
    uint8_t flags;
    uint8_t combining_class;
    uint8_t decomposed_length; /* 0: decomposes to itself (Hangul syllables are computed) */
    uint8_t lowered_length;    /* 0: lower case of itself */
    uint16_t decomposed;       /* index into ft_unicode_points */
    uint16_t lowered;
} ft_unicode_record;

enum { FT_UNICODE_BLOCK = 128, FT_UNICODE_END = 0x110000 };

extern const uint16_t ft_unicode_blocks[];
extern const uint16_t ft_unicode_record_indices[];
extern const ft_unicode_record ft_unicode_records[];
extern const uint32_t ft_unicode_points[];

/* The record of a code point below FT_UNICODE_END. */
static inline const ft_unicode_record *ft_unicode_of(uint32_t code)
{
    size_t block = ft_unicode_blocks[code / FT_UNICODE_BLOCK];
    return &ft_unicode_records[ft_unicode_record_indices[block * FT_UNICODE_BLOCK +
                                                         code % FT_UNICODE_BLOCK]];
}

/* Reads one code point of valid UTF-8 and moves *text past it. */
static inline uint32_t ft_utf8_next(const uint8_t **text)
{
    const uint8_t *p = *text;
    if (p[0] < 0x80) {
        *text = p + 1;
        return p[0];
    }
    if (p[0] < 0xE0) {
        *text = p + 2;
        return (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    }
    if (p[0] < 0xF0) {
        *text = p + 3;
        return (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    }
    *text = p + 4;
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 |
           (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
}

/* Writes a code point as UTF-8; returns its length, 1 to 4. */
static inline size_t ft_utf8_put(uint32_t code, uint8_t *out)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xC0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xE0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (code & 0x3F));
    return 4;
}

#endif
