#include "tokenizer/trace.h"

#include <string.h>

#include "common/memory.h"
#include "tokenizer/unicode.h"

void ft_trace_clear(ft_trace *trace)
{
    ft_release(trace->ids.data);
    ft_release(trace->origins);
    ft_release(trace->spaced);
    ft_release(trace->bytes);
    ft_release(trace->ends.data);
    ft_text_buffer_clear(&trace->text);
    *trace = (ft_trace){0};
}

void ft_trace_empty(ft_trace *trace)
{
    trace->ids.count = trace->spaced_count = trace->bytes_count = 0;
}

static ft_status reserve(ft_trace *out, size_t more)
{
    FT_FORWARD(ft_ids_reserve(&out->ids, more));
    return ft_reserve((void **)&out->origins, sizeof *out->origins, out->ids.count, more,
                      &out->origins_capacity);
}

static ft_status add_spaced(ft_trace *out, const uint8_t *bytes, size_t length)
{
    FT_FORWARD(ft_reserve((void **)&out->spaced, sizeof *out->spaced, out->spaced_count, 1,
                          &out->spaced_capacity));
    FT_FORWARD(ft_reserve((void **)&out->bytes, 1, out->bytes_count, length, &out->bytes_capacity));
    memcpy(out->bytes + out->bytes_count, bytes, length);
    out->spaced[out->spaced_count++] =
        (ft_spaced){(int64_t)out->ids.count, out->bytes_count, length};
    out->bytes_count += length;
    return FT_OK;
}

