/* Whether rows of tokens are what truncation and templates make of their texts. */
#ifndef FT_FUZZ_ROWS_CHECK_H
#define FT_FUZZ_ROWS_CHECK_H

#include "sample.h"

/* `whole` holds the tokens of each row's texts, nothing cut off and no special token added. */
void check_rows(const sample *sample, const ft_encoding *whole, const ft_encoding *encoding);

/* Whether the strategy can cut a row to its max_length. */
bool can_truncate(const sample *sample, const ft_encoding *whole, int64_t row);

#endif
