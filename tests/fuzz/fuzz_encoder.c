/* The encoder: any tokenizer, any texts. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
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
    return ft_tokenizer_encode(tokenizer, sample->first, sample->paired ? sample->second : NULL,
                               sample->rows, options, out);
}

static bool has_second(const sample *sample, int64_t row)
{
    return sample->paired && sample->second[row].bytes != NULL;
}

/* Every call with the same texts and options ends in the same way. */
static void check_same(const ft_encoding *a, const ft_encoding *b)
{
    size_t rows = (size_t)a->rows;
    CHECK(a->rows == b->rows);
    CHECK(rows == 0 || memcmp(a->lengths, b->lengths, 2 * rows * sizeof *a->lengths) == 0);
    CHECK(memcmp(a->offsets, b->offsets, (rows + 1) * sizeof *a->offsets) == 0);
    size_t count = (size_t)a->offsets[rows];
    CHECK(count == 0 || memcmp(a->ids, b->ids, count * sizeof *a->ids) == 0);
}

static void check_again(const sample *sample, ft_tokenizer *tokenizer, int threads,
                        ft_status status, const ft_encoding *expected)
{
    ft_encode_options options = sample->encode;
    ft_encoding encoding;
    options.threads = threads;
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

/* What the texts come to before truncation, one after the other, special tokens left out. */
static void encode_whole(const sample *sample, ft_tokenizer *tokenizer, ft_encoding *whole)
{
    ft_encode_options options = {.threads = 1};
    CHECK(encode(sample, tokenizer, &options, whole) == FT_OK);
    for (int64_t i = 0; i < whole->offsets[whole->rows]; i++)
        CHECK(may_be_token(sample, whole->ids[i]));
}

typedef struct row {
    int64_t first, second;           /* tokens of the texts, untruncated; 0: no second text */
    const int32_t *firsts, *seconds; /* their ids */
    int64_t room;                    /* for them; negative: no truncation */
} row;

static row row_of(const sample *sample, const ft_encoding *whole, int64_t index)
{
    bool paired = has_second(sample, index);
    const ft_template *template = paired ? &sample->options.pair : &sample->options.single;
    const ft_encode_options *options = &sample->encode;
    const int32_t *ids = whole->ids + whole->offsets[index];
    row row = {whole->lengths[2 * index], 0, ids, ids, -1};
    CHECK((whole->lengths[2 * index + 1] >= 0) == paired);
    if (paired) {
        row.second = whole->lengths[2 * index + 1];
        for (int32_t i = 0; template->ids[i] != FT_PIECE_FIRST; i++)
            if (template->ids[i] == FT_PIECE_SECOND)
                row.firsts += row.second;
        if (row.firsts == ids)
            row.seconds += row.first;
    }
    CHECK(whole->offsets[index + 1] - whole->offsets[index] == row.first + row.second);
    if (options->truncation != FT_TRUNCATE_NOT)
        row.room = options->max_length - (options->special_tokens ? template->specials : 0);
    return row;
}

static bool can_truncate(const sample *sample, const row *row, int64_t index)
{
    int64_t excess = row->first + row->second - row->room;
    if (row->room <= 0 || excess <= 0)
        return true;
    switch (sample->encode.truncation) {
    case FT_TRUNCATE_ONLY_FIRST:
        return row->first > excess;
    case FT_TRUNCATE_ONLY_SECOND:
        return has_second(sample, index) && row->second > excess;
    default:
        return true;
    }
}

/* How many tokens are left of each text. */
static void check_lengths(const sample *sample, const row *row, int64_t first, int64_t second)
{
    CHECK(first <= row->first && second <= row->second);
    if (row->room < 0 || row->first + row->second <= row->room) {
        CHECK(first == row->first && second == row->second);
        return;
    }
    CHECK(first + second == row->room);
    if (row->room == 0)
        return;
    if (sample->encode.truncation == FT_TRUNCATE_ONLY_FIRST)
        CHECK(second == row->second);
    if (sample->encode.truncation == FT_TRUNCATE_ONLY_SECOND)
        CHECK(first == row->first);
    if (sample->encode.truncation != FT_TRUNCATE_LONGEST_FIRST)
        return;
    if (first < row->first)
        CHECK(second <= first + 1);
    if (second < row->second)
        CHECK(first <= second + 1);
}

/* The kept tokens are the first of the text, or the last. */
static const int32_t *check_text(const sample *sample, const int32_t *ids, const int32_t *whole,
                                 int64_t kept, int64_t count)
{
    if (sample->encode.truncate_left)
        whole += count - kept;
    CHECK(kept == 0 || memcmp(ids, whole, (size_t)kept * sizeof *ids) == 0);
    return ids + kept;
}

static void check_row(const sample *sample, const ft_encoding *encoding, const row *row,
                      int64_t index)
{
    int64_t first = encoding->lengths[2 * index], second = encoding->lengths[2 * index + 1];
    const ft_template *template = ft_encoding_template(encoding, index);
    CHECK((second >= 0) == has_second(sample, index));
    check_lengths(sample, row, first, second >= 0 ? second : 0);

    CHECK(encoding->offsets[index] <= encoding->offsets[index + 1]);
    const int32_t *ids = encoding->ids + encoding->offsets[index];
    for (int32_t i = 0; i < template->count; i++) {
        int32_t id = template->ids[i];
        if (id == FT_PIECE_FIRST)
            ids = check_text(sample, ids, row->firsts, first, row->first);
        else if (id == FT_PIECE_SECOND)
            ids = check_text(sample, ids, row->seconds, second, row->second);
        else if (sample->encode.special_tokens)
            CHECK(*ids++ == id);
    }
    CHECK(ids == encoding->ids + encoding->offsets[index + 1]);
    if (row->room >= 0)
        CHECK(ft_encoding_length(encoding, index) <= sample->encode.max_length);
}

/* The columns beside the ids, as wide as the longest row and a little wider. */
static void check_columns(const ft_encoding *encoding)
{
    int64_t longest = ft_encoding_longest(encoding), shortest = ft_encoding_shortest(encoding);
    CHECK(shortest <= longest);
    for (int64_t wider = 0; wider < 4; wider += 3) {
        ft_padding padding = {longest + wider, wider > 0, 9, 8};
        size_t width = (size_t)padding.length;
        int64_t *values = malloc((size_t)encoding->rows * width * sizeof *values);
        CHECK(values != NULL);
        for (int column = FT_COLUMN_IDS; column < FT_COLUMNS; column++) {
            ft_encoding_fill(encoding, (ft_column)column, &padding, padding.length, values);
            for (int64_t row = 0; row < encoding->rows && column == FT_COLUMN_MASK; row++) {
                int64_t tokens = 0;
                for (size_t i = 0; i < width; i++)
                    tokens += values[(size_t)row * width + i];
                CHECK(tokens == ft_encoding_length(encoding, row));
            }
        }
        free(values);
    }
}

/* Adds an added token that is found in no text: it is longer than any. */
static void add_absent_token(sample *sample)
{
    size_t longest = 0;
    for (int64_t i = 0; i < sample->rows; i++) {
        if (sample->first[i].length > longest)
            longest = sample->first[i].length;
        if (has_second(sample, i) && sample->second[i].length > longest)
            longest = sample->second[i].length;
    }
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
    encode_whole(sample, tokenizer, &encoding);
    check_same(whole, &encoding);
    ft_encoding_clear(&encoding);
    ft_tokenizer_destroy(tokenizer);
}

static void check_normalization(const sample *sample)
{
    ft_text_buffer buffer = {0};
    for (int64_t i = 0; i < sample->rows; i++) {
        const ft_text *text = &sample->first[i];
        CHECK(ft_normalize(&sample->options.normalizer, text->bytes, text->length, &buffer) ==
              FT_OK);
        CHECK(is_utf8(buffer.bytes, buffer.length));
    }
    ft_text_buffer_clear(&buffer);
}

/* An allocation fails in one call or another: that is an error, and does no harm to later calls. */
static void check_failing_allocation(const sample *sample, ft_status status,
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
    ft_status encoded = encode(sample, tokenizer, &options, &encoding);
    allocations_fail_after(-1);
    CHECK(encoded == status || encoded == FT_ERROR_MEMORY);
    CHECK(encoded == FT_OK || *ft_error_message() != '\0');
    if (encoded == FT_OK) {
        check_same(expected, &encoding);
        ft_encoding_clear(&encoding);
    }
    check_again(sample, tokenizer, 1, status, expected);
    ft_tokenizer_destroy(tokenizer);
}

static void check(sample *sample)
{
    ft_tokenizer *tokenizer = new_tokenizer(sample);
    ft_encoding encoding, whole;
    ft_status status = encode(sample, tokenizer, &sample->encode, &encoding);
    CHECK(status == FT_OK || (status == FT_ERROR_VALUE && *ft_error_message() != '\0'));
    check_again(sample, tokenizer, 1, status, &encoding); /* its words are known now */
    encode_whole(sample, tokenizer, &whole);

    bool possible = true;
    for (int64_t i = 0; i < sample->rows; i++) {
        row row = row_of(sample, &whole, i);
        possible = possible && can_truncate(sample, &row, i);
        if (status == FT_OK)
            check_row(sample, &encoding, &row, i);
    }
    CHECK(possible == (status == FT_OK));
    if (status == FT_OK)
        check_columns(&encoding);
    if (sample->two_threads) {
        ft_tokenizer *other = new_tokenizer(sample);
        check_again(sample, other, 2, status, &encoding);
        ft_tokenizer_destroy(other);
    }
    if (sample->failing_allocation >= 0)
        check_failing_allocation(sample, status, &encoding);
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