/* The first spaced token at or after a place among the tokens. */
static size_t first_spaced(const ft_trace *trace, int64_t token)
{
    size_t low = 0, high = trace->spaced_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (trace->spaced[middle].token < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

ft_status ft_trace_append(ft_trace *out, const ft_trace *trace, int64_t begin, int64_t end)
{
    size_t count = (size_t)(end - begin);
    if (count == 0)
        return FT_OK;
    FT_FORWARD(reserve(out, count));
    int64_t shift = (int64_t)out->ids.count - begin;
    for (size_t i = first_spaced(trace, begin);
         i < trace->spaced_count && trace->spaced[i].token < end; i++) {
        const ft_spaced *spaced = &trace->spaced[i];
        FT_FORWARD(add_spaced(out, trace->bytes + spaced->start, spaced->length));
        out->spaced[out->spaced_count - 1].token = spaced->token + shift;
    }
    memcpy(out->ids.data + out->ids.count, trace->ids.data + begin, count * sizeof *out->ids.data);
    memcpy(out->origins + out->ids.count, trace->origins + begin, count * sizeof *out->origins);
    out->ids.count += count;
    return FT_OK;
}

ft_status ft_trace_append_special(ft_trace *out, int32_t id)
{
    FT_FORWARD(reserve(out, 1));
    out->origins[out->ids.count] = (ft_origin){0, 0, -1};
    out->ids.data[out->ids.count++] = id;
    return FT_OK;
}

/* What the stages below share. */
typedef struct tracer {
    const ft_rules *rules;
    bool pass_special;
    int32_t fixed_word; /* the number of every word, or negative */
    int32_t words;      /* words so far */
    uint32_t base;      /* characters of the text before the stretch at hand */
    ft_trace *out;
} tracer;

static int32_t next_word(tracer *t)
{
    int32_t word = t->words++;
    return t->fixed_word >= 0 ? t->fixed_word : word;
}

/* The tokens of bytes [begin, end) of the normalised text, a word. */
static ft_status trace_word(tracer *t, size_t begin, size_t end)
{
    ft_trace *out = t->out;
    size_t before = out->ids.count;
    FT_FORWARD(reserve(out, end - begin + 1));
    out->ends.count = 0;
    FT_FORWARD(ft_wordpiece_match(&t->rules->model, out->text.bytes + begin, end - begin, &out->ids,
                                  &out->ends));
    const uint32_t *sources = out->text.sources + begin;
    int32_t word = next_word(t);
    size_t start = 0;
    for (size_t i = 0; i < out->ends.count; i++) {
        size_t stop = out->ends.data[i];
        out->origins[before + i] = (ft_origin){(int32_t)(t->base + sources[start]),
                                               (int32_t)(t->base + sources[stop - 1] + 1), word};
        start = stop;
    }
    return FT_OK;
}

/* Splits bytes [begin, end) of the normalised text at white space and punctuation. */
static ft_status trace_words(tracer *t, size_t begin, size_t end)
{
    if (begin >= end)
        return FT_OK;
    const uint8_t *text = t->out->text.bytes;
    size_t word = begin;
    for (const uint8_t *p = text + begin; p < text + end;) {
        size_t at = (size_t)(p - text);
        uint8_t flags = ft_unicode_of(ft_utf8_next(&p))->flags;
        size_t after = (size_t)(p - text);
        if (!(flags & (FT_UNICODE_SPACE | FT_UNICODE_PUNCTUATION)))
            continue;
        if (at > word)
            FT_FORWARD(trace_word(t, word, at));
        if (!(flags & FT_UNICODE_SPACE))
            FT_FORWARD(trace_word(t, at, after));
        word = after;
    }
    return end > word ? trace_word(t, word, end) : FT_OK;
}

/* An added token, which stands in `text`, characters [start, end) of the original. */
static ft_status trace_added(tracer *t, const uint8_t *text, const ft_added_match *match,
                             bool keep_text, uint32_t start, uint32_t end)
{
    ft_trace *out = t->out;
    FT_FORWARD(reserve(out, 1));
    if (keep_text)
        FT_FORWARD(add_spaced(out, text + match->start, match->stop - match->start));
    out->origins[out->ids.count] = (ft_origin){(int32_t)start, (int32_t)end, next_word(t)};
    out->ids.data[out->ids.count++] = match->id;
    return FT_OK;
}

/* A stretch of text that holds no added token to be found in raw text. */
static ft_status trace_stretch(tracer *t, const uint8_t *text, size_t length)
{
    ft_text_buffer *normal = &t->out->text;
    normal->traced = true;
    FT_FORWARD(ft_normalize(&t->rules->normalizer, text, length, normal));
    ft_added_cursor cursor = {.pass_special = t->pass_special};
    ft_added_match match;
    size_t done = 0;
    while (normal->length > 0 && ft_added_tokens_next(&t->rules->normalized, normal->bytes,
                                                      normal->length, &cursor, &match)) {
        FT_FORWARD(trace_words(t, done, match.start));
        FT_FORWARD(trace_added(t, normal->bytes, &match, true,
                               t->base + normal->sources[match.start],
                               t->base + normal->sources[match.stop - 1] + 1));
        done = match.stop;
    }
    return trace_words(t, done, normal->length);
}

static uint32_t count_characters(const uint8_t *text, size_t length)
{
    uint32_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += (text[i] & 0xC0) != 0x80;
    return count;
}

ft_status ft_trace_text(const ft_rules *rules, bool pass_special, const uint8_t *text,
                        size_t length, int32_t word, ft_trace *out)
{
    FT_RETURN_IF(length > INT32_MAX, FT_ERROR_MEMORY,
                 "a text of %zu bytes is too long: offsets are kept for 2147483647 at most",
                 length);
    tracer t = {rules, pass_special, word, 0, 0, out};
    ft_added_cursor cursor = {.pass_special = pass_special};
    ft_added_match match;
    size_t done = 0;
    while (ft_added_tokens_next(&rules->raw, text, length, &cursor, &match)) {
        if (match.start >= done) {
            FT_FORWARD(trace_stretch(&t, text + done, match.start - done));
            t.base += count_characters(text + done, match.start - done);
        } else { /* it begins in the white space that the token before has taken */
            t.base -= count_characters(text + match.start, done - match.start);
        }
        uint32_t start = t.base;
        t.base += count_characters(text + match.start, match.stop - match.start);
        FT_FORWARD(trace_added(&t, text, &match, match.spaced, start, t.base));
        done = match.stop;
    }
    return trace_stretch(&t, text + done, length - done);
}
