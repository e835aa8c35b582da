/* The mock driver's inner interfaces. Its device memory is the host's, and its kernels are run by
 * the emulator. */
#ifndef FT_MOCK_CUDA_DRIVER_H
#define FT_MOCK_CUDA_DRIVER_H

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "../hooks.h"
#include "../mock.h"

namespace driver
{

enum Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    INVALID_HANDLE = 400,
    ILLEGAL_STATE = 401,
    NOT_FOUND = 500,
    NOT_READY = 600,
    LAUNCH_OUT_OF_RESOURCES = 701,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    STREAM_CAPTURE_UNSUPPORTED = 900,
    STREAM_CAPTURE_INVALIDATED = 901,
    STREAM_CAPTURE_UNMATCHED = 903,
    STREAM_CAPTURE_IMPLICIT = 906,
    CAPTURED_EVENT = 907,
    STREAM_CAPTURE_WRONG_THREAD = 908,
};

/* Keeps the message for mock_message and cuGetErrorString, and returns the code. */
int failure(int code, const char *pattern, ...) __attribute__((format(printf, 2, 3)));
const std::string &message();

/* ---- objects, which are alive from their creation to their destruction ---- */

template <typename T> class Objects
{
  public:
    template <typename... Arguments> T *add(Arguments &&...arguments)
    {
        T *object = new T{std::forward<Arguments>(arguments)...};
        alive.insert(object);
        return object;
    }
    T *find(void *handle) const
    {
        return alive.count((T *)handle) ? (T *)handle : nullptr;
    }
    bool remove(void *handle)
    {
        if (!alive.erase((T *)handle))
            return false;
        delete (T *)handle;
        return true;
    }
    int count() const
    {
        return (int)alive.size();
    }
    std::set<T *> alive;
};

/* ---- device.cpp ---- */

struct Device {
    const char *name;
    int major, minor, multiprocessors;
    int shared_memory; /* that a block may have, asked for */
    int block_slots, threads, l2_bytes;
    size_t memory;
};
const Device &device();

/* SUCCESS where the driver is initialised, this thread has a current context, and no kernel has
 * failed; what the call returns otherwise. */
int ready();
/* Every further call fails as this kernel did. */
int break_context(int code);
void reset_device();
int contexts_retained();

/* ---- memory.cpp ---- */

bool is_device_memory(uint64_t address, size_t bytes);
bool is_pinned(const void *address, size_t bytes);
/* What is wrong with the bytes around allocations: "" nothing. */
std::string check_bounds();
int memory_alive(bool host);

/* ---- streams.cpp ---- */

typedef std::function<int()> Work; /* returns a result */

struct Graph {
    std::vector<Work> nodes;
};

enum class Capture { none, active, invalid };

struct Stream {
    bool blocking; /* waits for the default stream, and it for this */
    Capture capture = Capture::none;
    int capture_mode = 0;
    std::thread::id capture_thread = {};
    Graph graph = {};
    std::deque<Work> queue = {}; /* what is not yet done */
};

/* The stream of that handle; NULL: there is none. */
Stream *stream_of(void *handle);
/* The work's result if it is done at once; else 0. */
int enqueue(Stream *, Work);
/* Does all that was enqueued: on a stream, or on all. */
int drain(Stream *);
int drain_all();
/* SUCCESS, or why the call must not be made while this thread, or a stream, is capturing. */
int check_unsafe(const char *function);
int check_default_stream(const char *function);
void reset_streams();
int streams_alive(const char *kind);

/* ---- modules.cpp ---- */

void reset_modules();
int modules_alive();

} // namespace driver

#define FT_CALL(function)                                                                          \
    FT_HOOK(function);                                                                             \
    if (int unready = driver::ready())                                                             \
    return unready

#define FT_TRY(call)                                                                               \
    do {                                                                                           \
        if (int failed = (call))                                                                   \
            return failed;                                                                         \
    } while (0)

#endif
