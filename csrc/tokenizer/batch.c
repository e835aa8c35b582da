/* Encoding many texts: rows of special tokens and what truncation leaves of the texts, made by
 * several threads in chunks and joined in order. */
#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "common/threads.h"
#include "tokenizer/tokenizer_internal.h"

enum {
    /* Bytes of text below which another thread is not worth waking. */
    BYTES_A_THREAD = 64 * 1024,
    CHUNKS_A_THREAD = 4,
};

/* A run of texts that one thread encodes. */
typedef struct chunk {
    int64_t begin, end;
    size_t bytes; /* of its texts */
    ft_trace tokens;
    ft_row *rows; /* [count] */
    size_t count, capacity;
    ft_status status;
    int64_t failed; /* the texts that could not be truncated, or -1 */
    int64_t failed_lengths[2];
    char message[128]; /* of another failure: a thread's own is lost with it */
} chunk;

/* All that the threads of one call share. */
typedef struct batch {
    ft_tokenizer *tokenizer;
    const ft_texts *texts[2];
    const ft_encode_options *options;
    chunk *chunks; /* [chunk_count] */
    int64_t chunk_count;
    chunk only; /* what chunks points to where there is one */
} batch;

/* The texts of a row of one side: texts [*begin, *end), which are one unless it was split before.
 */
static inline void texts_of(const ft_texts *side, int64_t row, int64_t *begin, int64_t *end)
{
    *begin = side->words != NULL ? side->words[row] : row;
    *end = side->words != NULL ? side->words[row + 1] : row + 1;
}

static bool is_paired(const batch *work, int64_t row)
{
    const ft_texts *second = work->texts[1];
    if (second->texts == NULL)
        return false;
    int64_t begin, end;
    texts_of(second, row, &begin, &end);
    return end != begin + 1 || second->texts[begin].bytes != NULL;
}

/* Encodes a row's first or second text into the encoder's scratch memory. */
static ft_status encode_text(const batch *work, ft_encoder *encoder, int side, int64_t row,
                             int64_t *count)
{
    const ft_texts *texts = work->texts[side];
    ft_trace *trace = &encoder->traces[side];
    int64_t begin, end;
    texts_of(texts, row, &begin, &end);
    ft_trace_empty(trace);
    FT_RETURN_IF(end - begin > INT32_MAX, FT_ERROR_MEMORY, "too many words");
    for (int64_t i = begin; i < end; i++) {
        const ft_text *text = &texts->texts[i];
        if (work->options->trace)
            FT_FORWARD(ft_trace_text(encoder->rules, work->options->pass_special, text->bytes,
                                     text->length, texts->words != NULL ? (int32_t)(i - begin) : -1,
                                     trace));
        else
            FT_FORWARD(ft_encoder_encode(encoder, text->bytes, text->length, &trace->ids));
    }
    FT_RETURN_IF(trace->ids.count > INT32_MAX, FT_ERROR_MEMORY, "too many tokens");
    *count = (int64_t)trace->ids.count;
    return FT_OK;
}

/* A row being made: which part of each text. */
typedef struct ft_row_parts {
    const ft_template *template;
    int64_t begin[2], end[2];
} ft_row_parts;

/* Appends a row's ids: those of its texts with the special tokens about them. */
static ft_status append_ids(const ft_encode_options *options, const ft_row_parts *row,
                            const ft_encoder *encoder, ft_ids *out)
{
    const ft_template *template = row->template;
    FT_FORWARD(ft_ids_reserve(out, (size_t)(row->end[0] - row->begin[0] + row->end[1] -
                                            row->begin[1] + template->count)));
    int32_t *end = out->data + out->count;
    for (int32_t i = 0; i < template->count; i++) {
        int32_t id = template->ids[i];
        if (id >= 0) {
            if (options->special_tokens)
                *end++ = id;
            continue;
        }
        int side = id == FT_PIECE_SECOND;
        size_t count = (size_t)(row->end[side] - row->begin[side]);
        if (count > 0)
            memcpy(end, encoder->traces[side].ids.data + row->begin[side], count * sizeof *end);
        end += count;
    }
    out->count = (size_t)(end - out->data);
    return FT_OK;
}

