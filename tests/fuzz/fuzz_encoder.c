/* The encoder: any tokenizer, any texts. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "rows_check.h"
#include "sample.h"
#include "tokenizer/normalize.h"
#include "tokenizer/rows.h"

static ft_status create(const sample *sample, ft_tokenizer **out)
{
    return ft_tokenizer_create(&sample->options, &sample->vocabulary, sample->added,
                               sample->added_count, out);
}

static ft_tokenizer *new_tokenizer(const sample *sample)
{
    ft_tokenizer *tokenizer;
    CHECK(create(sample, &tokenizer) == FT_OK);
    return tokenizer;
}

static ft_status encode(const sample *sample, ft_tokenizer *tokenizer,
                        const ft_encode_options *options, ft_encoding *out)
{
    return ft_tokenizer_encode(tokenizer, &sample->sides[0], &sample->sides[1], sample->rows,
                               options, out);
}

static void check_same(const ft_encoding *a, const ft_encoding *b)
{
    size_t tokens = a->tokens.ids.count;
    CHECK(a->count == b->count && tokens == b->tokens.ids.count);
    for (int64_t i = 0; i < a->count; i++) {
        const ft_row *one = &a->rows[i], *other = &b->rows[i];
        CHECK(one->end == other->end && one->sample == other->sample);
        CHECK(one->lengths[0] == other->lengths[0] && one->lengths[1] == other->lengths[1]);
        CHECK(memcmp(one->further, other->further, sizeof one->further) == 0);
    }
    CHECK(tokens == 0 ||
          memcmp(a->tokens.ids.data, b->tokens.ids.data, tokens * sizeof(int32_t)) == 0);
    if (tokens > 0 && a->tokens.origins != NULL && b->tokens.origins != NULL)
        CHECK(memcmp(a->tokens.origins, b->tokens.origins, tokens * sizeof(ft_origin)) == 0);
}

/* Every call with the same texts and options ends in the same way, traced or not. */
static void check_again(const sample *sample, ft_tokenizer *tokenizer, int threads, bool trace,
                        ft_status status, const ft_encoding *expected)
{
    ft_encode_options options = sample->encode;
    ft_encoding encoding;
    options.threads = threads;
    options.trace = trace;
    CHECK(encode(sample, tokenizer, &options, &encoding) == status);
    if (status != FT_OK)
        return; /* there is nothing to clear */
    check_same(expected, &encoding);
    ft_encoding_clear(&encoding);
}

static bool may_be_token(const sample *sample, int32_t id)
{
    return id == sample->options.unknown || (id >= 0 && (size_t)id < sample->ids) ||
           (id >= SAMPLE_FIRST_ADDED && (size_t)(id - SAMPLE_FIRST_ADDED) < sample->added_count);
}

/* What the texts come to before truncation, special tokens left out. */
static void encode_whole(const sample *sample, ft_tokenizer *tokenizer, bool trace,
                         ft_encoding *whole)
{
    ft_encode_options options = {
        .threads = 1, .trace = trace, .pass_special = sample->encode.pass_special};
    CHECK(encode(sample, tokenizer, &options, whole) == FT_OK);
    CHECK(whole->count == sample->rows);
    for (size_t i = 0; i < whole->tokens.ids.count; i++)
        CHECK(may_be_token(sample, whole->tokens.ids.data[i]));
}

static int32_t count_characters(const ft_text *text)
{
    int32_t count = 0;
    for (size_t i = 0; i < text->length; i++)
        count += (text->bytes[i] & 0xC0) != 0x80;
    return count;
}

/* The origins of a text's tokens lie in the text, or the word, and go forwards. Returns the last.
 */
static const ft_origin *check_origins(const sample *sample, int side, int64_t row,
                                      const ft_origin *origins, int64_t count)
{
    int64_t begin = sample->words[side][row], words = sample->words[side][row + 1] - begin;
    ft_origin last = {0, 0, sample->split ? 0 : -1};
    for (const ft_origin *at = origins; at < origins + count; at++) {
        CHECK(at->word >= last.word && at->word < (sample->split ? words : last.word + 2));
        const ft_text *text = &sample->texts[side][begin + (sample->split ? at->word : 0)];
        CHECK(at->start >= 0 && at->start <= at->end && at->end <= count_characters(text));
        if (!sample->split || at->word == last.word)
            CHECK(at->start >= last.start);
        last = *at;
    }
    return origins + count;
}

