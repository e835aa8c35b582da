/* For tests of single kernels: launches by name, without a driver. */
#include "launch.h"

#include <cstdlib>
#include <cstring>

static std::string message;

/* 0, or 1: emulator_message() says why not. `size`: of the kernel's parameter. */
extern "C" __attribute__((visibility("default"))) int
emulator_run(const char *name, const unsigned grid[3], const unsigned block[3], size_t shared,
             const void *parameter, size_t size, int order)
{
    const emulator::Kernel *kernel = emulator::find(name);
    if (kernel == nullptr) {
        message = std::string("there is no kernel ") + name;
    } else if (size != kernel->parameter_bytes) {
        message = std::string(name) + " takes " + std::to_string(kernel->parameter_bytes) +
                  " bytes, not " + std::to_string(size);
    } else {
        message = emulator::run({kernel,
                                 {grid[0], grid[1], grid[2]},
                                 {block[0], block[1], block[2]},
                                 shared,
                                 parameter,
                                 (emulator::Order)order});
    }
    return !message.empty();
}

extern "C" __attribute__((visibility("default"))) const char *emulator_message()
{
    return message.c_str();
}
