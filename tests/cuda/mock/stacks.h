/* Stacks for fibers. One that is given back is the next that is taken: it is still in the cache,
 * and threads that never wait for others share one. */
#ifndef FT_MOCK_STACKS_H
#define FT_MOCK_STACKS_H

#include <cstddef>

namespace stacks
{

constexpr size_t bytes = 64 * 1024;

char *take();
void give_back(char *stack);
void reset(); /* as if all had been given back */

} // namespace stacks

#endif
