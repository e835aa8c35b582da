/* A fiber: a function that runs on a stack of its own and can be left in the middle, to be gone on
 * with later, all on one thread of the operating system. */
#ifndef FT_MOCK_FIBER_H
#define FT_MOCK_FIBER_H

#include <cstddef>

#if !defined(__x86_64__)
#    include <ucontext.h>
#endif

namespace fiber
{

/* Where a stack was left. */
struct Context {
#if defined(__x86_64__)
    void *stack_pointer;
#else
    ucontext_t state;
#endif
};

/* What the first switch to `context` does: entry(), which must not return, on that stack. */
void prepare(Context &context, void *stack, size_t bytes, void (*entry)());

/* Leaves this stack in `from` and goes on where `to` was left. */
void switch_to(Context &from, Context &to);

} // namespace fiber

#endif
