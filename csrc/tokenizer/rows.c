#include "tokenizer/rows.h"

/* Adds a run, or lengthens the last one. */
static int add_run(ft_run *runs, int count, int64_t length, int64_t value)
{
    if (length == 0)
        return count;
    if (count > 0 && runs[count - 1].value == value) {
        runs[count - 1].count += length;
        return count;
    }
    runs[count] = (ft_run){length, value};
    return count + 1;
}

/* The value of a piece of a row's template in a column of runs. */
static int64_t piece_value(const ft_template *template, int32_t piece, const ft_row *row,
                           ft_column column)
{
    bool special = template->ids[piece] >= 0;
    int64_t side = template->ids[piece] == FT_PIECE_SECOND;
    switch (column) {
    case FT_COLUMN_TYPES:
        /* What was cut off a text has a type of its own, whatever the template says: so it is in
         * the Hugging Face library. */
        return !special && row->further[side] ? side : template->types[piece];
    case FT_COLUMN_SEQUENCES:
        return special ? -1 : side;
    default:
        return special;
    }
}

static int64_t padding_value(const ft_padding *padding, ft_column column)
{
    switch (column) {
    case FT_COLUMN_IDS:
        return padding->id;
    case FT_COLUMN_TYPES:
        return padding->type;
    case FT_COLUMN_SPECIAL:
        return 1;
    case FT_COLUMN_SEQUENCES:
    case FT_COLUMN_WORDS:
        return -1;
    default:
        return 0;
    }
}

int ft_encoding_runs(const ft_encoding *encoding, int64_t row, ft_column column,
                     const ft_padding *padding, ft_run runs[FT_RUNS])
{
    const ft_template *template = ft_encoding_template(encoding, row);
    const int32_t *lengths = encoding->rows[row].lengths;
    int64_t length = ft_encoding_length(encoding, row);
    int64_t missing = padding->length > length ? padding->length - length : 0;
    int64_t pad = padding_value(padding, column);
    int count = 0;
    if (padding->left)
        count = add_run(runs, count, missing, pad);
    if (column == FT_COLUMN_MASK)
        count = add_run(runs, count, length, 1);
    for (int32_t i = 0; i < template->count && column != FT_COLUMN_MASK; i++) {
        int32_t id = template->ids[i];
        if (id >= 0 && !encoding->special_tokens)
            continue;
        int64_t tokens = id >= 0 ? 1 : lengths[id == FT_PIECE_SECOND];
        count =
            add_run(runs, count, tokens, piece_value(template, i, &encoding->rows[row], column));
    }
    if (!padding->left)
        count = add_run(runs, count, missing, pad);
    return count;
}

int64_t ft_encoding_longest(const ft_encoding *encoding, bool overflow)
{
    int64_t longest = 0;
    for (int64_t row = 0; row < encoding->count; row++)
        if (ft_encoding_length(encoding, row) > longest &&
            (overflow || !ft_row_is_overflow(&encoding->rows[row])))
            longest = ft_encoding_length(encoding, row);
    return longest;
}

int64_t ft_encoding_shortest(const ft_encoding *encoding)
{
    int64_t shortest = encoding->count > 0 ? ft_encoding_length(encoding, 0) : 0;
    for (int64_t row = 1; row < encoding->count; row++)
        if (ft_encoding_length(encoding, row) < shortest)
            shortest = ft_encoding_length(encoding, row);
    return shortest;
}

static int64_t *repeat(int64_t *out, int64_t value, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = value;
    return out + count;
}

static int64_t *fill_runs(const ft_encoding *encoding, int64_t row, ft_column column,
                          const ft_padding *padding, int64_t *out)
{
    ft_run runs[FT_RUNS];
    int count = ft_encoding_runs(encoding, row, column, padding, runs);
    for (int i = 0; i < count; i++)
        out = repeat(out, runs[i].value, runs[i].count);
    return out;
}

static int64_t *fill_tokens(const ft_encoding *encoding, int64_t row, ft_column column,
                            int64_t *out)
{
    for (int64_t i = ft_encoding_begin(encoding, row); i < encoding->rows[row].end; i++) {
        if (column == FT_COLUMN_IDS) {
            *out++ = encoding->tokens.ids.data[i];
        } else if (column == FT_COLUMN_WORDS) {
            *out++ = encoding->tokens.origins[i].word;
        } else {
            *out++ = encoding->tokens.origins[i].start;
            *out++ = encoding->tokens.origins[i].end;
        }
    }
    return out;
}

void ft_encoding_fill(const ft_encoding *encoding, ft_column column, const ft_padding *padding,
                      int64_t width, int64_t *out)
{
    int64_t pad = padding_value(padding, column);
    int64_t depth = column == FT_COLUMN_OFFSETS ? 2 : 1;
    for (int64_t row = 0; row < encoding->count; row++) {
        if (ft_column_has_runs(column)) {
            out = fill_runs(encoding, row, column, padding, out);
            continue;
        }
        int64_t missing = depth * (width - ft_encoding_length(encoding, row));
        if (padding->left)
            out = repeat(out, pad, missing);
        out = fill_tokens(encoding, row, column, out);
        if (!padding->left)
            out = repeat(out, pad, missing);
    }
}
