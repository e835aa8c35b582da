// The library itself, handles, and what tests ask of it.
#include "cublaslt.h"

#include <cstdio>
#include <cstring>
#include <mutex>

struct cublasLtContext {
    int unused;
};

namespace cublaslt
{

namespace
{

std::mutex mutex;
std::string message;

} // namespace

void keep_message(const std::string &text)
{
    std::lock_guard<std::mutex> held(mutex);
    message = text;
}

int failure(int status, const char *pattern, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, pattern);
    vsnprintf(text, sizeof text, pattern, arguments);
    va_end(arguments);
    keep_message(text);
    return status;
}

bool is_handle(ft_cublaslt_handle handle)
{
    return find<cublasLtContext>(handle) != nullptr;
}

} // namespace cublaslt

using namespace cublaslt;

FT_EXPORT size_t cublasLtGetVersion(void)
{
    return 130001;
}

FT_EXPORT const char *cublasLtGetStatusName(int status)
{
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
        return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
        return "CUBLAS_STATUS_UNKNOWN";
    }
}

/* NVIDIA's texts do not say more than this; the mock's own say what was wrong. */
FT_EXPORT const char *cublasLtGetStatusString(int)
{
    static thread_local std::string copy;
    std::lock_guard<std::mutex> held(mutex);
    copy = message;
    return copy.c_str();
}

FT_EXPORT int cublasLtCreate(cublasLtContext **out)
{
    FT_HOOK(cublasLtCreate);
    FT_REFUSE_IF(!out, "no place for a handle");
    *out = new cublasLtContext{0};
    alive<cublasLtContext>().insert(*out);
    return CUBLAS_STATUS_SUCCESS;
}

FT_EXPORT int cublasLtDestroy(cublasLtContext *handle)
{
    FT_HOOK(cublasLtDestroy);
    FT_REFUSE_IF(!is_handle(handle), "no such handle");
    alive<cublasLtContext>().erase(handle);
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

FT_EXPORT int mock_alive(const char *kind)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    if (strcmp(kind, "handle") == 0)
        return (int)alive<cublasLtContext>().size();
    return (int)(alive<Layout>().size() + alive<Operation>().size() + alive<Preference>().size());
}

FT_EXPORT void mock_reset(void)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    hooks::reset();
    keep_message("");
    last_preference = Preference{};
    matmuls[0] = matmuls[1] = 0;
}

FT_EXPORT unsigned mock_schemes(void)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    return last_preference.schemes;
}

FT_EXPORT int mock_matmuls(int tf32)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    return matmuls[tf32 != 0];
}

FT_EXPORT const char *mock_message(void)
{
    return cublasLtGetStatusString(0);
}
