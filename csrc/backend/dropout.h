/* Which elements a dropout keeps: a pure function of the element's index, so that the mask needs no
 * storage, is the same in backward, and does not depend on the number of threads. */
#ifndef FT_BACKEND_DROPOUT_H
#define FT_BACKEND_DROPOUT_H

#include "backend/backend.h"
#include "common/philox.h"

/* Kept when the element's 32-bit number is at least this. p is in [0, 1). */
static inline uint32_t ft_dropout_threshold(float p)
{
    return (uint32_t)((double)p * 4294967296.0);
}

static inline float ft_dropout_scale(float p)
{
    return 1.0f / (1.0f - p);
}

/* The numbers of elements 4 * quad to 4 * quad + 3. */
static inline ft_philox ft_dropout_quad(const ft_dropout *d, uint64_t quad)
{
    return ft_philox_at(d->seed, (uint32_t)quad, (uint32_t)(quad >> 32),
                        (uint32_t)d->site << 16 | d->micro_step, d->step);
}

/* What element `index` is multiplied by: 0 or 1 / (1 - p). */
static inline float ft_dropout_factor(const ft_dropout *d, uint64_t index)
{
    if (d->p == 0)
        return 1.0f;
    uint32_t number = ft_dropout_quad(d, index / 4).lane[index % 4];
    return number >= ft_dropout_threshold(d->p) ? ft_dropout_scale(d->p) : 0.0f;
}

#endif
