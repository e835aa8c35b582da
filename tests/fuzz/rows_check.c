#include "rows_check.h"

#include <string.h>

#include "check.h"
#include "tokenizer/rows.h"

/* What a sample's row is made from. */
typedef struct source {
    const sample *sample;
    const ft_template *template;
    bool paired;
    int64_t tokens[2];     /* of the texts, nothing cut off; 0: no second text */
    const int32_t *ids[2]; /* theirs */
    int64_t room;          /* for both; negative: no truncation */
} source;

static source source_of(const sample *sample, const ft_encoding *whole, int64_t row)
{
    const ft_encode_options *options = &sample->encode;
    const int32_t *ids = whole->tokens.ids.data + ft_encoding_begin(whole, row);
    const int32_t *lengths = whole->rows[row].lengths;
    source source = {
        .sample = sample,
        .paired = sample_has_second(sample, row),
        .tokens = {lengths[0], lengths[1] > 0 ? lengths[1] : 0},
        .room = -1,
    };
    source.template = source.paired ? &sample->options.pair : &sample->options.single;
    CHECK(source.paired == (lengths[1] >= 0));
    CHECK(source.tokens[0] + source.tokens[1] == ft_encoding_length(whole, row));
    for (int32_t i = 0; i < source.template->count; i++) {
        int32_t id = source.template->ids[i];
        if (id < 0) {
            int side = id == FT_PIECE_SECOND;
            source.ids[side] = ids;
            ids += source.tokens[side];
        }
    }
    if (options->truncation.strategy != FT_TRUNCATE_NOT)
        source.room = options->truncation.max_length -
                      (options->special_tokens ? source.template->specials : 0);
    return source;
}

bool can_truncate(const sample *sample, const ft_encoding *whole, int64_t row)
{
    source source = source_of(sample, whole, row);
    int64_t excess = source.tokens[0] + source.tokens[1] - source.room;
    if (source.room <= 0 || excess <= 0)
        return true;
    switch (sample->encode.truncation.strategy) {
    case FT_TRUNCATE_ONLY_FIRST:
        return source.tokens[0] > excess;
    case FT_TRUNCATE_ONLY_SECOND:
        return source.paired && source.tokens[1] > excess;
    default:
        return true;
    }
}

/* How many tokens the first row has of each text. */
static void check_kept(const source *source, const int64_t kept[2])
{
    int64_t n1 = source->tokens[0], n2 = source->tokens[1], room = source->room;
    CHECK(kept[0] <= n1 && kept[1] <= n2);
    if (room < 0 || n1 + n2 <= room) {
        CHECK(kept[0] == n1 && kept[1] == n2);
        return;
    }
    CHECK(kept[0] + kept[1] == room);
    if (room == 0)
        return;
    switch (source->sample->encode.truncation.strategy) {
    case FT_TRUNCATE_ONLY_FIRST:
        CHECK(kept[1] == n2);
        break;
    case FT_TRUNCATE_ONLY_SECOND:
        CHECK(kept[0] == n1);
        break;
    default: /* where a text is cut, the other has no more than it, but for the odd token */
        CHECK(kept[0] == n1 || kept[1] <= kept[0] + 1);
        CHECK(kept[1] == n2 || kept[0] <= kept[1] + 1);
    }
}

/* Part `index` of a text: tokens [*begin, *end); false where there is none. Parts are as long as
 * the first, and share `stride` tokens with the one before; the last ends with the text. */
static bool part_of(const source *source, int side, int64_t kept, int64_t index, int64_t *begin,
                    int64_t *end)
{
    const ft_truncation *truncation = &source->sample->encode.truncation;
    int64_t tokens = source->tokens[side], stride = truncation->stride;
    *begin = 0;
    *end = kept;
    if (kept == 0 && index == 1) { /* nothing, then all that there is */
        *end = tokens;
        return tokens > 0;
    }
    for (; index > 0 && *end < tokens && kept > 0; index--) {
        CHECK(kept > stride);
        *begin = *end - stride;
        *end = *begin + kept < tokens ? *begin + kept : tokens;
    }
    if (truncation->left) {
        int64_t from = tokens - *end;
        *end = tokens - *begin;
        *begin = from;
    }
    return index == 0;
}

/* The row that consists of a part of each text. */
static void check_row(const source *source, const ft_encoding *encoding, int64_t row,
                      const int64_t kept[2], const int64_t parts[2])
{
    const ft_row *at = &encoding->rows[row];
    const int32_t *ids = encoding->tokens.ids.data + ft_encoding_begin(encoding, row);
    CHECK(row < encoding->count && (at->lengths[1] >= 0) == source->paired);
    CHECK(at->further[0] == (parts[0] > 0) && at->further[1] == (parts[1] > 0));
    CHECK(ft_encoding_begin(encoding, row) <= at->end);
    for (int32_t i = 0; i < source->template->count; i++) {
        int32_t id = source->template->ids[i];
        if (id >= 0) {
            if (source->sample->encode.special_tokens)
                CHECK(*ids++ == id);
            continue;
        }
        int side = id == FT_PIECE_SECOND;
        int64_t begin, end;
        CHECK(part_of(source, side, kept[side], parts[side], &begin, &end));
        CHECK(at->lengths[side] == end - begin);
        CHECK(begin == end ||
              memcmp(ids, source->ids[side] + begin, (size_t)(end - begin) * sizeof *ids) == 0);
        ids += end - begin;
    }
    CHECK(ids == encoding->tokens.ids.data + at->end);
    if (source->room >= 0 && parts[0] + parts[1] == 0)
        CHECK(ft_encoding_length(encoding, row) <= source->sample->encode.truncation.max_length);
}

static bool has_part(const source *source, int side, int64_t kept, int64_t index)
{
    int64_t begin, end;
    return part_of(source, side, kept, index, &begin, &end);
}

/* The rows of a sample: its first parts; with overflow, each further part of the text that stands
 * first in a row with each part of the other, then its first part with the other's further ones.
 * Returns how many. */
static int64_t check_sample(const source *source, const ft_encoding *encoding, int64_t first,
                            int64_t index)
{
    CHECK(first < encoding->count);
    const int32_t *lengths = encoding->rows[first].lengths;
    int64_t kept[2] = {lengths[0], lengths[1] > 0 ? lengths[1] : 0}, parts[2] = {0, 0};
    int leading = source->paired && source->ids[1] < source->ids[0];
    int64_t row = first;
    check_kept(source, kept);
    check_row(source, encoding, row++, kept, parts);
    bool overflow = source->sample->encode.overflow;
    for (int64_t i = 1; overflow && has_part(source, leading, kept[leading], i); i++)
        for (int64_t j = 0; has_part(source, !leading, kept[!leading], j); j++) {
            parts[leading] = i;
            parts[!leading] = j;
            check_row(source, encoding, row++, kept, parts);
        }
    parts[leading] = 0;
    for (int64_t j = 1; overflow && has_part(source, !leading, kept[!leading], j); j++) {
        parts[!leading] = j;
        check_row(source, encoding, row++, kept, parts);
    }
    for (int64_t i = first; i < row; i++)
        CHECK(encoding->rows[i].sample == index);
    return row - first;
}

void check_rows(const sample *sample, const ft_encoding *whole, const ft_encoding *encoding)
{
    int64_t row = 0;
    for (int64_t index = 0; index < sample->rows; index++) {
        source source = source_of(sample, whole, index);
        row += check_sample(&source, encoding, row, index);
    }
    CHECK(row == encoding->count);
}
