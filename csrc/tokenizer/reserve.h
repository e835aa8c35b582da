/* Growing arrays. */
#ifndef FT_TOKENIZER_RESERVE_H
#define FT_TOKENIZER_RESERVE_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* The slow half of ft_reserve: moves the array to twice the memory. */
ft_status ft_reserve_more(void **array, size_t element, size_t used, size_t more, size_t *capacity);

/* Makes room for `more` elements, of `element` bytes each, after the `used` ones of *array, which
 * is NULL or comes from ft_allocate. */
static inline ft_status ft_reserve(void **array, size_t element, size_t used, size_t more,
                                   size_t *capacity)
{
    if (__builtin_expect(used + more <= *capacity, 1))
        return FT_OK;
    return ft_reserve_more(array, element, used, more, capacity);
}

/* A growing list of token ids. Zero-initialise it; release its data with ft_release. */
typedef struct ft_ids {
    int32_t *data;
    size_t count;
    size_t capacity;
} ft_ids;

static inline ft_status ft_ids_reserve(ft_ids *ids, size_t more)
{
    return ft_reserve((void **)&ids->data, sizeof *ids->data, ids->count, more, &ids->capacity);
}

/* The same, of sizes. */
typedef struct ft_sizes {
    size_t *data;
    size_t count;
    size_t capacity;
} ft_sizes;

static inline ft_status ft_sizes_reserve(ft_sizes *sizes, size_t more)
{
    return ft_reserve((void **)&sizes->data, sizeof *sizes->data, sizes->count, more,
                      &sizes->capacity);
}

#endif
