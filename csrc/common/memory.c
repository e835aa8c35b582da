#include "common/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

/* Large buffers are mapped: their pages are zero already, are taken only when first written, go
 * back to the system when released, and may be huge ones, which an optimizer pass over four arenas
 * is glad of. The sanitizers see only what malloc gives, so their builds map nothing. */
#if defined(__SANITIZE_ADDRESS__)
static const size_t MAPPED = SIZE_MAX;
#else
static const size_t MAPPED = (size_t)2 << 20;
#endif
static const size_t HUGE_PAGE = (size_t)2 << 20;

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
    size_t total = bytes + 2 * HUGE_PAGE;
    char *base = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
#ifdef MADV_HUGEPAGE
    madvise(base, total, MADV_HUGEPAGE);
#endif
    uintptr_t address = ((uintptr_t)base + FT_ALIGNMENT + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *memory = (void *)address;
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
    FT_RETURN_IF(*out == NULL, FT_ERROR_MEMORY, "cannot allocate %zu bytes (%.1f MiB)", bytes,
                 (double)bytes / (1 << 20));
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
