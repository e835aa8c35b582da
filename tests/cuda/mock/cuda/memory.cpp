/* Device memory, which is the host's; pinned host memory; copies and fills. */
#include <cstdlib>
#include <cstring>
#include <map>

#include "driver.h"

namespace driver
{

constexpr size_t alignment = 256;
constexpr unsigned char poison = 0xFF; /* what new memory holds: floats are NaN */

/* Around each allocation, to see what is written there; the address sanitizer sees it itself. */
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t guard = 0;
#else
constexpr size_t guard = 256;
#endif
constexpr unsigned char guarded = 0xA5;

struct Allocation {
    size_t bytes;
    unsigned char *memory; /* what to free */
};

typedef std::map<uintptr_t, Allocation> Allocations;
static Allocations device_memory, host_memory;
static size_t used; /* bytes of device memory */

static void set_guards(uintptr_t start, size_t bytes)
{
    memset((unsigned char *)start - guard, guarded, guard);
    memset((unsigned char *)start + bytes, guarded, guard);
}

static int allocate(Allocations &where, size_t bytes, uintptr_t *out)
{
    void *memory;
    if (posix_memalign(&memory, alignment, bytes + 2 * guard) != 0)
        return failure(OUT_OF_MEMORY, "the host has no %zu bytes", bytes);
    unsigned char *start = (unsigned char *)memory + guard;
    memset(start, poison, bytes);
    set_guards((uintptr_t)start, bytes);
    where[(uintptr_t)start] = {bytes, (unsigned char *)memory};
    *out = (uintptr_t)start;
    return SUCCESS;
}

static bool holds(const Allocations &where, uintptr_t address, size_t bytes)
{
    auto next = where.upper_bound(address);
    if (next == where.begin())
        return false;
    const auto &[start, allocation] = *--next;
    size_t offset = address - start;
    return offset <= allocation.bytes && bytes <= allocation.bytes - offset;
}

bool is_device_memory(uint64_t address, size_t bytes)
{
    return holds(device_memory, address, bytes);
}

bool is_pinned(const void *address, size_t bytes)
{
    return holds(host_memory, (uintptr_t)address, bytes);
}

/* How many bytes of a guard lie before the first that was written to; all: none was. */
static size_t untouched(const unsigned char *bytes)
{
    static const std::string expected(guard, (char)guarded);
    if (memcmp(bytes, expected.data(), guard) == 0)
        return guard;
    size_t at = 0;
    while (bytes[at] == guarded)
        at++;
    return at;
}

std::string check_bounds()
{
    for (const auto &[start, allocation] : device_memory) {
        size_t before = untouched((unsigned char *)start - guard);
        size_t behind = untouched((unsigned char *)start + allocation.bytes);
        if (before == guard && behind == guard)
            continue;
        set_guards(start, allocation.bytes); /* it is not to be reported again */
        bool is_before = before != guard;
        return "what lies " + std::to_string(is_before ? guard - before : behind) + " bytes " +
               (is_before ? "before" : "behind") + " an allocation of " +
               std::to_string(allocation.bytes) + " bytes was written to";
    }
    return "";
}

int memory_alive(bool host)
{
    return (int)(host ? host_memory : device_memory).size();
}

static int check_range(const char *function, uint64_t address, size_t bytes)
{
    if (is_device_memory(address, bytes))
        return SUCCESS;
    return failure(INVALID_VALUE, "%s: %zu bytes at %#llx are not within one allocation", function,
                   bytes, (unsigned long long)address);
}

static int free_of(Allocations &where, uintptr_t address)
{
    auto found = where.find(address);
    if (found == where.end())
        return failure(INVALID_VALUE, "freeing %#zx, which was not allocated", (size_t)address);
    FT_TRY(drain_all()); /* as the driver waits for the device */
    if (&where == &device_memory)
        used -= found->second.bytes;
    free(found->second.memory);
    where.erase(found);
    return SUCCESS;
}

/* On a stream. What lies in pageable host memory is read before the call returns. */
static int copy_to_device(Stream *stream, uint64_t to, const void *from, size_t bytes)
{
    if (stream->capture == Capture::none && !is_pinned(from, bytes)) {
        auto staged = std::make_shared<std::string>((const char *)from, bytes);
        return enqueue(stream, [=] { return memcpy((void *)to, staged->data(), bytes), SUCCESS; });
    }
    return enqueue(stream, [=] { return memcpy((void *)to, from, bytes), SUCCESS; });
}

/* What goes to pageable host memory has arrived there when the call returns. */
static int copy_to_host(Stream *stream, void *to, uint64_t from, size_t bytes)
{
    FT_TRY(enqueue(stream, [=] { return memcpy(to, (const void *)from, bytes), SUCCESS; }));
    return stream->capture == Capture::none && !is_pinned(to, bytes) ? drain(stream) : SUCCESS;
}

static int copy_on_device(Stream *stream, uint64_t to, uint64_t from, size_t bytes)
{
    return enqueue(stream, [=] { return memmove((void *)to, (const void *)from, bytes), SUCCESS; });
}

template <typename T> static int fill(Stream *stream, uint64_t to, T value, size_t count)
{
    return enqueue(stream, [=] {
        for (size_t i = 0; i < count; i++)
            ((T *)to)[i] = value;
        return SUCCESS;
    });
}

} // namespace driver

using namespace driver;

/* ---- allocation ---- */

