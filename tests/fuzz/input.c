#include "input.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tokenizer/unicode.h"

uint8_t input_byte(input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

bool input_section(input *in, input *section)
{
    if (in->at == in->end)
        return false;
    const uint8_t *stop = memchr(in->at, 0xFF, (size_t)(in->end - in->at));
    *section = (input){in->at, stop != NULL ? stop : in->end};
    in->at = stop != NULL ? stop + 1 : in->end;
    return true;
}

/* The length of the UTF-8 character that the text begins with; 0 where it begins with none. */
static size_t character_length(const uint8_t *text, size_t length)
{
    uint8_t first = text[0];
    if (first < 0x80)
        return 1;
    size_t wanted = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || wanted > length)
        return 0;
    uint32_t code = first & (0x7Fu >> wanted);
    for (size_t i = 1; i < wanted; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3F);
    }
    bool overlong = (wanted == 3 && code < 0x800) || (wanted == 4 && code < 0x10000);
    bool surrogate = code >= 0xD800 && code < 0xE000;
    return overlong || surrogate || code >= FT_UNICODE_END ? 0 : wanted;
}

bool is_utf8(const uint8_t *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t step = character_length(text + at, length - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

uint8_t *strings_reserve(strings *strings, size_t length)
{
    if (strings->count == strings->capacity) {
        strings->capacity = 2 * strings->capacity + 16;
        strings->items = realloc(strings->items, strings->capacity * sizeof *strings->items);
        CHECK(strings->items != NULL);
    }
    uint8_t *item = malloc(length);
    CHECK(item != NULL);
    strings->items[strings->count++] = item;
    return item;
}

/* Copies a section as UTF-8, where there is somewhere to copy to; returns its length. */
static size_t copy_utf8(const input *section, uint8_t *out)
{
    size_t length = (size_t)(section->end - section->at), made = 0;
    for (size_t at = 0; at < length;) {
        uint8_t latin1[4];
        const uint8_t *character = section->at + at;
        size_t taken = character_length(character, length - at), size = taken;
        if (taken == 0) {
            taken = 1;
            size = ft_utf8_put(*character, latin1);
            character = latin1;
        }
        if (out != NULL)
            memcpy(out + made, character, size);
        made += size;
        at += taken;
    }
    return made;
}

const uint8_t *strings_add(strings *strings, const input *section, size_t *length)
{
    *length = copy_utf8(section, NULL);
    uint8_t *item = strings_reserve(strings, *length);
    copy_utf8(section, item);
    return item;
}

void strings_clear(strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct strings){0};
}
