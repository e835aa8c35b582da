#include "tokenizer/tokenizer.h"

#include <pthread.h>
#include <string.h>

#include "common/memory.h"
#include "common/threads.h"
#include "tokenizer/encoder.h"

enum {
    /* Bytes of text below which another thread is not worth waking. */
    BYTES_A_THREAD = 64 * 1024,
    CHUNKS_A_THREAD = 4,
};

struct ft_tokenizer {
    ft_rules rules;
    ft_template single, pair;
    pthread_mutex_t lock; /* guards idle */
    ft_encoder *idle;     /* encoders that nobody uses now, with the words they know */
};

/* A run of rows that one thread encodes. */
typedef struct chunk {
    int64_t begin, end;
    ft_ids ids;
    ft_status status;
    int64_t failed_row; /* the row that could not be truncated, or -1 */
} chunk;

/* All that the threads of one call share. */
typedef struct batch {
    ft_tokenizer *tokenizer;
    const ft_text *first, *second;
    const ft_encode_options *options;
    ft_encoding *out;
    chunk *chunks;
    int64_t chunk_count;
} batch;

static ft_status fill_rules(ft_rules *rules, const ft_tokenizer_options *options,
                            const ft_vocabulary *vocabulary)
{
    ft_wordpiece *model = &rules->model;
    rules->normalizer = options->normalizer;
    model->vocabulary = vocabulary;
    FT_FORWARD(ft_allocate(options->prefix_length, (void **)&model->prefix));
    memcpy(model->prefix, options->prefix, options->prefix_length);
    model->prefix_length = options->prefix_length;
    model->prefix_hash = ft_hash_bytes(FT_HASH_START, options->prefix, options->prefix_length);
    model->unknown = options->unknown;
    model->longest_word = options->longest_word;

    ft_ids ids = {0};
    ft_status status = FT_OK;
    for (uint8_t byte = 0; status == FT_OK && byte < 128; byte++) {
        ids.count = 0;
        status = ft_wordpiece_match(model, &byte, 1, &ids);
        if (status == FT_OK)
            rules->ascii[byte] = ids.data[0];
    }
    ft_release(ids.data);
    return status;
}

static ft_status fill_added(ft_rules *rules, const ft_added_token *added, size_t count)
{
    /* The normalised forms of the tokens to be found in normalised text, end to end. */
    ft_added_token *raw = NULL, *normalized = NULL;
    ft_text_buffer text = {0};
    size_t raw_count = 0, normalized_count = 0;
    ft_status status = ft_allocate(count * sizeof *raw, (void **)&raw);
    if (status == FT_OK)
        status = ft_allocate(count * sizeof *normalized, (void **)&normalized);
    for (size_t i = 0; status == FT_OK && i < count; i++) {
        if (!added[i].normalized) {
            raw[raw_count++] = added[i];
            continue;
        }
        uint8_t *copy;
        status = ft_normalize(&rules->normalizer, added[i].bytes, added[i].length, &text);
        if (status == FT_OK)
            status = ft_allocate(text.length, (void **)&copy);
        if (status != FT_OK)
            break;
        if (text.length > 0)
            memcpy(copy, text.bytes, text.length);
        normalized[normalized_count] = added[i];
        normalized[normalized_count].bytes = copy;
        normalized[normalized_count++].length = text.length;
    }
    if (status == FT_OK)
        status = ft_added_tokens_fill(&rules->raw, raw, raw_count);
    if (status == FT_OK)
        status = ft_added_tokens_fill(&rules->normalized, normalized, normalized_count);
    for (size_t i = 0; i < normalized_count; i++)
        ft_release((void *)normalized[i].bytes);
    ft_text_buffer_clear(&text);
    ft_release(raw);
    ft_release(normalized);
    return status;
}

ft_status ft_tokenizer_create(const ft_tokenizer_options *options, const ft_vocabulary *vocabulary,
                              const ft_added_token *added, size_t added_count, ft_tokenizer **out)
{
    ft_tokenizer *tokenizer;
    *out = NULL;
    FT_FORWARD(ft_allocate(sizeof *tokenizer, (void **)&tokenizer));
    pthread_mutex_init(&tokenizer->lock, NULL);
    tokenizer->single = options->single;
    tokenizer->pair = options->pair;
    ft_status status = fill_rules(&tokenizer->rules, options, vocabulary);
    if (status == FT_OK)
        status = fill_added(&tokenizer->rules, added, added_count);
    if (status != FT_OK) {
        ft_tokenizer_destroy(tokenizer);
        return status;
    }
    *out = tokenizer;
    return FT_OK;
}

