/* BERT's normalisation of text: clean, space out ideographs, drop accents, lower case. */
#ifndef FT_TOKENIZER_NORMALIZE_H
#define FT_TOKENIZER_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef struct ft_normalizer {
    bool clean_text;    /* drop control characters, make white space a space */
    bool space_cjk;     /* put a space on either side of an ideograph */
    bool strip_accents; /* decompose (NFD) and drop nonspacing marks */
    bool lowercase;
} ft_normalizer;

/* A growing UTF-8 text. Zero-initialise it; clear it with ft_text_buffer_clear. */
typedef struct ft_text_buffer {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
    bool traced;       /* set by the caller: fill in the sources */
    uint32_t *sources; /* [length] where traced: the character of the original that a byte is of */
    size_t sources_capacity;
    uint32_t source;       /* of what is written next */
    struct ft_mark *marks; /* scratch: code points waiting to be put in canonical order */
    size_t marks_capacity;
} ft_text_buffer;

void ft_text_buffer_clear(ft_text_buffer *buffer);

/* Replaces the buffer's text by the normalised form of `text`, which is valid UTF-8 and, where the
 * buffer is traced, less than 2^32 characters long. */
ft_status ft_normalize(const ft_normalizer *normalizer, const uint8_t *text, size_t length,
                       ft_text_buffer *out);

#endif
