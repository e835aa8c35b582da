/* Operands of either precision, read and written as vectors of float32. */
#ifndef FT_BACKEND_CPU_KERNELS_ELEMENTS_H
#define FT_BACKEND_CPU_KERNELS_ELEMENTS_H

#include "backend/cpu/kernels/simd.h"
#include "backend/precision.h"

/* A body that takes its precision as a constant, of which the compiler makes one version for each:
 * SPECIALIZED(precision, body, arguments) calls the right one. */
#define BODY static inline __attribute__((always_inline))
#define SPECIALIZED(precision, body, ...)                                                          \
    ((precision) == FT_BFLOAT16 ? body(FT_BFLOAT16, __VA_ARGS__) : body(FT_FLOAT32, __VA_ARGS__))

/* Runs a block for every i in 0, FT_LANES, ... below count, n being FT_LANES, but how many are left
 * in the last one. The block stands here twice, so that all but the last know n. */
#define EACH_VECTOR(i, n, count, ...)                                                              \
    do {                                                                                           \
        size_t i = 0;                                                                              \
        for (; i + FT_LANES <= (size_t)(count); i += FT_LANES) {                                   \
            enum { n = FT_LANES };                                                                 \
            __VA_ARGS__                                                                            \
        }                                                                                          \
        if (i < (size_t)(count)) {                                                                 \
            const size_t n = (size_t)(count) - i;                                                  \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    } while (0)

/* Where element i of x is. */
BODY void *element(ft_precision precision, const void *x, size_t i)
{
    return (char *)x + i * ft_precision_bytes(precision);
}

/* Elements i to i + n of x; the lanes from n on are 0. */
BODY ft_vf get(ft_precision precision, const void *x, size_t i, size_t n)
{
    const void *at = element(precision, x, i);
    if (precision == FT_FLOAT32)
        return n == FT_LANES ? load(at) : load_part(at, n);
    if (n == FT_LANES)
        return widen(*(const ft_vh_unaligned *)at);
    ft_vh part = {0};
    memcpy(&part, at, n * sizeof(uint16_t));
    return widen(part);
}

/* The same elements of x become v. */
BODY void put(ft_precision precision, void *x, size_t i, size_t n, ft_vf v)
{
    void *at = element(precision, x, i);
    if (precision == FT_FLOAT32) {
        if (n == FT_LANES)
            store(at, v);
        else
            store_part(at, v, n);
        return;
    }
    ft_vh part = narrow(v);
    if (n == FT_LANES)
        *(ft_vh_unaligned *)at = part;
    else
        memcpy(at, &part, n * sizeof(uint16_t));
}

/* v as it is once written: what sums over rounded elements take. */
BODY ft_vf rounded(ft_precision precision, ft_vf v)
{
    return precision == FT_BFLOAT16 ? widen(narrow(v)) : v;
}

BODY void zero(ft_precision precision, void *x, size_t first, size_t count)
{
    memset(element(precision, x, first), 0, count * ft_precision_bytes(precision));
}

#endif
