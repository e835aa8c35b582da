#include "tokenizer/vocabulary_json.h"

#include <string.h>

#ifdef __SSE2__
#    include <emmintrin.h>
#endif

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

enum {
    STEP = 16, /* bytes looked at together */
    LONGEST_CHARACTER = 4,
    EXCERPT = 60, /* bytes of a token that an error shows */
    /* Guesses of how much there will be, rather too little: of JSON for each token, and for each
     * byte of tokens. Files differ in their white space. */
    JSON_A_TOKEN = 24,
    JSON_A_BYTE = 4,
};

typedef struct reader {
    const uint8_t *text, *at, *end;
    ft_vocabulary *vocabulary;
    ft_json_span span;
} reader;

static inline void skip_space(reader *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\n' || *in->at == '\r' || *in->at == '\t'))
        in->at++;
}

static inline bool next_is(const reader *in, char byte)
{
    return in->at < in->end && *in->at == (uint8_t)byte;
}

/* Passes white space and one byte, if it is this one. */
static inline bool take(reader *in, char byte)
{
    skip_space(in);
    bool is = next_is(in, byte);
    in->at += is;
    return is;
}

static ft_status malformed(const reader *in, const char *expected)
{
    if (in->at >= in->end)
        return ft_error(FT_ERROR_VALUE, "the file ends where %s should be", expected);
    return ft_error(FT_ERROR_VALUE, "%s should be at byte %zu", expected,
                    (size_t)(in->at - in->text));
}

/* Strings */

static int hexadecimal(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The number of a \uXXXX, and moves past it; -1 where there is none. */
static int32_t unicode_escape(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    int32_t code = 0;
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hexadecimal(p[i]);
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    *at = p + 6;
    return code;
}

/* The code point of an escape, and moves past it; -1 where it is malformed or half a surrogate
 * pair. */
static int32_t escape(const uint8_t **at, const uint8_t *end)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (end - *at < 2)
        return -1;
    const char *letter = memchr(letters, (*at)[1], sizeof letters - 1);
    if (letter != NULL) {
        *at += 2;
        return meant[letter - letters];
    }
    const uint8_t *p = *at;
    int32_t code = unicode_escape(&p, end);
    if (code >= 0xD800 && code < 0xE000) {
        int32_t low = code < 0xDC00 ? unicode_escape(&p, end) : -1;
        if (low < 0xDC00 || low >= 0xE000)
            return -1;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code >= 0)
        *at = p;
    return code;
}

/* The length of the first bytes that stand for themselves in a string: ASCII but for controls,
 * quotation marks and backslashes. Reads STEP bytes; STEP means that all of them do. */
static inline size_t plain_bytes(const uint8_t *text)
{
#ifdef __SSE2__
    const __m128i bytes = _mm_loadu_si128((const __m128i *)text);
    /* As signed numbers those beyond ASCII are below the controls. */
    __m128i other = _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')),
                                 _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                              _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));
    return (size_t)__builtin_ctz((uint32_t)_mm_movemask_epi8(other) | 1u << STEP);
#else
    size_t count = 0;
    while (count < STEP && text[count] >= ' ' && text[count] < 0x80 && text[count] != '"' &&
           text[count] != '\\')
        count++;
    return count;
#endif
}

/* Reads the rest of a token, whose opening quotation mark was passed, onto the vocabulary's bytes.
 */
static ft_status read_token(reader *in, size_t *length)
{
    ft_vocabulary *vocabulary = in->vocabulary;
    const uint8_t *at = in->at, *end = in->end;
    size_t start = vocabulary->byte_count;
    for (;;) {
        if (vocabulary->own_capacity - vocabulary->byte_count < STEP + LONGEST_CHARACTER)
            FT_FORWARD(ft_vocabulary_reserve(vocabulary, 0, STEP + LONGEST_CHARACTER));
        uint8_t *out = vocabulary->own_bytes + vocabulary->byte_count;
        if (end - at >= STEP) {
            memcpy(out, at, STEP);
            size_t plain = plain_bytes(at);
            at += plain;
            out += plain;
            vocabulary->byte_count += plain;
            if (plain == STEP)
                continue;
        }
        in->at = at;
        if (at == end)
            return malformed(in, "the rest of a token");
        if (*at == '"')
            break;
        if (*at == '\\') {
            int32_t code = escape(&at, end);
            if (code < 0)
                return malformed(in, "a valid escape, and no half of a surrogate pair,");
            vocabulary->byte_count += ft_utf8_put((uint32_t)code, out);
            continue;
        }
        size_t size = *at < ' ' ? 0 : ft_utf8_character(at, (size_t)(end - at));
        if (size == 0)
            return malformed(in, "a character in valid UTF-8, controls being escaped,");
        memcpy(out, at, size);
        at += size;
        vocabulary->byte_count += size;
    }
    in->at = at + 1;
    *length = vocabulary->byte_count - start;
    return FT_OK;
}

/* Passes over a string at its opening quotation mark. */
static bool skip_string(reader *in)
{
    for (in->at++; in->at < in->end; in->at++) {
        if (*in->at == '"') {
            in->at++;
            return true;
        }
        if (*in->at == '\\' && in->at + 1 < in->end)
            in->at++;
    }
    return false;
}

/* Passes over a string, a name; *same tells whether it is this one, in ASCII. */
static bool take_name(reader *in, const char *name, bool *same)
{
    skip_space(in);
    if (!next_is(in, '"'))
        return false;
    const uint8_t *at = in->at + 1;
    if (!skip_string(in))
        return false;
    const uint8_t *end = in->at - 1;
    *same = true;
    for (; *same && at < end; name++) {
        int32_t code = *at == '\\' ? escape(&at, end) : *at++;
        *same = *name != '\0' && code == *name;
    }
    *same = *same && *name == '\0';
    return true;
}

