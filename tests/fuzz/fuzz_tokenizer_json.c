/* The reader of tokenizer.json: any bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tokenizer/unicode.h"
#include "tokenizer/vocabulary_json.h"
#include "usable.h"

static const char before[] = "{\"model\":{\"vocab\":", after[] = "}}";

static ft_status read_copy(ft_vocabulary *vocabulary, const char *text, size_t length)
{
    uint8_t *copy = malloc(length);
    ft_json_span span;
    CHECK(copy != NULL);
    memcpy(copy, text, length);
    ft_status status = ft_vocabulary_read_json(vocabulary, copy, length, &span);
    CHECK(status != FT_OK || span.stop > 0);
    free(copy);
    return status;
}

/* The object alone, where all about it is plain, is the same vocabulary. */
static void check_span(const ft_vocabulary *vocabulary, const uint8_t *text, ft_json_span span)
{
    size_t length = span.stop - span.start, made;
    char *alone = malloc(sizeof before + length + sizeof after);
    CHECK(alone != NULL && text[span.start] == '{' && text[span.stop - 1] == '}');
    made = strlen(before);
    memcpy(alone, before, made);
    memcpy(alone + made, text + span.start, length);
    memcpy(alone + made + length, after, strlen(after));
    ft_vocabulary again = {0};
    CHECK(read_copy(&again, alone, made + length + strlen(after)) == FT_OK);
    check_same_vocabulary(vocabulary, &again);
    ft_vocabulary_clear(&again);
    free(alone);
}

/* A token as JSON, all of it escaped. */
static char *put_token(char *out, const uint8_t *bytes, size_t length)
{
    *out++ = '"';
    for (const uint8_t *at = bytes; at < bytes + length;) {
        uint32_t code = ft_utf8_next(&at);
        if (code >= 0x10000) {
            code -= 0x10000;
            out += sprintf(out, "\\uD%03x", 0x800 + (code >> 10));
            code = 0xDC00 + (code & 0x3FF);
        }
        out += sprintf(out, "\\u%04x", code);
    }
    *out++ = '"';
    return out;
}

/* The vocabulary, written in another way, is the same. */
static void check_written(const ft_vocabulary *vocabulary)
{
    size_t most = sizeof before + sizeof after + 2;
    for (size_t i = 0; i < vocabulary->count; i++)
        most += 6 * (size_t)vocabulary->tokens[i].length + 20;
    char *text = malloc(most), *out = text;
    CHECK(text != NULL);
    out += sprintf(out, "%s{", before);
    for (size_t i = 0; i < vocabulary->count; i++) {
        const ft_token *token = &vocabulary->tokens[i];
        out = put_token(out, vocabulary->bytes + token->start, token->length);
        out += sprintf(out, ": %d%s", (int)token->id, i + 1 < vocabulary->count ? "," : "");
    }
    out += sprintf(out, "}%s", after);
    ft_vocabulary again = {0};
    CHECK(read_copy(&again, text, (size_t)(out - text)) == FT_OK);
    check_same_vocabulary(vocabulary, &again);
    ft_vocabulary_clear(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ft_vocabulary vocabulary = {0}, again = {0};
    ft_json_span span, other;
    ft_status status = ft_vocabulary_read_json(&vocabulary, data, size, &span);
    CHECK(status == FT_OK || (status == FT_ERROR_VALUE && *ft_error_message() != '\0'));
    if (status == FT_OK) {
        CHECK(span.start <= span.stop && span.stop <= size);
        check_usable(&vocabulary);
        if (span.stop > 0) {
            check_span(&vocabulary, data, span);
            check_written(&vocabulary);
        } else {
            CHECK(vocabulary.count == 0);
        }
    }
    allocations_fail_after((int)(size % 6));
    ft_status failing = ft_vocabulary_read_json(&again, data, size, &other);
    allocations_fail_after(-1);
    CHECK(failing == status || failing == FT_ERROR_MEMORY);
    ft_vocabulary_clear(&again);
    ft_vocabulary_clear(&vocabulary);
    CHECK(allocations_alive() == 0);
    return 0;
}
