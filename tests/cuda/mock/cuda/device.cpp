/* Devices, primary contexts and errors. */
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.h"

namespace driver
{

static const Device devices[] = {
    {"V100", 7, 0, 80, 98304, 32, 2048, 6 << 20, (size_t)16 << 30},
    {"T4", 7, 5, 40, 65536, 16, 1024, 4 << 20, (size_t)15 << 30},
    {"A100", 8, 0, 108, 166912, 32, 2048, 40 << 20, (size_t)40 << 30},
    {"A10", 8, 6, 72, 101376, 16, 1536, 6 << 20, (size_t)22 << 30},
    {"L4", 8, 9, 58, 101376, 24, 1536, 48 << 20, (size_t)22 << 30},
    {"H100", 9, 0, 132, 232448, 32, 2048, 50 << 20, (size_t)80 << 30},
    {"B200", 10, 0, 148, 232448, 32, 2048, 126 << 20, (size_t)180 << 30},
    {"GB10", 12, 1, 48, 101376, 24, 1536, 24 << 20, (size_t)119 << 30},
    {"RTX 5090", 12, 0, 170, 101376, 24, 1536, 96 << 20, (size_t)32 << 30},
};

constexpr int most_devices = 8;

struct Context {
    int retained;
};

static bool initialized;
static Device chosen;
static int device_count, version, broken;
static Context primary[most_devices];
static thread_local std::vector<Context *> stack;
static std::string last_message;

int failure(int code, const char *pattern, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, pattern);
    vsnprintf(text, sizeof text, pattern, arguments);
    va_end(arguments);
    last_message = text;
    return code;
}

const std::string &message()
{
    return last_message;
}

static bool choose(const char *name, int count)
{
    for (const Device &known : devices)
        if (strcmp(known.name, name) == 0) {
            chosen = known;
            device_count = count < most_devices ? count : most_devices;
            return true;
        }
    return false;
}

void reset_device()
{
    const char *name = getenv("FT_MOCK_DEVICE");
    if (name == nullptr || !choose(name, 1))
        choose("A100", 0);
    version = 13000;
    broken = 0;
    last_message.clear();
}

static const bool started = (reset_device(), true);

const Device &device()
{
    return chosen;
}

int ready()
{
    if (!initialized)
        return NOT_INITIALIZED;
    if (stack.empty() || stack.back() == nullptr || stack.back()->retained == 0)
        return failure(INVALID_CONTEXT, "no context is current, or it was released");
    return broken;
}

int break_context(int code)
{
    return broken = code;
}

int contexts_retained()
{
    int count = 0;
    for (const Context &context : primary)
        count += context.retained;
    return count;
}

static int check_device(int index)
{
    if (!initialized)
        return NOT_INITIALIZED;
    return index >= 0 && index < device_count ? SUCCESS : INVALID_DEVICE;
}

static int attribute_of(int attribute)
{
    switch (attribute) {
    case 1: /* threads of a block, and in x and y */
    case 2:
    case 3:
        return 1024;
    case 4: /* in z */
        return 64;
    case 5: /* blocks of a grid in x */
        return 0x7FFFFFFF;
    case 6: /* in y and z */
    case 7:
        return 65535;
    case 8: /* bytes of shared memory of a block that did not ask for more */
        return 49152;
    case 10:
        return 32; /* lanes */
    case 12:       /* registers of a block and of a multiprocessor */
    case 82:
        return 65536;
    case 16:
        return chosen.multiprocessors;
    case 31: /* kernels side by side, one address space, host memory at device addresses */
    case 19:
    case 41:
        return 1;
    case 38:
        return chosen.l2_bytes;
    case 39:
        return chosen.threads;
    case 75:
        return chosen.major;
    case 76:
        return chosen.minor;
    case 81:
        return chosen.shared_memory + 1024;
    case 97:
        return chosen.shared_memory;
    case 106:
        return chosen.block_slots;
    case 111: /* shared memory that the system takes of each block's */
        return chosen.major >= 8 ? 1024 : 0;
    default:
        return 0;
    }
}

struct ErrorName {
    int code;
    const char *name, *text;
};