FT_EXPORT int cuMemAlloc_v2(uint64_t *out, size_t bytes)
{
    FT_CALL(cuMemAlloc_v2);
    FT_TRY(check_unsafe("cuMemAlloc"));
    if (bytes == 0)
        return failure(INVALID_VALUE, "cuMemAlloc of 0 bytes");
    if (bytes > device().memory - used)
        return failure(OUT_OF_MEMORY, "cuMemAlloc of %zu bytes, %zu are free", bytes,
                       device().memory - used);
    uintptr_t address;
    FT_TRY(allocate(device_memory, bytes, &address));
    used += bytes;
    *out = address;
    return SUCCESS;
}

FT_EXPORT int cuMemFree_v2(uint64_t address)
{
    FT_CALL(cuMemFree_v2);
    FT_TRY(check_unsafe("cuMemFree"));
    return free_of(device_memory, address);
}

FT_EXPORT int cuMemHostAlloc(void **out, size_t bytes, unsigned)
{
    FT_CALL(cuMemHostAlloc);
    FT_TRY(check_unsafe("cuMemHostAlloc"));
    if (bytes == 0)
        return failure(INVALID_VALUE, "cuMemHostAlloc of 0 bytes");
    return allocate(host_memory, bytes, (uintptr_t *)out);
}

FT_EXPORT int cuMemAllocHost_v2(void **out, size_t bytes)
{
    return cuMemHostAlloc(out, bytes, 0);
}

FT_EXPORT int cuMemFreeHost(void *address)
{
    FT_CALL(cuMemFreeHost);
    FT_TRY(check_unsafe("cuMemFreeHost"));
    return free_of(host_memory, (uintptr_t)address);
}

FT_EXPORT int cuMemGetInfo_v2(size_t *free_bytes, size_t *total)
{
    FT_CALL(cuMemGetInfo_v2);
    *free_bytes = device().memory - used;
    *total = device().memory;
    return SUCCESS;
}

FT_EXPORT size_t mock_allocated()
{
    return used;
}

/* ---- copies and fills, on a stream or, without one, on the default stream and waited for ---- */

/* The default stream, to which a call goes that waits. */
#define FT_CALL_NOW(function)                                                                      \
    FT_CALL(function);                                                                             \
    FT_TRY(check_default_stream(#function));                                                       \
    Stream *stream = stream_of(nullptr)

#define FT_CALL_ON(function, handle)                                                               \
    FT_CALL(function);                                                                             \
    Stream *stream = stream_of(handle);                                                            \
    if (stream == nullptr)                                                                         \
    return failure(INVALID_HANDLE, #function ": there is no such stream")

FT_EXPORT int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes)
{
    FT_CALL_NOW(cuMemcpyHtoD_v2);
    FT_TRY(check_range("cuMemcpyHtoD", to, bytes));
    FT_TRY(copy_to_device(stream, to, from, bytes));
    return drain(stream);
}

FT_EXPORT int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *handle)
{
    FT_CALL_ON(cuMemcpyHtoDAsync_v2, handle);
    FT_TRY(check_range("cuMemcpyHtoDAsync", to, bytes));
    return copy_to_device(stream, to, from, bytes);
}

FT_EXPORT int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes)
{
    FT_CALL_NOW(cuMemcpyDtoH_v2);
    FT_TRY(check_range("cuMemcpyDtoH", from, bytes));
    FT_TRY(copy_to_host(stream, to, from, bytes));
    return drain(stream);
}

FT_EXPORT int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *handle)
{
    FT_CALL_ON(cuMemcpyDtoHAsync_v2, handle);
    FT_TRY(check_range("cuMemcpyDtoHAsync", from, bytes));
    return copy_to_host(stream, to, from, bytes);
}

FT_EXPORT int cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t bytes)
{
    FT_CALL_NOW(cuMemcpyDtoD_v2);
    FT_TRY(check_range("cuMemcpyDtoD", to, bytes));
    FT_TRY(check_range("cuMemcpyDtoD", from, bytes));
    return copy_on_device(stream, to, from, bytes);
}

FT_EXPORT int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *handle)
{
    FT_CALL_ON(cuMemcpyDtoDAsync_v2, handle);
    FT_TRY(check_range("cuMemcpyDtoDAsync", to, bytes));
    FT_TRY(check_range("cuMemcpyDtoDAsync", from, bytes));
    return copy_on_device(stream, to, from, bytes);
}

FT_EXPORT int cuMemsetD8_v2(uint64_t to, unsigned char value, size_t count)
{
    FT_CALL_NOW(cuMemsetD8_v2);
    FT_TRY(check_range("cuMemsetD8", to, count));
    return fill(stream, to, value, count);
}

FT_EXPORT int cuMemsetD8Async(uint64_t to, unsigned char value, size_t count, void *handle)
{
    FT_CALL_ON(cuMemsetD8Async, handle);
    FT_TRY(check_range("cuMemsetD8Async", to, count));
    return fill(stream, to, value, count);
}

FT_EXPORT int cuMemsetD32_v2(uint64_t to, unsigned value, size_t count)
{
    FT_CALL_NOW(cuMemsetD32_v2);
    FT_TRY(check_range("cuMemsetD32", to, 4 * count));
    return fill(stream, to, value, count);
}

FT_EXPORT int cuMemsetD32Async(uint64_t to, unsigned value, size_t count, void *handle)
{
    FT_CALL_ON(cuMemsetD32Async, handle);
    FT_TRY(check_range("cuMemsetD32Async", to, 4 * count));
    return fill(stream, to, value, count);
}