/* The added tokens that have taken white space, in order. */
static void check_spaced(const ft_trace *trace)
{
    int64_t last = -1;
    for (size_t i = 0; i < trace->spaced_count; i++) {
        const ft_spaced *spaced = &trace->spaced[i];
        CHECK(spaced->token > last && spaced->token < (int64_t)trace->ids.count);
        CHECK(trace->ids.data[spaced->token] >= SAMPLE_FIRST_ADDED);
        CHECK(spaced->start + spaced->length <= trace->bytes_count);
        CHECK(is_utf8(trace->bytes + spaced->start, spaced->length));
        last = spaced->token;
    }
}

static void check_whole_trace(const sample *sample, const ft_encoding *whole)
{
    check_spaced(&whole->tokens);
    if (whole->tokens.ids.count == 0)
        return; /* there may be no memory for them */
    for (int64_t row = 0; row < whole->count; row++) {
        const ft_template *template = ft_encoding_template(whole, row);
        const ft_origin *at = whole->tokens.origins + ft_encoding_begin(whole, row);
        for (int32_t i = 0; i < template->count; i++) {
            int side = template->ids[i] == FT_PIECE_SECOND;
            if (template->ids[i] < 0)
                at = check_origins(sample, side, row, at, whole->rows[row].lengths[side]);
        }
    }
}

/* The columns of a traced encoding, as wide as the longest row and a little wider. */
static void check_columns(const ft_encoding *encoding)
{
    int64_t longest = ft_encoding_longest(encoding, true);
    CHECK(ft_encoding_shortest(encoding) <= longest);
    CHECK(ft_encoding_longest(encoding, false) <= longest);
    for (int64_t wider = 0; wider < 4; wider += 3) {
        ft_padding padding = {longest + wider, wider > 0, 9, 8};
        size_t width = (size_t)padding.length, rows = (size_t)encoding->count;
        for (int column = FT_COLUMN_IDS; column < FT_COLUMNS; column++) {
            size_t depth = column == FT_COLUMN_OFFSETS ? 2 : 1;
            int64_t *values = malloc(rows * width * depth * sizeof *values);
            CHECK(values != NULL);
            ft_encoding_fill(encoding, (ft_column)column, &padding, padding.length, values);
            for (size_t row = 0; row < rows && column == FT_COLUMN_MASK; row++) {
                int64_t tokens = 0;
                for (size_t i = 0; i < width; i++)
                    tokens += values[row * width + i];
                CHECK(tokens == ft_encoding_length(encoding, (int64_t)row));
            }
            free(values);
        }
    }
}

static void check_traced(const sample *sample, ft_tokenizer *tokenizer, const ft_encoding *expected)
{
    ft_encode_options options = sample->encode;
    ft_encoding traced;
    options.trace = true;
    CHECK(encode(sample, tokenizer, &options, &traced) == FT_OK);
    check_same(expected, &traced);
    check_spaced(&traced.tokens);
    check_columns(&traced);
    ft_encoding_clear(&traced);
}

/* Adds an added token that is found in no text: it is longer than any. */
static void add_absent_token(sample *sample)
{
    size_t longest = 0;
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < sample->words[side][sample->rows]; i++)
            if (sample->texts[side][i].length > longest)
                longest = sample->texts[side][i].length;
    uint8_t *bytes = strings_reserve(&sample->strings, longest + 1);
    memset(bytes, 'x', longest + 1);
    sample->added[sample->added_count++] =
        (ft_added_token){.bytes = bytes, .length = longest + 1, .normalized = true};
}

/* Where no added token is to be found in normalised text, words are normalised one by one and kept;
 * otherwise the text is normalised as a whole. Both give the same ids. */
static void check_whole_normalization(sample *sample, const ft_encoding *whole)
{
    for (size_t i = 0; i < sample->added_count; i++)
        if (sample->added[i].normalized)
            return;
    add_absent_token(sample);
    ft_tokenizer *tokenizer = new_tokenizer(sample);
    ft_encoding encoding;
    encode_whole(sample, tokenizer, false, &encoding);
    check_same(whole, &encoding);
    ft_encoding_clear(&encoding);
    ft_tokenizer_destroy(tokenizer);
}