void ft_tokenizer_destroy(ft_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    while (tokenizer->idle != NULL) {
        ft_encoder *encoder = tokenizer->idle;
        tokenizer->idle = encoder->next;
        ft_encoder_destroy(encoder);
    }
    ft_release(tokenizer->rules.model.prefix);
    ft_added_tokens_clear(&tokenizer->rules.raw);
    ft_added_tokens_clear(&tokenizer->rules.normalized);
    pthread_mutex_destroy(&tokenizer->lock);
    ft_release(tokenizer);
}

const ft_normalizer *ft_tokenizer_normalizer(const ft_tokenizer *tokenizer)
{
    return &tokenizer->rules.normalizer;
}

/* Neither of these waits for the lock. It is held for an instant only, so another encoder is rarely
 * made in vain; and in a process that was forked in that instant it is held for ever. */
static ft_status take_encoder(ft_tokenizer *tokenizer, ft_encoder **out)
{
    *out = NULL;
    if (pthread_mutex_trylock(&tokenizer->lock) == 0) {
        *out = tokenizer->idle;
        if (*out != NULL)
            tokenizer->idle = (*out)->next;
        pthread_mutex_unlock(&tokenizer->lock);
    }
    return *out != NULL ? FT_OK : ft_encoder_create(&tokenizer->rules, out);
}

static void return_encoder(ft_tokenizer *tokenizer, ft_encoder *encoder)
{
    if (pthread_mutex_trylock(&tokenizer->lock) != 0) {
        ft_encoder_destroy(encoder);
        return;
    }
    encoder->next = tokenizer->idle;
    tokenizer->idle = encoder;
    pthread_mutex_unlock(&tokenizer->lock);
}

static void cut(ft_ids *ids, int64_t length, bool left)
{
    if ((int64_t)ids->count <= length)
        return;
    if (left)
        memmove(ids->data, ids->data + (ids->count - (size_t)length),
                (size_t)length * sizeof *ids->data);
    ids->count = (size_t)length;
}

/* Cuts a row's texts to what special tokens leave of max_length; false where the strategy cannot.
 * The rules are the Rust library's, whatever one may think of them: a max_length below the number
 * of special tokens does not truncate at all, and where both texts are cut the shorter (the first,
 * of equals) gets the smaller half. */
static bool truncate(const ft_encode_options *options, int32_t specials, ft_ids *first,
                     ft_ids *second)
{
    int64_t room = options->max_length - (options->special_tokens ? specials : 0);
    if (options->truncation == FT_TRUNCATE_NOT || room < 0)
        return true;
    bool left = options->truncate_left;
    if (room == 0) {
        first->count = 0;
        if (second != NULL)
            second->count = 0;
        return true;
    }
    int64_t n1 = (int64_t)first->count, n2 = second != NULL ? (int64_t)second->count : 0;
    int64_t excess = n1 + n2 - room;
    if (excess <= 0)
        return true;
    if (options->truncation == FT_TRUNCATE_LONGEST_FIRST) {
        if (second == NULL) {
            cut(first, room, left);
            return true;
        }
        int64_t shorter = n1 <= n2 ? n1 : n2;
        int64_t longer = room - shorter;
        if (longer < shorter) {
            shorter = room / 2;
            longer = room - shorter;
        }
        cut(first, n1 <= n2 ? shorter : longer, left);
        cut(second, n1 <= n2 ? longer : shorter, left);
        return true;
    }
    ft_ids *target = options->truncation == FT_TRUNCATE_ONLY_FIRST ? first : second;
    if (target == NULL || (int64_t)target->count <= excess)
        return false;
    cut(target, (int64_t)target->count - excess, left);
    return true;
}

