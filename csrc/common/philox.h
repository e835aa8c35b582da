/* Philox4x32-10, a counter-based random number generator (Salmon, Moraes, Dror, Shaw: "Parallel
 * random numbers: as easy as 1, 2, 3", SC 2011): four 32-bit numbers are a function of a 128-bit
 * counter and a 64-bit key, so any element of a stream can be had alone, in any order. */
#ifndef FT_COMMON_PHILOX_H
#define FT_COMMON_PHILOX_H

#include <stdint.h>

typedef struct ft_philox {
    uint32_t lane[4];
} ft_philox;

static inline ft_philox ft_philox_at(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2,
                                     uint32_t c3)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (ft_philox){{c0, c1, c2, c3}};
}

#endif
