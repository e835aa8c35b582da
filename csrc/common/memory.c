#include "common/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

/* Large buffers are mapped: their pages are zero already, are taken only when first written, and go
 * back to the system when released. They are ordinary pages: huge ones made no step faster and
 * took memory for the rows of the word embedding that no batch touches. The sanitizers see only
 * what malloc gives, so their builds map nothing. */
#if defined(__SANITIZE_ADDRESS__)
static const size_t MAPPED = SIZE_MAX;
#else
static const size_t MAPPED = (size_t)2 << 20;
#endif

/* Lies in the FT_ALIGNMENT bytes before the memory that is handed out. */
typedef struct header {
    void *base;
    size_t mapped; /* bytes of the mapping, or 0: base came from malloc */
} header;

static header *header_of(void *memory)
{
    return (header *)((char *)memory - FT_ALIGNMENT);
}

static void *map_large(size_t bytes)
{
    size_t total = bytes + FT_ALIGNMENT;
    char *base = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    void *memory = base + FT_ALIGNMENT;
    *header_of(memory) = (header){base, total};
    return memory;
}

static void *allocate_small(size_t bytes)
{
    void *base = NULL;
    if (posix_memalign(&base, FT_ALIGNMENT, bytes + FT_ALIGNMENT) != 0)
        return NULL;
    memset(base, 0, bytes + FT_ALIGNMENT);
    void *memory = (char *)base + FT_ALIGNMENT;
    *header_of(memory) = (header){base, 0};
    return memory;
}

ft_status ft_allocate(size_t bytes, void **out)
{
    size_t rounded = ft_align(bytes);
    *out = NULL;
    if (rounded >= bytes && rounded <= SIZE_MAX / 2)
        *out = rounded >= MAPPED ? map_large(rounded) : allocate_small(rounded);
    FT_RETURN_IF(*out == NULL, FT_ERROR_MEMORY, "cannot allocate %s", ft_size(bytes).text);
    return FT_OK;
}

void ft_release(void *memory)
{
    if (memory == NULL)
        return;
    header h = *header_of(memory);
    if (h.mapped)
        munmap(h.base, h.mapped);
    else
        free(h.base);
}

ft_size_text ft_size(size_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    ft_size_text out;
    int unit = -1;
    double size = (double)bytes;
    for (; size >= 1024 && unit < 2; unit++)
        size /= 1024;
    if (unit < 0)
        snprintf(out.text, sizeof out.text, "%zu bytes", bytes);
    else
        snprintf(out.text, sizeof out.text, "%.2f %s", size, units[unit]);
    return out;
}