/* Appends a row: the texts' ids with the special tokens about them. */
static ft_status append_row(const ft_template *template, bool special_tokens, const ft_ids *first,
                            const ft_ids *second, ft_ids *out)
{
    FT_FORWARD(ft_ids_reserve(out, first->count + second->count + (size_t)template->count));
    int32_t *end = out->data + out->count;
    for (int32_t i = 0; i < template->count; i++) {
        int32_t id = template->ids[i];
        if (id >= 0) {
            if (special_tokens)
                *end++ = id;
            continue;
        }
        const ft_ids *text = id == FT_PIECE_FIRST ? first : second;
        if (text->count > 0)
            memcpy(end, text->data, text->count * sizeof *end);
        end += text->count;
    }
    out->count = (size_t)(end - out->data);
    return FT_OK;
}

static ft_status encode_row(batch *work, ft_encoder *encoder, chunk *part, int64_t row)
{
    const ft_text *first = &work->first[row];
    const ft_text *second = work->second != NULL ? &work->second[row] : NULL;
    bool paired = second != NULL && second->bytes != NULL;
    const ft_template *template = paired ? &work->tokenizer->pair : &work->tokenizer->single;
    encoder->first.count = encoder->second.count = 0;
    FT_FORWARD(ft_encoder_encode(encoder, first->bytes, first->length, &encoder->first));
    if (paired)
        FT_FORWARD(ft_encoder_encode(encoder, second->bytes, second->length, &encoder->second));
    if (!truncate(work->options, template->specials, &encoder->first,
                  paired ? &encoder->second : NULL)) {
        part->failed_row = row;
        return FT_ERROR_VALUE;
    }
    FT_FORWARD(append_row(template, work->options->special_tokens, &encoder->first,
                          &encoder->second, &part->ids));
    FT_RETURN_IF(encoder->first.count > INT32_MAX || encoder->second.count > INT32_MAX,
                 FT_ERROR_MEMORY, "row %lld has more than 2^31 - 1 tokens", (long long)row);
    work->out->lengths[2 * row] = (int32_t)encoder->first.count;
    work->out->lengths[2 * row + 1] = paired ? (int32_t)encoder->second.count : -1;
    work->out->offsets[row + 1] = (int64_t)part->ids.count;
    return FT_OK;
}

/* Texts lie all over memory: asks for the beginning of a row's before its turn comes. An address is
 * a number here: it may be beyond the text, or that of a text that is not there. */
static inline void fetch_early(const batch *work, int64_t row)
{
    uintptr_t first = (uintptr_t)work->first[row].bytes;
    uintptr_t second = work->second != NULL ? (uintptr_t)work->second[row].bytes : 0;
    for (size_t at = 0; at < 256; at += 64) {
        __builtin_prefetch((const void *)(first + at));
        if (second != 0)
            __builtin_prefetch((const void *)(second + at));
    }
}

static void encode_chunk(void *context, int64_t index)
{
    batch *work = context;
    chunk *part = &work->chunks[index];
    ft_encoder *encoder;
    part->status = take_encoder(work->tokenizer, &encoder);
    if (part->status != FT_OK)
        return;
    for (int64_t row = part->begin; part->status == FT_OK && row < part->end; row++) {
        if (row + 2 < part->end)
            fetch_early(work, row + 2);
        part->status = encode_row(work, encoder, part, row);
    }
    return_encoder(work->tokenizer, encoder);
}

/* Sums a chunk's row ends, which count from its own beginning, onto those before it. */
static void shift_offsets(ft_encoding *out, const chunk *part, int64_t base)
{
    if (base > 0)
        for (int64_t row = part->begin; row < part->end; row++)
            out->offsets[row + 1] += base;
}

/* Joins the chunks' ids; where there is one chunk they are taken as they are. */
static ft_status join(batch *work)
{
    int64_t count = work->chunk_count;
    ft_encoding *out = work->out;
    if (count == 1) {
        out->ids = work->chunks[0].ids.data;
        work->chunks[0].ids.data = NULL;
        return FT_OK;
    }
    size_t total = 0;
    for (int64_t i = 0; i < count; i++)
        total += work->chunks[i].ids.count;
    FT_FORWARD(ft_allocate(total * sizeof *out->ids, (void **)&out->ids));
    size_t base = 0;
    for (int64_t i = 0; i < count; i++) {
        const chunk *part = &work->chunks[i];
        if (part->ids.count > 0)
            memcpy(out->ids + base, part->ids.data, part->ids.count * sizeof *out->ids);
        shift_offsets(out, part, (int64_t)base);
        base += part->ids.count;
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
        if (part->failed_row < 0)
            return ft_error(part->status, "out of memory while tokenizing");
        bool paired = work->second != NULL && work->second[part->failed_row].bytes != NULL;
        if (work->options->truncation == FT_TRUNCATE_ONLY_SECOND && !paired)
            return ft_error(part->status,
                            "truncation=\"only_second\": text %lld has no second text to cut to "
                            "max_length=%lld",
                            (long long)part->failed_row, (long long)work->options->max_length);
        return ft_error(
            part->status,
            "truncation=\"%s\": that text of row %lld is too short for the row to be cut "
            "to max_length=%lld; \"longest_first\" cuts both",
            work->options->truncation == FT_TRUNCATE_ONLY_FIRST ? "only_first" : "only_second",
            (long long)part->failed_row, (long long)work->options->max_length);
    }
    return FT_OK;
}

