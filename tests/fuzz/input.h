/* Reading a fuzz input: option bytes first, then sections of text. */
#ifndef FT_FUZZ_INPUT_H
#define FT_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct input {
    const uint8_t *at, *end;
} input;

/* The next byte; 0 behind the end. */
uint8_t input_byte(input *in);

/* The bytes up to the next 0xFF, which is in no UTF-8 text, or the end; false at the end. */
bool input_section(input *in, input *section);

/* Strings of exactly their length, so that the sanitizer sees the first byte beyond.
 * Zero-initialise it. */
typedef struct strings {
    uint8_t **items;
    size_t count, capacity;
} strings;

/* Memory for a string, not filled. */
uint8_t *strings_reserve(strings *strings, size_t length);

/* A section's bytes as valid UTF-8: a byte that is no part of any becomes the Latin-1 character. */
const uint8_t *strings_add(strings *strings, const input *section, size_t *length);

void strings_clear(strings *strings);

/* Whether a text is valid UTF-8. */
bool is_utf8(const uint8_t *text, size_t length);

#endif
