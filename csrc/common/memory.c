#include "common/memory.h"

#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

/* Large buffers are worth huge pages: an optimizer pass touches every page of four of them. */
static const size_t HUGE_PAGE = (size_t)2 << 20;

ft_status ft_allocate(size_t bytes, void **out)
{
    *out = NULL;
    FT_RETURN_IF(bytes > (size_t)-1 / 2, FT_ERROR_MEMORY, "cannot allocate %zu bytes", bytes);
    size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : FT_ALIGNMENT;
    size_t rounded = bytes ? ft_align(bytes) : FT_ALIGNMENT;
    void *memory = NULL;
    FT_RETURN_IF(posix_memalign(&memory, alignment, rounded) != 0, FT_ERROR_MEMORY,
                 "cannot allocate %zu bytes (%.1f MiB)", bytes, (double)bytes / (1 << 20));
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_PAGE)
        madvise(memory, rounded, MADV_HUGEPAGE);
#endif
    memset(memory, 0, rounded);
    *out = memory;
    return FT_OK;
}

void ft_release(void *memory)
{
    free(memory);
}
