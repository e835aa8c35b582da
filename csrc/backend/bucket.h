/* How backends round up the rows of a batch, so that they meet few shapes. */
#ifndef FT_BACKEND_BUCKET_H
#define FT_BACKEND_BUCKET_H

#include <stdint.h>

/* A multiple of `least`; where that is more than 64 times, of `least` doubled until it is not: then
 * at most one row in 32 is too many. */
static inline int32_t ft_bucket_of(int32_t tokens, int32_t least)
{
    int32_t bucket = least;
    while (tokens / bucket > 64)
        bucket *= 2;
    return (tokens + bucket - 1) / bucket * bucket;
}

#endif