/* Bytes of all texts, an estimate of the work. */
static size_t count_bytes(const ft_text *first, const ft_text *second, int64_t rows)
{
    size_t total = 0;
    for (int64_t i = 0; i < rows; i++)
        total += first[i].length + (second != NULL ? second[i].length : 0);
    return total;
}

/* Cuts the rows into chunks of about equal bytes. */
static void divide(batch *work, int64_t rows, int64_t count, size_t bytes)
{
    int64_t row = 0;
    size_t seen = 0;
    for (int64_t i = 0; i < count; i++) {
        chunk *part = &work->chunks[i];
        size_t goal = bytes / (size_t)count * (size_t)(i + 1);
        part->begin = row;
        part->failed_row = -1;
        while (row < rows && (seen < goal || i == count - 1)) {
            seen += work->first[row].length;
            seen += work->second != NULL ? work->second[row].length : 0;
            row++;
        }
        part->end = row;
    }
}

static ft_status encode_batch(batch *work, int64_t rows)
{
    ft_encoding *out = work->out;
    size_t bytes = count_bytes(work->first, work->second, rows);
    int threads = work->options->threads;
    if (threads <= 0) {
        /* Asked even where one thread will do: a wrong setting should not wait for a long text. */
        FT_FORWARD(ft_thread_count(&threads));
        if (bytes < 2 * BYTES_A_THREAD)
            threads = 1;
        if ((size_t)threads > bytes / BYTES_A_THREAD + 1)
            threads = (int)(bytes / BYTES_A_THREAD + 1);
    }
    int64_t count = threads == 1 ? 1 : (int64_t)threads * CHUNKS_A_THREAD;
    FT_FORWARD(ft_allocate((size_t)count * sizeof *work->chunks, (void **)&work->chunks));
    work->chunk_count = count;
    FT_FORWARD(ft_allocate((size_t)(rows + 1) * sizeof *out->offsets, (void **)&out->offsets));
    FT_FORWARD(ft_allocate((size_t)rows * 2 * sizeof *out->lengths, (void **)&out->lengths));
    divide(work, rows, count, bytes);
    for (int64_t i = 0; i < count; i++) /* English: about four bytes to a token */
        FT_FORWARD(ft_ids_reserve(&work->chunks[i].ids,
                                  bytes / (size_t)count / 3 + 16 +
                                      (size_t)(work->chunks[i].end - work->chunks[i].begin) * 4));
    ft_parallel_for(threads, count, encode_chunk, work);
    FT_FORWARD(report(work));
    FT_FORWARD(join(work));
    out->rows = rows;
    return FT_OK;
}

ft_status ft_tokenizer_encode(ft_tokenizer *tokenizer, const ft_text *first, const ft_text *second,
                              int64_t rows, const ft_encode_options *options, ft_encoding *out)
{
    *out = (ft_encoding){.special_tokens = options->special_tokens,
                         .single = tokenizer->single,
                         .pair = tokenizer->pair};
    batch work = {
        .tokenizer = tokenizer, .first = first, .second = second, .options = options, .out = out};
    ft_status status = encode_batch(&work, rows);
    for (int64_t i = 0; i < work.chunk_count; i++)
        ft_release(work.chunks[i].ids.data);
    ft_release(work.chunks);
    if (status != FT_OK)
        ft_encoding_clear(out);
    return status;
}

void ft_encoding_clear(ft_encoding *encoding)
{
    ft_release(encoding->ids);
    ft_release(encoding->offsets);
    ft_release(encoding->lengths);
    *encoding = (ft_encoding){0};
}