/* The same with where they come from. */
static ft_status append_traced(const ft_encode_options *options, const ft_row_parts *row,
                               const ft_encoder *encoder, ft_trace *out)
{
    const ft_template *template = row->template;
    for (int32_t i = 0; i < template->count; i++) {
        int32_t id = template->ids[i];
        int side = id == FT_PIECE_SECOND;
        if (id < 0)
            FT_FORWARD(
                ft_trace_append(out, &encoder->traces[side], row->begin[side], row->end[side]));
        else if (options->special_tokens)
            FT_FORWARD(ft_trace_append_special(out, id));
    }
    return FT_OK;
}

/* Appends a row of one part of each text. */
static ft_status append_row(const batch *work, const ft_encoder *encoder, chunk *out,
                            int64_t sample, const ft_parts parts[2], const int64_t indices[2],
                            bool paired)
{
    ft_row_parts row = {paired ? &work->tokenizer->pair : &work->tokenizer->single, {0}, {0}};
    for (int side = 0; side <= paired; side++)
        ft_parts_get(&parts[side], indices[side], &row.begin[side], &row.end[side]);
    if (work->options->trace)
        FT_FORWARD(append_traced(work->options, &row, encoder, &out->tokens));
    else
        FT_FORWARD(append_ids(work->options, &row, encoder, &out->tokens.ids));
    FT_FORWARD(ft_reserve((void **)&out->rows, sizeof *out->rows, out->count, 1, &out->capacity));
    out->rows[out->count++] = (ft_row){
        .end = (int64_t)out->tokens.ids.count,
        .sample = sample,
        .lengths = {(int32_t)(row.end[0] - row.begin[0]),
                    paired ? (int32_t)(row.end[1] - row.begin[1]) : -1},
        .further = {indices[0] > 0, indices[1] > 0},
    };
    return FT_OK;
}

/* Which text stands first in a row. */
static int leading_text(const ft_template *template)
{
    for (int32_t i = 0; i < template->count; i++)
        if (template->ids[i] < 0)
            return template->ids[i] == FT_PIECE_SECOND;
    return 0;
}

/* The rows of what was cut off: each further part of the leading text with each part of the other,
 * then the leading text's first part with each further part of the other. */
static ft_status append_overflow(const batch *work, const ft_encoder *encoder, chunk *out,
                                 int64_t sample, const ft_parts parts[2], bool paired)
{
    int leading = paired ? leading_text(&work->tokenizer->pair) : 0;
    int64_t others = paired ? parts[!leading].count : 1;
    for (int64_t i = 1; i <= parts[leading].count; i++) {
        bool last = i == parts[leading].count;
        for (int64_t j = last ? 1 : 0; j < others; j++) {
            int64_t indices[2] = {0, 0};
            indices[leading] = last ? 0 : i;
            indices[!leading] = j;
            FT_FORWARD(append_row(work, encoder, out, sample, parts, indices, paired));
        }
    }
    return FT_OK;
}

static int32_t specials_of(const batch *work, bool paired)
{
    const ft_tokenizer *tokenizer = work->tokenizer;
    return work->options->special_tokens
               ? (paired ? &tokenizer->pair : &tokenizer->single)->specials
               : 0;
}

static ft_status encode_row(const batch *work, ft_encoder *encoder, chunk *out, int64_t sample)
{
    static const int64_t firsts[2] = {0, 0};
    bool paired = is_paired(work, sample);
    int64_t n[2] = {0, -1};
    FT_FORWARD(encode_text(work, encoder, 0, sample, &n[0]));
    if (paired)
        FT_FORWARD(encode_text(work, encoder, 1, sample, &n[1]));
    ft_parts parts[2];
    ft_status status = ft_truncate(&work->options->truncation, specials_of(work, paired), n[0],
                                   n[1], &parts[0], &parts[1]);
    if (status != FT_OK) {
        out->failed = sample;
        memcpy(out->failed_lengths, n, sizeof n);
        return status;
    }
    FT_FORWARD(append_row(work, encoder, out, sample, parts, firsts, paired));
    return work->options->overflow ? append_overflow(work, encoder, out, sample, parts, paired)
                                   : FT_OK;
}

