/* The emulated kernels. */
#ifndef FT_MOCK_KERNELS_H
#define FT_MOCK_KERNELS_H

#include <stddef.h>

#include "vectors.h"

namespace emulator
{

/* A place in a kernel's source. */
struct Site {
    const char *file;
    int line;
};

struct Kernel {
    const char *name;      /* ft_<name>_<precision> */
    unsigned most_threads; /* of a block: its launch bounds */
    size_t parameter_bytes;
    void (*call)(const void *parameter);
    unsigned char *shared_begin, *shared_end; /* its source's static shared memory */
};

bool add(const Kernel &);
const Kernel *find(const char *name); /* or NULL */

} // namespace emulator

#endif
