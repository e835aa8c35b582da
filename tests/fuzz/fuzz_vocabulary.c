/* The reader of vocab.txt: any bytes. */
#include <string.h>

#include "check.h"
#include "input.h"
#include "tokenizer/vocabulary_lines.h"
#include "usable.h"

enum { MOST_LINES = 256 };

typedef struct line {
    const uint8_t *bytes;
    size_t length;
} line;

/* The length without white space at the end: each character of Unicode's White_Space, in UTF-8. */
static size_t trim(line line)
{
    static const char *const spaces[] = {
        "\t",           "\n",           "\v",
        "\f",           "\r",           " ",
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80",
        "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82",
        "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85",
        "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
        "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
        "\xe3\x80\x80",
    };
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        size_t length = strlen(spaces[i]);
        if (length <= line.length &&
            memcmp(line.bytes + line.length - length, spaces[i], length) == 0) {
            line.length -= length;
            i = (size_t)-1; /* from the beginning */
        }
    }
    return line.length;
}

static size_t split(const uint8_t *data, size_t size, bool trimmed, line lines[MOST_LINES])
{
    size_t count = 0;
    for (const uint8_t *at = data, *end = data + size; at < end && count < MOST_LINES;) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        line line = {at, (size_t)((stop != NULL ? stop : end) - at)};
        at += line.length + (stop != NULL);
        if (trimmed)
            line.length = trim(line);
        lines[count++] = line;
    }
    return count;
}

static bool same(line a, line b)
{
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

/* Each line is a token; its id is its number, or that of the last line that is the same. */
static void check_lines(const ft_vocabulary *vocabulary, const uint8_t *data, size_t size,
                        bool trimmed)
{
    line lines[MOST_LINES];
    size_t count = split(data, size, trimmed, lines), different = 0;
    if (count == MOST_LINES)
        return; /* there may be more, and equal ones among them */
    for (size_t i = 0; i < count; i++) {
        size_t last = i;
        for (size_t j = i + 1; j < count; j++)
            if (same(lines[i], lines[j]))
                last = j;
        different += last == i;
        CHECK(find_token(vocabulary, lines[i].bytes, lines[i].length) == (int32_t)last);
    }
    CHECK(vocabulary->count == different);
}

static void check(const uint8_t *data, size_t size, bool trimmed)
{
    ft_vocabulary vocabulary = {0}, again = {0};
    ft_status status = ft_vocabulary_read_lines(&vocabulary, data, size, trimmed);
    CHECK(status == (is_utf8(data, size) ? FT_OK : FT_ERROR_VALUE));
    if (status == FT_OK) {
        check_usable(&vocabulary);
        check_lines(&vocabulary, data, size, trimmed);
    } else {
        CHECK(*ft_error_message() != '\0');
    }
    allocations_fail_after((int)(size % 4));
    ft_status failing = ft_vocabulary_read_lines(&again, data, size, trimmed);
    allocations_fail_after(-1);
    CHECK(failing == status || failing == FT_ERROR_MEMORY);
    ft_vocabulary_clear(&again);
    ft_vocabulary_clear(&vocabulary);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(data, size, false);
    check(data, size, true);
    CHECK(allocations_alive() == 0);
    return 0;
}
