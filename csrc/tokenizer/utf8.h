/* Text from outside, which may not be the UTF-8 that it should be. */
#ifndef FT_TOKENIZER_UTF8_H
#define FT_TOKENIZER_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length of the character at bytes, 1 to 4, of which `length` > 0 bytes can be read; 0 where
 * they are not valid UTF-8: cut short, overlong, a surrogate or above U+10FFFF. */
size_t ft_utf8_character(const uint8_t *bytes, size_t length);

/* How many bytes, from the first on, are valid UTF-8. */
size_t ft_utf8_valid(const uint8_t *bytes, size_t length);

#endif
