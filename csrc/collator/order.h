/* The order in which Hugging Face's Trainer visits the rows of a data set. */
#ifndef FT_COLLATOR_ORDER_H
#define FT_COLLATOR_ORDER_H

#include <stdint.h>

#include "common/status.h"

/* torch.randperm draws 64-bit numbers from this count on: orders of that many are refused. */
#define FT_ORDER_LIMIT ((int64_t)(UINT32_MAX / 20))

/* The permutation that torch.randperm(count) gives after torch.manual_seed(seed). Trainer's order
 * of epoch e is that of seed + e (accelerate's SeedableRandomSampler). out is [count]. */
ft_status ft_shuffled_order(int64_t count, uint64_t seed, int64_t *out);

#endif
