#include "tokenizer/normalize.h"

#include "common/memory.h"
#include "tokenizer/reserve.h"
#include "tokenizer/unicode.h"

enum {
    HANGUL_FIRST = 0xAC00,
    HANGUL_LAST = 0xD7A3,
    HANGUL_LEADING = 0x1100,
    HANGUL_VOWEL = 0x1161,
    HANGUL_TRAILING = 0x11A7,
    HANGUL_VOWELS = 21,
    HANGUL_TRAILINGS = 28,
    /* What one code point can become, in bytes: far more than any does. */
    LONGEST_OUTPUT = 256,
};

/* A mark that waits for the next starter. */
typedef struct ft_mark {
    uint32_t code;
    uint32_t source;
    uint8_t class; /* the canonical combining class */
    bool first;    /* the first code point that its source decomposes to */
} ft_mark;

void ft_text_buffer_clear(ft_text_buffer *buffer)
{
    ft_release(buffer->bytes);
    ft_release(buffer->sources);
    ft_release(buffer->marks);
    *buffer = (ft_text_buffer){.traced = buffer->traced};
}

/* The last stage: lower case, into the text. */
static ft_status put(const ft_normalizer *normalizer, uint32_t code, ft_text_buffer *out)
{
    FT_FORWARD(ft_reserve((void **)&out->bytes, 1, out->length, LONGEST_OUTPUT, &out->capacity));
    const ft_unicode_record *record = ft_unicode_of(code);
    size_t before = out->length;
    if (normalizer->lowercase && record->lowered_length > 0)
        for (size_t i = 0; i < record->lowered_length; i++)
            out->length +=
                ft_utf8_put(ft_unicode_points[record->lowered + i], out->bytes + out->length);
    else
        out->length += ft_utf8_put(code, out->bytes + out->length);
    if (out->traced) {
        FT_FORWARD(ft_reserve((void **)&out->sources, sizeof *out->sources, before, LONGEST_OUTPUT,
                              &out->sources_capacity));
        for (size_t i = before; i < out->length; i++)
            out->sources[i] = out->source;
    }
    return FT_OK;
}

static ft_status put_unless_mark(const ft_normalizer *normalizer, uint32_t code,
                                 ft_text_buffer *out)
{
    return ft_unicode_of(code)->flags & FT_UNICODE_MARK ? FT_OK : put(normalizer, code, out);
}

/* Writes the marks that wait, in canonical order: by combining class, equal ones as they came. One
 * pass a class bounds the time for a long run.
 *
 * A mark's source is the one in its place, not its own: the Hugging Face library pairs what comes
 * out of NFD with what went in by position, where order has changed too. */
static ft_status flush_marks(const ft_normalizer *normalizer, size_t *waiting, ft_text_buffer *out)
{
    const ft_mark *marks = out->marks;
    size_t place = 0;
    uint32_t next = 0;
    while (*waiting > 0) {
        uint32_t now = next;
        next = UINT32_MAX;
        for (size_t i = 0; i < *waiting; i++) {
            if (marks[i].class == now) {
                if (out->traced && marks[i].first) {
                    while (!marks[place].first)
                        place++;
                    out->source = marks[place++].source;
                }
                FT_FORWARD(put_unless_mark(normalizer, marks[i].code, out));
            } else if (marks[i].class > now && marks[i].class < next) {
                next = marks[i].class;
            }
        }
        if (next == UINT32_MAX)
            *waiting = 0;
    }
    return FT_OK;
}

/* One code point of a decomposition: starters are written, marks wait for the next starter. */
static ft_status put_decomposed(const ft_normalizer *normalizer, uint32_t code, uint32_t source,
                                bool first, size_t *waiting, ft_text_buffer *out)
{
    const ft_unicode_record *record = ft_unicode_of(code);
    if (record->combining_class == 0) {
        if (*waiting > 0)
            FT_FORWARD(flush_marks(normalizer, waiting, out));
        out->source = source;
        return put_unless_mark(normalizer, code, out);
    }
    /* Dropping a mark before the marks are ordered leaves the others in the same order, but the
     * sources' places need it. */
    if (record->flags & FT_UNICODE_MARK && !out->traced)
        return FT_OK;
    FT_FORWARD(
        ft_reserve((void **)&out->marks, sizeof *out->marks, *waiting, 1, &out->marks_capacity));
    out->marks[(*waiting)++] = (ft_mark){code, source, record->combining_class, first};
    return FT_OK;
}

static ft_status decompose(const ft_normalizer *normalizer, uint32_t code, uint32_t source,
                           size_t *waiting, ft_text_buffer *out)
{
    if (code >= HANGUL_FIRST && code <= HANGUL_LAST) {
        uint32_t syllable = code - HANGUL_FIRST;
        uint32_t trailing = syllable % HANGUL_TRAILINGS;
        uint32_t vowel = syllable / HANGUL_TRAILINGS % HANGUL_VOWELS;
        uint32_t leading = syllable / (HANGUL_TRAILINGS * HANGUL_VOWELS);
        FT_FORWARD(
            put_decomposed(normalizer, HANGUL_LEADING + leading, source, true, waiting, out));
        FT_FORWARD(put_decomposed(normalizer, HANGUL_VOWEL + vowel, source, false, waiting, out));
        if (trailing > 0)
            FT_FORWARD(put_decomposed(normalizer, HANGUL_TRAILING + trailing, source, false,
                                      waiting, out));
        return FT_OK;
    }
    const ft_unicode_record *record = ft_unicode_of(code);
    if (record->decomposed_length == 0)
        return put_decomposed(normalizer, code, source, true, waiting, out);
    for (size_t i = 0; i < record->decomposed_length; i++)
        FT_FORWARD(put_decomposed(normalizer, ft_unicode_points[record->decomposed + i], source,
                                  i == 0, waiting, out));
    return FT_OK;
}

ft_status ft_normalize(const ft_normalizer *normalizer, const uint8_t *text, size_t length,
                       ft_text_buffer *out)
{
    const uint8_t *end = text + length;
    size_t waiting = 0;
    out->length = 0;
    for (uint32_t source = 0; text < end; source++) {
        uint32_t code = ft_utf8_next(&text);
        const ft_unicode_record *record = ft_unicode_of(code);
        if (normalizer->clean_text) {
            if (record->flags & FT_UNICODE_REMOVED)
                continue;
            if (record->flags & FT_UNICODE_SPACE)
                code = ' ';
        }
        bool spaced = normalizer->space_cjk && record->flags & FT_UNICODE_CJK;
        if (!normalizer->strip_accents) {
            out->source = source;
            if (spaced)
                FT_FORWARD(put(normalizer, ' ', out));
            FT_FORWARD(put(normalizer, code, out));
            if (spaced)
                FT_FORWARD(put(normalizer, ' ', out));
            continue;
        }
        if (spaced)
            FT_FORWARD(put_decomposed(normalizer, ' ', source, true, &waiting, out));
        FT_FORWARD(decompose(normalizer, code, source, &waiting, out));
        if (spaced)
            FT_FORWARD(put_decomposed(normalizer, ' ', source, true, &waiting, out));
    }
    return flush_marks(normalizer, &waiting, out);
}