/* Texts lie all over memory: asks for the beginning of a row's before its turn comes. An address is
 * a number here: it may be beyond the text, or that of a text that is not there. */
static inline void fetch_early(const batch *work, int64_t row)
{
    for (int side = 0; side < 2; side++) {
        const ft_texts *texts = work->texts[side];
        if (texts->texts == NULL || texts->words != NULL)
            continue;
        uintptr_t text = (uintptr_t)texts->texts[row].bytes;
        for (size_t at = 0; at < 256; at += 64)
            __builtin_prefetch((const void *)(text + at));
    }
}

/* Bytes of a row's texts, an estimate of the work. */
static size_t bytes_of(const batch *work, int64_t row)
{
    size_t total = 0;
    for (int side = 0; side < 2; side++) {
        const ft_texts *texts = work->texts[side];
        int64_t begin, end;
        if (texts->texts == NULL)
            continue;
        texts_of(texts, row, &begin, &end);
        for (int64_t i = begin; i < end; i++)
            total += texts->texts[i].length;
    }
    return total;
}

/* Makes room for about as much as a chunk will come to. English has about four bytes to a token. */
static ft_status reserve_chunk(chunk *part)
{
    size_t rows = (size_t)(part->end - part->begin);
    size_t tokens = part->bytes / 4 + 4 * rows + 16;
    FT_FORWARD(ft_allocate(tokens * sizeof(int32_t), (void **)&part->tokens.ids.data));
    part->tokens.ids.capacity = tokens;
    FT_FORWARD(ft_allocate(rows * sizeof *part->rows, (void **)&part->rows));
    part->capacity = rows;
    return FT_OK;
}

static void keep_message(chunk *part)
{
    snprintf(part->message, sizeof part->message, "%s", ft_error_message());
}

static void encode_chunk(void *context, int64_t index)
{
    const batch *work = context;
    chunk *part = &work->chunks[index];
    ft_encoder *encoder;
    part->status = reserve_chunk(part);
    if (part->status == FT_OK)
        part->status = ft_tokenizer_take_encoder(work->tokenizer, &encoder);
    if (part->status != FT_OK) {
        keep_message(part);
        return;
    }
    encoder->pass_special = work->options->pass_special;
    for (int64_t row = part->begin; part->status == FT_OK && row < part->end; row++) {
        if (row + 2 < part->end)
            fetch_early(work, row + 2);
        part->status = encode_row(work, encoder, part, row);
    }
    if (part->status != FT_OK)
        keep_message(part);
    ft_tokenizer_return_encoder(work->tokenizer, encoder);
}

/* Joins the chunks; where there is one it is taken as it is. */
static ft_status join(const batch *work, ft_encoding *out)
{
    chunk *chunks = work->chunks;
    if (work->chunk_count == 1) {
        out->tokens = chunks[0].tokens;
        out->rows = chunks[0].rows;
        out->count = (int64_t)chunks[0].count;
        chunks[0].tokens = (ft_trace){0};
        chunks[0].rows = NULL;
        return FT_OK;
    }
    size_t tokens = 0, rows = 0;
    for (int64_t i = 0; i < work->chunk_count; i++) {
        tokens += chunks[i].tokens.ids.count;
        rows += chunks[i].count;
    }
    ft_ids *ids = &out->tokens.ids;
    FT_FORWARD(ft_allocate(rows * sizeof *out->rows, (void **)&out->rows));
    FT_FORWARD(ft_allocate(tokens * sizeof *ids->data, (void **)&ids->data));
    ids->capacity = tokens;
    for (int64_t i = 0; i < work->chunk_count; i++) {
        const chunk *part = &chunks[i];
        int64_t base = (int64_t)ids->count;
        if (work->options->trace) {
            FT_FORWARD(
                ft_trace_append(&out->tokens, &part->tokens, 0, (int64_t)part->tokens.ids.count));
        } else if (part->tokens.ids.count > 0) {
            memcpy(ids->data + base, part->tokens.ids.data,
                   part->tokens.ids.count * sizeof *ids->data);
            ids->count += part->tokens.ids.count;
        }
        for (size_t row = 0; row < part->count; row++) {
            out->rows[out->count] = part->rows[row];
            out->rows[out->count++].end += base;
        }
    }
    return FT_OK;
}

