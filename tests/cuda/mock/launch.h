/* Launches of emulated kernels. */
#ifndef FT_MOCK_LAUNCH_H
#define FT_MOCK_LAUNCH_H

#include <string>

#include "kernels.h"

namespace emulator
{

/* In which order threads run where CUDA leaves it open. Both take one warp as far as it can go
 * before another, which shows most missing barriers: what is read too soon has not been written
 * under one of the two. */
enum class Order {
    ascending,  /* warps, lanes, blocks */
    descending, /* all of them */
};

struct Launch {
    const Kernel *kernel;
    dim3 grid, block;
    size_t shared; /* bytes of dynamic shared memory */
    const void *parameter;
    Order order;
};

/* Why it cannot be launched, or an empty string. */
std::string check(const Launch &);
/* Runs it. What the kernel did wrong, or an empty string. */
std::string run(const Launch &);

} // namespace emulator

#endif
