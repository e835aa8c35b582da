/* Dropout's factors, many at once: the same numbers as backend/dropout.h's. */
#ifndef FT_BACKEND_CPU_KERNELS_RANDOM_H
#define FT_BACKEND_CPU_KERNELS_RANDOM_H

#include "backend/cpu/kernels/simd.h"
#include "backend/dropout.h"

/* dropout_factors writes up to this many floats before and after what it was asked for. */
enum { FT_FACTORS_SLACK = 2 * FT_LANES };

/* Philox's numbers of FT_LANES / 2 quads in a row, that is of 2 * FT_LANES elements, in order.
 * A number takes the low half of a 64-bit lane and leaves anything in the high half, which the
 * multiplication does not look at; 64-bit lane 2k + j computes quad FT_LANES / 4 * j + k, which
 * brings the elements in order with one interleaving at the end. */
static inline void dropout_numbers(const ft_dropout *d, uint64_t quad, ft_vu *first, ft_vu *second)
{
#if FT_LANES == 16
    const ft_vq offsets = {0, 4, 1, 5, 2, 6, 3, 7};
#elif FT_LANES == 8
    const ft_vq offsets = {0, 2, 1, 3};
#else
    const ft_vq offsets = {0, 1};
#endif
    const ft_vq zero = {0};
    const ft_vq m0 = zero + 0xD2511F53u, m1 = zero + 0xCD9E8D57u;
    ft_vq c0 = offsets + quad;
    ft_vq c1 = c0 >> 32;
    ft_vq c2 = zero + ((uint32_t)d->site << 16 | d->micro_step);
    ft_vq c3 = zero + d->step;
    uint32_t k0 = (uint32_t)d->seed, k1 = (uint32_t)(d->seed >> 32);
    for (int round = 0; round < 10; round++) {
        ft_vq p0 = multiply_low(c0, m0), p1 = multiply_low(c2, m1);
        c0 = (p1 >> 32) ^ c1 ^ (zero + k0);
        c2 = (p0 >> 32) ^ c3 ^ (zero + k1);
        c1 = p1;
        c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    ft_vq pair0 = (c0 & 0xFFFFFFFFu) | c1 << 32, pair1 = (c2 & 0xFFFFFFFFu) | c3 << 32;
    *first = (ft_vu)interleave_low(pair0, pair1);
    *second = (ft_vu)interleave_high(pair0, pair1);
}

/* factors[i] = what element start + i is multiplied by, for i in [0, count). */
static void dropout_factors(const ft_dropout *d, uint64_t start, size_t count, float *factors)
{
    const ft_vu threshold = (ft_vu){0} + ft_dropout_threshold(d->p);
    const ft_vi scale = (ft_vi)set1(ft_dropout_scale(d->p));
    size_t before = start % 4;
    factors -= before;
    count += before;
    for (size_t i = 0; i < count; i += 2 * FT_LANES) {
        ft_vu first, second;
        dropout_numbers(d, (start + i) / 4, &first, &second);
        store(factors + i, (ft_vf)((ft_vi)(first >= threshold) & scale));
        store(factors + i + FT_LANES, (ft_vf)((ft_vi)(second >= threshold) & scale));
    }
}

#endif