static const ErrorName errors[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain."},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE",
     "the operation cannot be performed in the present state"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
     "system has unsupported display driver / cuda driver combination"},
    {STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
     "capture was not initiated in this stream"},
    {STREAM_CAPTURE_IMPLICIT, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {CAPTURED_EVENT, "CUDA_ERROR_CAPTURED_EVENT",
     "operation not permitted on an event last recorded in a capturing stream"},
    {STREAM_CAPTURE_WRONG_THREAD, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
     "attempt to terminate a thread-local capture sequence from another thread"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static const ErrorName *error_of(int code)
{
    for (const ErrorName &error : errors)
        if (error.code == code)
            return &error;
    return nullptr;
}

} // namespace driver

using namespace driver;

FT_EXPORT int cuInit(unsigned flags)
{
    FT_HOOK(cuInit);
    if (flags != 0)
        return INVALID_VALUE;
    if (device_count == 0)
        return NO_DEVICE;
    initialized = true;
    return SUCCESS;
}

FT_EXPORT int cuDriverGetVersion(int *out)
{
    FT_HOOK(cuDriverGetVersion);
    *out = version;
    return SUCCESS;
}

FT_EXPORT int cuGetErrorName(int code, const char **out)
{
    const ErrorName *error = error_of(code);
    *out = error != nullptr ? error->name : nullptr;
    return error != nullptr ? SUCCESS : INVALID_VALUE;
}

/* NVIDIA's text, and what the failure was about, which NVIDIA's would not say. */
FT_EXPORT int cuGetErrorString(int code, const char **out)
{
    static thread_local std::string text;
    const ErrorName *error = error_of(code);
    text = error != nullptr ? error->text : "";
    if (code != SUCCESS && !last_message.empty())
        text += ": " + last_message;
    *out = error != nullptr ? text.c_str() : nullptr;
    return error != nullptr ? SUCCESS : INVALID_VALUE;
}

FT_EXPORT int cuDeviceGetCount(int *out)
{
    FT_HOOK(cuDeviceGetCount);
    *out = device_count;
    return initialized ? SUCCESS : NOT_INITIALIZED;
}

FT_EXPORT int cuDeviceGet(int *out, int index)
{
    FT_HOOK(cuDeviceGet);
    FT_TRY(check_device(index));
    *out = index;
    return SUCCESS;
}

FT_EXPORT int cuDeviceGetName(char *out, int bytes, int index)
{
    FT_HOOK(cuDeviceGetName);
    FT_TRY(check_device(index));
    snprintf(out, (size_t)bytes, "NVIDIA %s (mock)", chosen.name);
    return SUCCESS;
}

FT_EXPORT int cuDeviceTotalMem_v2(size_t *out, int index)
{
    FT_HOOK(cuDeviceTotalMem_v2);
    FT_TRY(check_device(index));
    *out = chosen.memory;
    return SUCCESS;
}

FT_EXPORT int cuDeviceGetAttribute(int *out, int attribute, int index)
{
    FT_HOOK(cuDeviceGetAttribute);
    FT_TRY(check_device(index));
    *out = attribute_of(attribute);
    return SUCCESS;
}

FT_EXPORT int cuDevicePrimaryCtxRetain(void **out, int index)
{
    FT_HOOK(cuDevicePrimaryCtxRetain);
    FT_TRY(check_device(index));
    primary[index].retained++;
    *out = &primary[index];
    return SUCCESS;
}

FT_EXPORT int cuDevicePrimaryCtxRelease_v2(int index)
{
    FT_HOOK(cuDevicePrimaryCtxRelease_v2);
    if (index < 0 || index >= most_devices || primary[index].retained == 0)
        return INVALID_CONTEXT;
    primary[index].retained--;
    return SUCCESS;
}

FT_EXPORT int cuDevicePrimaryCtxGetState(int index, unsigned *flags, int *active)
{
    FT_HOOK(cuDevicePrimaryCtxGetState);
    FT_TRY(check_device(index));
    *flags = 0;
    *active = primary[index].retained > 0;
    return SUCCESS;
}

FT_EXPORT int cuCtxPushCurrent_v2(void *context)
{
    FT_HOOK(cuCtxPushCurrent_v2);
    if (context < (void *)primary || context >= (void *)(primary + most_devices))
        return INVALID_CONTEXT;
    stack.push_back((Context *)context);
    return SUCCESS;
}

FT_EXPORT int cuCtxPopCurrent_v2(void **context)
{
    FT_HOOK(cuCtxPopCurrent_v2);
    if (stack.empty())
        return INVALID_CONTEXT;
    if (context != nullptr)
        *context = stack.back();
    stack.pop_back();
    return SUCCESS;
}

FT_EXPORT int cuCtxSetCurrent(void *context)
{
    FT_HOOK(cuCtxSetCurrent);
    if (!stack.empty())
        stack.pop_back();
    if (context != nullptr)
        stack.push_back((Context *)context);
    return SUCCESS;
}

FT_EXPORT int cuCtxGetCurrent(void **context)
{
    FT_HOOK(cuCtxGetCurrent);
    *context = stack.empty() ? nullptr : stack.back();
    return SUCCESS;
}

FT_EXPORT int cuCtxGetDevice(int *out)
{
    FT_CALL(cuCtxGetDevice);
    *out = (int)(stack.back() - primary);
    return SUCCESS;
}

FT_EXPORT int mock_set_device(const char *name, int count)
{
    return choose(name, count);
}

FT_EXPORT void mock_set_memory(size_t bytes)
{
    chosen.memory = bytes;
}

FT_EXPORT void mock_set_driver_version(int wanted)
{
    version = wanted;
}

FT_EXPORT int mock_contexts()
{
    return (int)stack.size();
}

FT_EXPORT const char *mock_message()
{
    return last_message.c_str();
}

FT_EXPORT void mock_reset()
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    hooks::reset();
    reset_device();
    reset_streams();
    reset_modules();
}

FT_EXPORT int mock_alive(const char *kind)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    std::string name = kind;
    if (name == "context")
        return contexts_retained();
    if (name == "module")
        return modules_alive();
    if (name == "memory" || name == "host memory")
        return memory_alive(name == "host memory");
    return streams_alive(kind);
}