/* The first chunk that failed speaks for all, so that the message does not depend on timing. */
static ft_status report(const batch *work)
{
    for (int64_t i = 0; i < work->chunk_count; i++) {
        const chunk *part = &work->chunks[i];
        if (part->status == FT_OK)
            continue;
        if (part->failed < 0)
            return ft_error(part->status, "while tokenizing: %s", part->message);
        ft_parts unused[2];
        ft_status status =
            ft_truncate(&work->options->truncation, specials_of(work, part->failed_lengths[1] >= 0),
                        part->failed_lengths[0], part->failed_lengths[1], &unused[0], &unused[1]);
        return ft_error_within(status, "text %lld", (long long)part->failed);
    }
    return FT_OK;
}

/* Cuts the rows into chunks of about equal bytes. */
static void divide(const batch *work, int64_t rows, size_t bytes)
{
    int64_t row = 0;
    size_t seen = 0;
    for (int64_t i = 0; i < work->chunk_count; i++) {
        chunk *part = &work->chunks[i];
        size_t goal = bytes / (size_t)work->chunk_count * (size_t)(i + 1);
        part->begin = row;
        part->bytes = 0;
        part->failed = -1;
        while (row < rows && (seen + part->bytes < goal || i == work->chunk_count - 1))
            part->bytes += bytes_of(work, row++);
        part->end = row;
        seen += part->bytes;
    }
}

static ft_status encode_batch(batch *work, int64_t rows, ft_encoding *out)
{
    size_t bytes = 0;
    for (int64_t row = 0; row < rows; row++)
        bytes += bytes_of(work, row);
    int threads = work->options->threads;
    if (threads <= 0) {
        threads = 1;
        /* Asked for small batches too, though not for one short text, which should cost little: a
         * wrong setting should not wait for a large one. */
        if (rows > 1 || bytes >= 2 * BYTES_A_THREAD)
            FT_FORWARD(ft_thread_count(&threads));
        if (bytes < 2 * BYTES_A_THREAD)
            threads = 1;
        if ((size_t)threads > bytes / BYTES_A_THREAD + 1)
            threads = (int)(bytes / BYTES_A_THREAD + 1);
    }
    int64_t count = threads == 1 ? 1 : (int64_t)threads * CHUNKS_A_THREAD;
    if (count == 1)
        work->chunks = &work->only;
    else
        FT_FORWARD(ft_allocate((size_t)count * sizeof *work->chunks, (void **)&work->chunks));
    work->chunk_count = count;
    divide(work, rows, bytes);
    ft_parallel_for(threads, count, encode_chunk, work);
    FT_FORWARD(report(work));
    return join(work, out);
}

ft_status ft_tokenizer_encode(ft_tokenizer *tokenizer, const ft_texts *first,
                              const ft_texts *second, int64_t rows,
                              const ft_encode_options *options, ft_encoding *out)
{
    *out = (ft_encoding){.special_tokens = options->special_tokens,
                         .single = tokenizer->single,
                         .pair = tokenizer->pair};
    batch work = {.tokenizer = tokenizer, .texts = {first, second}, .options = options};
    FT_FORWARD(ft_truncation_check(&options->truncation, tokenizer->single.specials));
    ft_status status = encode_batch(&work, rows, out);
    for (int64_t i = 0; i < work.chunk_count; i++) {
        ft_trace_clear(&work.chunks[i].tokens);
        ft_release(work.chunks[i].rows);
    }
    if (work.chunks != &work.only)
        ft_release(work.chunks);
    if (status != FT_OK)
        ft_encoding_clear(out);
    return status;
}

void ft_encoding_clear(ft_encoding *encoding)
{
    ft_trace_clear(&encoding->tokens);
    ft_release(encoding->rows);
    *encoding = (ft_encoding){0};
}
