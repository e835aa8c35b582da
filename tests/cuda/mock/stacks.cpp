#include "stacks.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#    include <sanitizer/asan_interface.h>
#endif

namespace stacks
{

/* A page that may not be touched lies below each stack. Stacks begin at different places within
 * their pages, or what all have in use would compete for the same few lines of the cache. */
constexpr size_t guard = 4096, spread = 4096, line = 64, distance = guard + bytes + spread;

static std::vector<char *> made, unused;

static char *make()
{
    void *memory = mmap(nullptr, distance, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, guard, PROT_NONE) != 0) {
        perror("no memory for an emulated thread's stack");
        abort();
    }
    return (char *)memory + guard + made.size() * 7 * line % spread;
}

char *take()
{
    if (unused.empty()) {
        char *stack = make();
        made.push_back(stack);
        return stack;
    }
    char *stack = unused.back();
    unused.pop_back();
    return stack;
}

void give_back(char *stack)
{
    unused.push_back(stack);
}

void reset()
{
    unused = made;
#if defined(__SANITIZE_ADDRESS__)
    for (char *stack : made) /* which functions had marked that were left in the middle */
        __asan_unpoison_memory_region(stack, bytes);
#endif
}

} // namespace stacks
