/* Aligned memory. Every buffer of numbers comes from ft_allocate, so that its rows can be read
 * with aligned vector loads and its exhaustion is reported with the bytes that were asked for. */
#ifndef FT_COMMON_MEMORY_H
#define FT_COMMON_MEMORY_H

#include <stddef.h>

#include "common/status.h"

enum { FT_ALIGNMENT = 64 };

/* Zero-filled, FT_ALIGNMENT-aligned memory; release it with ft_release. bytes may be 0. */
ft_status ft_allocate(size_t bytes, void **out);

void ft_release(void *memory);

/* bytes rounded up to a multiple of FT_ALIGNMENT. */
static inline size_t ft_align(size_t bytes)
{
    return (bytes + FT_ALIGNMENT - 1) / FT_ALIGNMENT * FT_ALIGNMENT;
}

typedef struct ft_size_text {
    char text[32];
} ft_size_text;

/* For messages: "1.50 GiB", "20.00 MiB", "512 bytes". */
ft_size_text ft_size(size_t bytes);

#endif