static void check_normalization(const sample *sample)
{
    ft_text_buffer plain = {0}, traced = {.traced = true};
    const ft_normalizer *normalizer = &sample->options.normalizer;
    for (int64_t i = 0; i < sample->words[0][sample->rows]; i++) {
        const ft_text *text = &sample->texts[0][i];
        CHECK(ft_normalize(normalizer, text->bytes, text->length, &plain) == FT_OK);
        CHECK(ft_normalize(normalizer, text->bytes, text->length, &traced) == FT_OK);
        CHECK(is_utf8(plain.bytes, plain.length));
        CHECK(plain.length == traced.length);
        CHECK(plain.length == 0 || memcmp(plain.bytes, traced.bytes, plain.length) == 0);
    }
    ft_text_buffer_clear(&plain);
    ft_text_buffer_clear(&traced);
}

/* An allocation fails in one call or another: that is an error, and does no harm to later calls. */
static void check_failing_allocation(const sample *sample, bool trace, ft_status status,
                                     const ft_encoding *expected)
{
    ft_tokenizer *tokenizer;
    ft_encoding encoding;
    allocations_fail_after(sample->failing_allocation);
    ft_status created = create(sample, &tokenizer);
    if (created != FT_OK) {
        allocations_fail_after(-1);
        CHECK(created == FT_ERROR_MEMORY && *ft_error_message() != '\0');
        return;
    }
    ft_encode_options options = sample->encode;
    options.threads = sample->two_threads ? 2 : 1;
    options.trace = trace;
    ft_status encoded = encode(sample, tokenizer, &options, &encoding);
    allocations_fail_after(-1);
    CHECK(encoded == status || encoded == FT_ERROR_MEMORY);
    CHECK(encoded == FT_OK || *ft_error_message() != '\0');
    if (encoded == FT_OK) {
        check_same(expected, &encoding);
        ft_encoding_clear(&encoding);
    }
    check_again(sample, tokenizer, 1, !trace, status, expected);
    ft_tokenizer_destroy(tokenizer);
}

/* Whether the call had to be refused. A stride may leave no room in one row or another: then it may
 * be. */
static void check_status(const sample *sample, const ft_encoding *whole, ft_status status)
{
    bool possible = true;
    for (int64_t row = 0; row < sample->rows; row++)
        possible = possible && can_truncate(sample, whole, row);
    if (status == FT_OK) {
        CHECK(possible);
        return;
    }
    CHECK(status == FT_ERROR_VALUE && *ft_error_message() != '\0');
    CHECK(sample->encode.truncation.strategy != FT_TRUNCATE_NOT);
    CHECK(!possible || sample->encode.truncation.stride > 0);
}

static void check(sample *sample)
{
    ft_tokenizer *tokenizer = new_tokenizer(sample);
    ft_encoding encoding, whole;
    ft_status status = encode(sample, tokenizer, &sample->encode, &encoding);
    check_again(sample, tokenizer, 1, false, status, &encoding); /* its words are known now */
    check_again(sample, tokenizer, 1, true, status, &encoding);
    encode_whole(sample, tokenizer, true, &whole);
    check_whole_trace(sample, &whole);
    check_status(sample, &whole, status);
    if (status == FT_OK) {
        check_rows(sample, &whole, &encoding);
        check_traced(sample, tokenizer, &encoding);
    }
    if (sample->two_threads) {
        ft_tokenizer *other = new_tokenizer(sample);
        check_again(sample, other, 2, false, status, &encoding);
        check_again(sample, other, 2, true, status, &encoding);
        check_again(sample, other, 0, false, status, &encoding); /* as many as it likes */
        ft_tokenizer_destroy(other);
    }
    if (sample->failing_allocation >= 0) {
        check_failing_allocation(sample, false, status, &encoding);
        check_failing_allocation(sample, true, status, &encoding);
    }
    check_normalization(sample);
    check_whole_normalization(sample, &whole);
    if (status == FT_OK)
        ft_encoding_clear(&encoding);
    ft_encoding_clear(&whole);
    ft_tokenizer_destroy(tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sample sample;
    sample_draw(&sample, (input){data, data + size});
    check(&sample);
    sample_clear(&sample);
    CHECK(allocations_alive() == 0);
    return 0;
}
