#include "backend/cuda/driver/driver.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "backend/cuda/driver/libraries.h"
#include "common/memory.h"

enum { OLDEST_VERSION = 12000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all that follows */
static ft_cuda_driver table;
static bool initialised;
static bool forked; /* since: this process is a child of the one that did */

static void after_fork_in_child(void)
{
    forked = true;
}

static ft_status load(void)
{
    ft_cuda_library library;
    FT_FORWARD(ft_cuda_library_need(FT_CUDA_LIBRARY_DRIVER, &library));
    FT_RETURN_IF(library.major * 1000 + library.minor * 10 < OLDEST_VERSION, FT_ERROR_RUNTIME,
                 "the NVIDIA driver runs CUDA %d.%d: ftcore needs one for CUDA 12.0 or newer "
                 "(driver 525 or newer)",
                 library.major, library.minor);
    table.version = library.major * 1000 + library.minor * 10;
#define FT_CU_FUNCTION(member, symbol, parameters)                                                 \
    FT_FORWARD(ft_cuda_library_function(&library, #symbol, (void **)&table.member));
    FT_CU_FUNCTIONS(FT_CU_FUNCTION)
#undef FT_CU_FUNCTION
    FT_CUDA_FORWARD(&table, init(0), "starting the NVIDIA driver");
    FT_RETURN_IF(pthread_atfork(NULL, NULL, after_fork_in_child) != 0, FT_ERROR_MEMORY,
                 "cannot allocate what watches for forks");
    initialised = true;
    return FT_OK;
}

ft_status ft_cuda_driver_usable(void)
{
    FT_RETURN_IF(forked, FT_ERROR_RUNTIME,
                 "this process was forked after its parent had used the GPU, which NVIDIA's driver "
                 "does not survive: start it with the 'spawn' method, or train on the CPU there");
    return FT_OK;
}

ft_status ft_cuda_driver_load(const ft_cuda_driver **out)
{
    *out = NULL;
    pthread_mutex_lock(&lock);
    ft_status status = initialised ? ft_cuda_driver_usable() : load();
    pthread_mutex_unlock(&lock);
    FT_FORWARD(status);
    *out = &table;
    return FT_OK;
}

/* After these every further call fails, whoever makes it. */
static bool ends_process(int result)
{
    switch (result) {
    case FT_CU_ECC_UNCORRECTABLE:
    case FT_CU_ILLEGAL_ADDRESS:
    case FT_CU_LAUNCH_TIMEOUT:
    case FT_CU_CONTEXT_IS_DESTROYED:
    case FT_CU_ASSERT:
    case FT_CU_HARDWARE_STACK_ERROR:
    case FT_CU_ILLEGAL_INSTRUCTION:
    case FT_CU_MISALIGNED_ADDRESS:
    case FT_CU_INVALID_ADDRESS_SPACE:
    case FT_CU_INVALID_PC:
    case FT_CU_LAUNCH_FAILED:
        return true;
    default:
        return false;
    }
}

static const char *advice(int result)
{
    if (ends_process(result))
        return "; this process can use the GPU no more: restart it (in a notebook, the runtime)";
    switch (result) {
    case FT_CU_OUT_OF_MEMORY:
        return "; use smaller batches, or free what others hold (torch.cuda.empty_cache())";
    case FT_CU_NOT_INITIALIZED:
        return "; was this process forked after its parent had used the GPU? Start it with the "
               "'spawn' method";
    case FT_CU_NO_DEVICE:
        return "; is there a GPU, and does CUDA_VISIBLE_DEVICES show it?";
    case FT_CU_NO_BINARY:
    case FT_CU_UNSUPPORTED_PTX:
        return "; the NVIDIA driver is older than the NVRTC that compiled the kernels: update the "
               "driver, or install an older NVRTC";
    case FT_CU_SYSTEM_DRIVER_MISMATCH:
        return "; the NVIDIA driver was updated while it ran: restart the machine";
    default:
        return "";
    }
}

ft_status ft_cuda_check(const ft_cuda_driver *driver, int result, const char *doing, ...)
{
    if (__builtin_expect(result == FT_CU_SUCCESS, 1))
        return FT_OK;
    char what[256];
    va_list arguments;
    va_start(arguments, doing);
    vsnprintf(what, sizeof what, doing, arguments);
    va_end(arguments);
    const char *name = NULL, *text = NULL;
    driver->error_name(result, &name);
    driver->error_text(result, &text);
    return ft_error(result == FT_CU_OUT_OF_MEMORY ? FT_ERROR_MEMORY : FT_ERROR_RUNTIME,
                    "%s: CUDA error %d, %s (%s)%s", what, result, name ? name : "unknown",
                    text ? text : "the driver does not say what it means", advice(result));
}

ft_status ft_cuda_memory_allocate(const ft_cuda_driver *driver, size_t bytes, void **out)
{
    ft_cu_pointer memory = 0;
    *out = NULL;
    int result = driver->memory_allocate(&memory, bytes ? bytes : 1);
    size_t free = 0, total = 0;
    if (result == FT_CU_OUT_OF_MEMORY && driver->memory_info(&free, &total) == FT_CU_SUCCESS)
        return ft_error(FT_ERROR_MEMORY, "%s are needed on the GPU, %s of its %s are free%s",
                        ft_size(bytes).text, ft_size(free).text, ft_size(total).text,
                        advice(result));
    FT_FORWARD(ft_cuda_check(driver, result, "allocating %zu bytes on the GPU", bytes));
    *out = (void *)memory;
    return FT_OK;
}
