/* From ragged rows to padded arrays of one width. */
#ifndef FT_COLLATOR_PAD_H
#define FT_COLLATOR_PAD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

/* Instead of a width: that of the longest row, or no padding (rows must then be of one length). */
enum { FT_PAD_LONGEST = -1, FT_PAD_NONE = -2 };

/* The width of the padded array of rows of these lengths [rows]. `wanted` is FT_PAD_LONGEST,
 * FT_PAD_NONE or a width, rounded up to a multiple of `multiple` (1 where nothing is asked for).
 * Rows longer than that are not cut: they are refused unless all rows have one length. */
ft_status ft_pad_width(const int64_t *lengths, int64_t rows, int64_t wanted, int64_t multiple,
                       const char *column, int64_t *width);

/* Fills a row, out [width], with `pad` but for the `length` values on the left or, with `left`, the
 * right. Returns where these go. */
int64_t *ft_pad_row(int64_t *out, int64_t length, int64_t width, int64_t pad, bool left);

/* values hold the rows end to end, out is [rows, width]; the rest of each row, on the right or the
 * left, becomes `pad`. No row is longer than width. */
void ft_pad_rows(const int64_t *values, const int64_t *lengths, int64_t rows, int64_t width,
                 int64_t pad, bool left, int64_t *out);

/* 1 where ft_pad_rows puts a value and 0 where it pads; out is [rows, width]. */
void ft_pad_mask(const int64_t *lengths, int64_t rows, int64_t width, bool left, int64_t *out);

#endif
