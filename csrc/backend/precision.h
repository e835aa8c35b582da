/* The 16-bit precisions, element by element: what rounding to them means. */
#ifndef FT_BACKEND_PRECISION_H
#define FT_BACKEND_PRECISION_H

#include <string.h>

#include "backend/backend.h"

static inline size_t ft_precision_bytes(ft_precision precision)
{
    return precision == FT_FLOAT32 ? sizeof(float) : sizeof(uint16_t);
}

static inline const char *ft_precision_name(ft_precision precision)
{
    static const char *const names[] = {
        [FT_FLOAT32] = "float32", [FT_BFLOAT16] = "bfloat16", [FT_FLOAT16] = "float16"};
    return names[precision];
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

static inline uint16_t ft_to_float16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u | (magnitude >> 13 & 0x1FFu));
    if (magnitude >= 0x477FF000u) /* 65520 and more: nearer to infinity than to 65504 */
        return (uint16_t)(sign | 0x7C00u);
    if (magnitude <
        0x38800000u) { /* below 2^-14: a multiple of 2^-24, which adding 0.5 rounds to */
        float value;
        memcpy(&value, &magnitude, sizeof value);
        value += 0.5f;
        memcpy(&magnitude, &value, sizeof magnitude);
        return (uint16_t)(sign | (magnitude - 0x3F000000u));
    }
    return (uint16_t)(sign | (magnitude - 0x38000000u + 0xFFFu + (magnitude >> 13 & 1)) >> 13);
}

static inline float ft_from_float16(uint16_t x)
{
    uint32_t sign = (uint32_t)(x & 0x8000u) << 16, magnitude = x & 0x7FFFu, bits;
    float value;
    if (magnitude < 0x400u) { /* zero or subnormal */
        value = (float)magnitude * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    } else if (magnitude < 0x7C00u) {
        bits = sign | ((magnitude << 13) + 0x38000000u);
    } else {
        bits = sign | 0x7F800000u | magnitude << 13;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Element `at` of an operand of this precision. */
static inline float ft_load(ft_precision precision, const void *x, size_t at)
{
    switch (precision) {
    case FT_BFLOAT16:
        return ft_from_bfloat16(((const uint16_t *)x)[at]);
    case FT_FLOAT16:
        return ft_from_float16(((const uint16_t *)x)[at]);
    default:
        return ((const float *)x)[at];
    }
}

static inline void ft_store(ft_precision precision, void *x, size_t at, float value)
{
    switch (precision) {
    case FT_BFLOAT16:
        ((uint16_t *)x)[at] = ft_to_bfloat16(value);
        break;
    case FT_FLOAT16:
        ((uint16_t *)x)[at] = ft_to_float16(value);
        break;
    default:
        ((float *)x)[at] = value;
    }
}

/* What is left of a number that is written in this precision. */
static inline float ft_round(ft_precision precision, float x)
{
    float rounded;
    ft_store(precision, &rounded, 0, x);
    return ft_load(precision, &rounded, 0);
}

#endif
