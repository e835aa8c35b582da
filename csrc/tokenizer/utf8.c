#include "tokenizer/utf8.h"

#include <string.h>

size_t ft_utf8_character(const uint8_t *bytes, size_t length)
{
    uint8_t lead = bytes[0], least = 0x80, most = 0xBF; /* of the second byte */
    size_t size;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead < 0xE0) {
        size = 2;
    } else if (lead >= 0xE0 && lead < 0xF0) {
        size = 3;
        if (lead == 0xE0)
            least = 0xA0;
        else if (lead == 0xED)
            most = 0x9F;
    } else if (lead >= 0xF0 && lead < 0xF5) {
        size = 4;
        if (lead == 0xF0)
            least = 0x90;
        else if (lead == 0xF4)
            most = 0x8F;
    } else {
        return 0;
    }
    if (length < size || bytes[1] < least || bytes[1] > most)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    return size;
}

size_t ft_utf8_valid(const uint8_t *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        uint64_t eight;
        if (length - at >= sizeof eight) {
            memcpy(&eight, bytes + at, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        size_t size = ft_utf8_character(bytes + at, length - at);
        if (size == 0)
            break;
        at += size;
    }
    return at;
}
