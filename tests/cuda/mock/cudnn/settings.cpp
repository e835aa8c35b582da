#include "settings.h"

#include <cstdlib>
#include <mutex>

#include "hooks.h"
#include "mock.h"

namespace mock
{

namespace
{

std::mutex mutex;
std::string execution_error;

size_t initial_version()
{
    const char *given = getenv("FT_MOCK_CUDNN_VERSION");
    return given ? strtoul(given, nullptr, 10) : 91801;
}

} // namespace

Settings &settings()
{
    static Settings all{initial_version()};
    return all;
}

// Not under hooks::lock: the driver calls what was enqueued under a lock of its own.
void keep_execution_error(const std::string &error)
{
    std::lock_guard<std::mutex> held(mutex);
    execution_error = error;
}

} // namespace mock

using namespace mock;

FT_EXPORT void mock_reset(void)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    hooks::reset();
    settings() = Settings{initial_version()};
    keep_execution_error("");
}

FT_EXPORT void mock_set_cudnn_version(size_t version)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    settings().version = version;
}

FT_EXPORT void mock_set_configurations(int mode_a, int fallback, int failing)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    settings().mode_a = mode_a;
    settings().fallback = fallback;
    settings().failing = failing;
}

FT_EXPORT const char *mock_message(void)
{
    static thread_local std::string copy;
    std::lock_guard<std::mutex> held(mutex);
    copy = execution_error;
    return copy.c_str();
}
