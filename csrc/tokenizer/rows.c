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

int ft_encoding_runs(const ft_encoding *encoding, int64_t row, ft_column column,
                     const ft_padding *padding, ft_run runs[FT_RUNS])
{
    const ft_template *template = ft_encoding_template(encoding, row);
    const int32_t *lengths = &encoding->lengths[2 * row];
    int64_t length = ft_encoding_length(encoding, row);
    int64_t missing = padding->length > length ? padding->length - length : 0;
    int64_t pad = column == FT_COLUMN_TYPES ? padding->type : column == FT_COLUMN_SPECIAL;
    int count = 0;
    if (padding->left)
        count = add_run(runs, count, missing, pad);
    if (column == FT_COLUMN_MASK)
        count = add_run(runs, count, length, 1);
    for (int32_t i = 0; i < template->count && column != FT_COLUMN_MASK; i++) {
        int32_t id = template->ids[i];
        bool special = id >= 0;
        if (special && !encoding->special_tokens)
            continue;
        int64_t tokens = special ? 1 : lengths[id == FT_PIECE_FIRST ? 0 : 1];
        int64_t value = column == FT_COLUMN_TYPES ? template->types[i] : special;
        count = add_run(runs, count, tokens, value);
    }
    if (!padding->left)
        count = add_run(runs, count, missing, pad);
    return count;
}

int64_t ft_encoding_longest(const ft_encoding *encoding)
{
    int64_t longest = 0;
    for (int64_t row = 0; row < encoding->rows; row++)
        if (ft_encoding_length(encoding, row) > longest)
            longest = ft_encoding_length(encoding, row);
    return longest;
}

int64_t ft_encoding_shortest(const ft_encoding *encoding)
{
    int64_t shortest = encoding->rows > 0 ? ft_encoding_length(encoding, 0) : 0;
    for (int64_t row = 1; row < encoding->rows; row++)
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

void ft_encoding_fill(const ft_encoding *encoding, ft_column column, const ft_padding *padding,
                      int64_t width, int64_t *out)
{
    for (int64_t row = 0; row < encoding->rows; row++) {
        if (column != FT_COLUMN_IDS) {
            ft_run runs[FT_RUNS];
            int count = ft_encoding_runs(encoding, row, column, padding, runs);
            for (int i = 0; i < count; i++)
                out = repeat(out, runs[i].value, runs[i].count);
            continue;
        }
        int64_t length = ft_encoding_length(encoding, row);
        const int32_t *ids = encoding->ids + encoding->offsets[row];
        if (padding->left)
            out = repeat(out, padding->id, width - length);
        for (int64_t i = 0; i < length; i++)
            *out++ = ids[i];
        if (!padding->left)
            out = repeat(out, padding->id, width - length);
    }
}
