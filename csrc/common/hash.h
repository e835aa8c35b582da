/* A hash for tables that are looked up by plain structures: FNV-1a, folded. */
#ifndef FT_COMMON_HASH_H
#define FT_COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t ft_hash(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash ^ hash >> 16;
}

#endif
