/* ft_allocate for fuzzing, in place of csrc/common/memory.c. Buffers are exactly as large as was
 * asked for, so that the address sanitizer sees the first byte beyond; they are counted, so that a
 * leak is seen at once; and they can be made to fail. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "common/memory.h"

static atomic_int alive;
static atomic_int left = -1;

void allocations_fail_after(int count)
{
    atomic_store(&left, count);
}

int allocations_alive(void)
{
    return atomic_load(&alive);
}

/* Counts down to 0 and stays there. */
static int may_allocate(void)
{
    int before = atomic_load(&left);
    while (before > 0 && !atomic_compare_exchange_weak(&left, &before, before - 1))
        ;
    return before != 0;
}

ft_status ft_allocate(size_t bytes, void **out)
{
    *out = NULL;
    if (!may_allocate() || posix_memalign(out, FT_ALIGNMENT, bytes) != 0) {
        *out = NULL;
        return ft_error(FT_ERROR_MEMORY, "cannot allocate %zu bytes", bytes);
    }
    memset(*out, 0, bytes);
    atomic_fetch_add(&alive, 1);
    return FT_OK;
}

void ft_release(void *memory)
{
    if (memory != NULL)
        atomic_fetch_sub(&alive, 1);
    free(memory);
}
