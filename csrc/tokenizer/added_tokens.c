#include "tokenizer/added_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "tokenizer/unicode.h"

static int compare(const void *left, const void *right)
{
    const ft_added_token *a = left, *b = right;
    if (a->bytes[0] != b->bytes[0])
        return a->bytes[0] < b->bytes[0] ? -1 : 1;
    if (a->length != b->length)
        return a->length > b->length ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id; /* of equal texts the first is found */
}

ft_status ft_added_tokens_fill(ft_added_tokens *set, const ft_added_token *tokens, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += tokens[i].length;
    FT_FORWARD(ft_allocate(count * sizeof *set->tokens, (void **)&set->tokens));
    FT_FORWARD(ft_allocate(total, (void **)&set->bytes));
    uint8_t *bytes = set->bytes;
    for (size_t i = 0; i < count; i++) {
        if (tokens[i].length == 0)
            continue;
        ft_added_token *token = &set->tokens[set->count++];
        *token = tokens[i];
        memcpy(bytes, tokens[i].bytes, tokens[i].length);
        token->bytes = bytes;
        bytes += tokens[i].length;
    }
    if (set->count > 0)
        qsort(set->tokens, set->count, sizeof *set->tokens, compare);

    size_t at = 0;
    for (int byte = 0; byte < 256; byte++) {
        set->starts[byte] = (uint32_t)at;
        while (at < set->count && set->tokens[at].bytes[0] == byte)
            at++;
    }
    set->starts[256] = (uint32_t)at;
    set->only_start = -1;
    if (set->count > 0 && set->tokens[0].bytes[0] == set->tokens[set->count - 1].bytes[0])
        set->only_start = set->tokens[0].bytes[0];
    return FT_OK;
}

void ft_added_tokens_clear(ft_added_tokens *set)
{
    ft_release(set->tokens);
    ft_release(set->bytes);
    *set = (ft_added_tokens){0};
}

/* The longest token that starts at text[at], or NULL. */
static const ft_added_token *match_at(const ft_added_tokens *set, const uint8_t *text,
                                      size_t length, size_t at)
{
    uint8_t first = text[at];
    for (size_t i = set->starts[first]; i < set->starts[first + 1]; i++) {
        const ft_added_token *token = &set->tokens[i];
        if (token->length <= length - at && memcmp(text + at, token->bytes, token->length) == 0)
            return token;
    }
    return NULL;
}

/* The leftmost token at or after *at, which is moved to where it starts; NULL where there is none.
 */
static const ft_added_token *find(const ft_added_tokens *set, const uint8_t *text, size_t length,
                                  size_t *at)
{
    for (size_t i = *at; i < length; i++) {
        if (set->only_start >= 0) {
            const uint8_t *start = memchr(text + i, set->only_start, length - i);
            if (start == NULL)
                return NULL;
            i = (size_t)(start - text);
        }
        const ft_added_token *token = match_at(set, text, length, i);
        if (token != NULL) {
            *at = i;
            return token;
        }
    }
    return NULL;
}

/* The flags of the code point that ends at text[end], end > 0. */
static uint8_t flags_before(const uint8_t *text, size_t end, size_t *start)
{
    *start = end - 1;
    while (*start > 0 && (text[*start] & 0xC0) == 0x80)
        --*start;
    const uint8_t *p = text + *start;
    return ft_unicode_of(ft_utf8_next(&p))->flags;
}

static uint8_t flags_after(const uint8_t *text, size_t start, size_t *end)
{
    const uint8_t *p = text + start;
    uint8_t flags = ft_unicode_of(ft_utf8_next(&p))->flags;
    *end = (size_t)(p - text);
    return flags;
}

bool ft_added_tokens_next(const ft_added_tokens *set, const uint8_t *text, size_t length,
                          ft_added_cursor *cursor, ft_added_match *match)
{
    if (set->count == 0)
        return false;
    const ft_added_token *token;
    while ((token = find(set, text, length, &cursor->at)) != NULL) {
        const size_t begin = cursor->at, end = begin + token->length;
        size_t start = begin, stop = end, other;
        cursor->at = end;
        if (token->special && cursor->pass_special)
            continue;
        if (token->single_word &&
            ((start > 0 && flags_before(text, start, &other) & FT_UNICODE_WORD) ||
             (stop < length && flags_after(text, stop, &other) & FT_UNICODE_WORD)))
            continue;
        if (token->lstrip) {
            while (start > 0 && flags_before(text, start, &other) & FT_UNICODE_SPACE)
                start = other;
            if (start < cursor->taken)
                start = cursor->taken;
        }
        if (token->rstrip)
            while (stop < length && flags_after(text, stop, &other) & FT_UNICODE_SPACE)
                stop = other;
        if (start >= stop)
            continue; /* all white space, which the token before has taken */
        cursor->taken = stop;
        *match = (ft_added_match){start, stop, token->id, start != begin || stop != end};
        return true;
    }
    return false;
}
