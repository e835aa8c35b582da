/* bfloat16, element by element: what rounding to it means. */
#ifndef FT_BACKEND_PRECISION_H
#define FT_BACKEND_PRECISION_H

#include <string.h>

#include "backend/backend.h"

static inline size_t ft_precision_bytes(ft_precision precision)
{
    return precision == FT_BFLOAT16 ? sizeof(uint16_t) : sizeof(float);
}

static inline uint16_t ft_to_bfloat16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) /* rounding up could make a NaN's payload infinity */
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1)) >> 16);
}

static inline float ft_from_bfloat16(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* What is left of a number that is written in this precision. */
static inline float ft_round(ft_precision precision, float x)
{
    return precision == FT_BFLOAT16 ? ft_from_bfloat16(ft_to_bfloat16(x)) : x;
}

/* Element `at` of an operand of this precision. */
static inline float ft_load(ft_precision precision, const void *x, size_t at)
{
    return precision == FT_BFLOAT16 ? ft_from_bfloat16(((const uint16_t *)x)[at])
                                    : ((const float *)x)[at];
}

static inline void ft_store(ft_precision precision, void *x, size_t at, float value)
{
    if (precision == FT_BFLOAT16)
        ((uint16_t *)x)[at] = ft_to_bfloat16(value);
    else
        ((float *)x)[at] = value;
}

#endif
