#include "collator/pad.h"

#include <inttypes.h>
#include <string.h>

ft_status ft_pad_width(const int64_t *lengths, int64_t rows, int64_t wanted, int64_t multiple,
                       const char *column, int64_t *width)
{
    int64_t longest = 0, longest_row = 0, shortest = INT64_MAX, shortest_row = 0;
    for (int64_t row = 0; row < rows; row++) {
        if (lengths[row] > longest) {
            longest = lengths[row];
            longest_row = row;
        }
        if (lengths[row] < shortest) {
            shortest = lengths[row];
            shortest_row = row;
        }
    }
    int64_t target = 0;
    if (wanted != FT_PAD_NONE) {
        target = wanted == FT_PAD_LONGEST ? longest : wanted;
        int64_t over = target % multiple;
        FT_RETURN_IF(over != 0 && target > INT64_MAX - multiple, FT_ERROR_VALUE,
                     "the length to pad to is too large");
        target += over != 0 ? multiple - over : 0;
    }
    *width = longest > target ? longest : target;
    FT_RETURN_IF(longest > target && shortest < longest, FT_ERROR_VALUE,
                 "column '%s' has rows of different lengths: row %" PRId64 " has %" PRId64
                 " values and row %" PRId64 " has %" PRId64 "%s",
                 column, shortest_row, shortest, longest_row, longest,
                 wanted == FT_PAD_NONE ? "; give padding=True to pad them"
                                       : ", more than max_length; truncate when tokenizing");
    return FT_OK;
}

static void fill(int64_t *out, int64_t count, int64_t value)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = value;
}

int64_t *ft_pad_row(int64_t *out, int64_t length, int64_t width, int64_t pad, bool left)
{
    int64_t padding = width - length;
    fill(left ? out : out + length, padding, pad);
    return left ? out + padding : out;
}

void ft_pad_rows(const int64_t *values, const int64_t *lengths, int64_t rows, int64_t width,
                 int64_t pad, bool left, int64_t *out)
{
    for (int64_t row = 0; row < rows; row++, out += width) {
        int64_t *tokens = ft_pad_row(out, lengths[row], width, pad, left);
        if (lengths[row] > 0)
            memcpy(tokens, values, (size_t)lengths[row] * sizeof *out);
        values += lengths[row];
    }
}

void ft_pad_mask(const int64_t *lengths, int64_t rows, int64_t width, bool left, int64_t *out)
{
    for (int64_t row = 0; row < rows; row++, out += width)
        fill(ft_pad_row(out, lengths[row], width, 0, left), lengths[row], 1);
}