/* The vocabulary */

/* As much of a token as an error shows, cut between characters. */
static int excerpt_length(const uint8_t *bytes, size_t length)
{
    if (length <= EXCERPT)
        return (int)length;
    length = EXCERPT;
    while ((bytes[length] & 0xC0) == 0x80)
        length--;
    return (int)length;
}

static ft_status not_an_id(const reader *in, const uint8_t *value, size_t token_length)
{
    const ft_vocabulary *vocabulary = in->vocabulary;
    const uint8_t *token = vocabulary->bytes + vocabulary->byte_count - token_length;
    int shown = 0;
    while (shown < EXCERPT / 2 && value + shown < in->end && value[shown] > ' ' &&
           value[shown] < 0x7F && value[shown] != ',' && value[shown] != '}')
        shown++;
    if (shown == 0)
        return malformed(in, "an id");
    return ft_error(FT_ERROR_VALUE,
                    "the id of '%.*s' is %.*s, not a whole number from 0 to 2147483647 (byte %zu)",
                    excerpt_length(token, token_length), (const char *)token, shown,
                    (const char *)value, (size_t)(value - in->text));
}

static ft_status read_id(reader *in, size_t token_length, int32_t *id)
{
    const uint8_t *start = in->at;
    uint64_t value = 0;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9' && value <= INT32_MAX)
        value = value * 10 + (uint64_t)(*in->at++ - '0');
    size_t digits = (size_t)(in->at - start);
    bool ends = in->at < in->end && *in->at != '.' && (*in->at | 0x20) != 'e' &&
                (*in->at < '0' || *in->at > '9');
    if (in->at == in->end)
        return malformed(in, "the rest of an id");
    if (digits == 0 || !ends || value > INT32_MAX || (digits > 1 && *start == '0'))
        return not_an_id(in, start, token_length);
    *id = (int32_t)value;
    return FT_OK;
}

static ft_status read_vocabulary(reader *in)
{
    ft_vocabulary *vocabulary = in->vocabulary;
    size_t rest = (size_t)(in->end - in->at);
    ft_vocabulary_clear(vocabulary); /* an earlier one of the same name does not count */
    FT_FORWARD(ft_vocabulary_reserve(vocabulary, rest / JSON_A_TOKEN + 1, rest / JSON_A_BYTE + 1));
    in->span.start = (size_t)(in->at - in->text);
    in->at++;
    if (!take(in, '}')) {
        do {
            size_t length = 0;
            int32_t id = 0;
            if (!take(in, '"'))
                return malformed(in, "a token in quotation marks");
            FT_FORWARD(read_token(in, &length));
            if (!take(in, ':'))
                return malformed(in, "a colon");
            skip_space(in);
            FT_FORWARD(read_id(in, length, &id));
            if (vocabulary->count == vocabulary->capacity)
                FT_FORWARD(ft_vocabulary_reserve(vocabulary, 1, 0));
            ft_vocabulary_append(vocabulary, vocabulary->byte_count - length, length, id);
        } while (take(in, ','));
        if (!take(in, '}'))
            return malformed(in, "a comma, or the end of the vocabulary");
    }
    in->span.stop = (size_t)(in->at - in->text);
    return FT_OK;
}

/* The document about it */

/* Passes over a value of any kind, however deep; brackets are counted and not compared. */
static bool skip_value(reader *in)
{
    size_t depth = 0;
    skip_space(in);
    const uint8_t *start = in->at;
    while (in->at < in->end) {
        uint8_t byte = *in->at;
        if (byte == '"') {
            if (!skip_string(in))
                return false;
        } else if (byte == '{' || byte == '[') {
            depth++;
            in->at++;
        } else if (byte == '}' || byte == ']') {
            if (depth == 0)
                return in->at > start;
            depth--;
            in->at++;
        } else if (byte == ',' && depth == 0) {
            return in->at > start;
        } else {
            in->at++;
            continue;
        }
        if (depth == 0)
            return true;
    }
    return false;
}

/* Passes over an object at its {, and reads the value of each of its members of this name with
 * `read`, where it is an object. *done: the object was whole, as far as this reader can see. */
static ft_status read_member(reader *in, const char *name,
                             ft_status (*read)(reader *in, bool *done), bool *done)
{
    *done = false;
    in->at++;
    if (take(in, '}')) {
        *done = true;
        return FT_OK;
    }
    do {
        bool same;
        if (!take_name(in, name, &same) || !take(in, ':'))
            return FT_OK;
        skip_space(in);
        if (same)
            in->span = (ft_json_span){0, 0};
        if (same && next_is(in, '{')) {
            bool whole;
            FT_FORWARD(read(in, &whole));
            if (!whole)
                return FT_OK;
        } else if (!skip_value(in)) {
            return FT_OK;
        }
    } while (take(in, ','));
    *done = take(in, '}');
    return FT_OK;
}

static ft_status read_vocab(reader *in, bool *done)
{
    *done = true;
    return read_vocabulary(in);
}

static ft_status read_model(reader *in, bool *done)
{
    return read_member(in, "vocab", read_vocab, done);
}

ft_status ft_vocabulary_read_json(ft_vocabulary *vocabulary, const uint8_t *text, size_t length,
                                  ft_json_span *span)
{
    reader in = {.text = text, .at = text, .end = text + length, .vocabulary = vocabulary};
    bool done;
    skip_space(&in);
    if (next_is(&in, '{'))
        FT_FORWARD(read_member(&in, "model", read_model, &done));
    *span = in.span;
    if (span->stop == 0)
        ft_vocabulary_clear(vocabulary);
    return ft_vocabulary_finish(vocabulary);
}
