/* exp and the normal distribution, lane by lane, to float32 rounding. */
#ifndef FT_BACKEND_CPU_KERNELS_FUNCTIONS_H
#define FT_BACKEND_CPU_KERNELS_FUNCTIONS_H

#include "backend/cpu/kernels/simd.h"

/* exp(x), relative error below 1.5e-7; 0 below -87.33 (no denormals), clamped above 88.
 *
 * x = n ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds n to an integer that stands in the
 * low bits of the sum, so that a shift puts it into the exponent. The polynomial is the minimax fit
 * of (exp(r) - 1 - r) / r^2. */
static inline ft_vf exponential(ft_vf x)
{
    const ft_vf lowest = set1(-87.33f), round = set1(12582912.0f);
    ft_vf clamped = minimum(set1(88.0f), maximum(lowest, x));
    ft_vf shifted = clamped * 1.44269504f + round;
    ft_vf n = shifted - round;
    ft_vf r = clamped - n * 0.693359375f; /* ln 2 in two parts: the first product is exact */
    r = r - n * -2.12194440e-4f;
    ft_vf p = r * 1.9919360056519508e-4f + 1.3947212137281895e-3f;
    p = p * r + 8.333262987434864e-3f;
    p = p * r + 4.166625440120697e-2f;
    p = p * r + 0.1666666716337204f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    ft_vf scaled = (ft_vf)((ft_vi)p + ((ft_vi)shifted << 23));
    return choose_less(x, lowest, (ft_vf){0}, scaled);
}

/* Phi(x), the normal distribution function, error below 2e-7, and *bell = exp(-x^2 / 2), sqrt(2 pi)
 * times its derivative.
 *
 * Phi(-|x|) = exp(-x^2 / 2) g(|x|) with g(u) = erfcx(u / sqrt 2) / 2, which is smooth and fitted as
 * t * polynomial(t), t = 1 / (1 + 0.33 u): unlike (1 + erf) / 2 it loses nothing in the tail. */
static inline ft_vf normal_distribution(ft_vf x, ft_vf *bell)
{
    ft_vf u = (ft_vf)((ft_vi)x & 0x7FFFFFFF);
    ft_vf t = 1.0f / (u * 0.33f + 1.0f);
    ft_vf p = t * -0.022989347577095032f + 0.13194699585437775f;
    p = p * t - 0.2811432182788849f;
    p = p * t + 0.2345157116651535f;
    p = p * t - 0.0582413412630558f;
    p = p * t + 0.11991719156503677f;
    p = p * t + 0.11235012114048004f;
    p = p * t + 0.1319960653781891f;
    p = p * t + 0.13164782524108887f;
    *bell = exponential(x * x * -0.5f);
    ft_vf tail = *bell * (p * t);
    return choose_less(x, (ft_vf){0}, tail, 1.0f - tail);
}

#endif
