#include "hooks.h"

#include <chrono>
#include <map>

#include "mock.h"

namespace hooks
{

std::recursive_mutex lock;

struct Failure {
    int calls_left, code;
};

static std::map<std::string, int> counts;
static std::map<std::string, long long> times;
static std::map<std::string, Failure> failures;

/* Functions are named as programs call them: cuMemAlloc is cuMemAlloc_v2. */
static std::string plain(const char *function)
{
    std::string name = function;
    if (name.size() > 3 && name.compare(name.size() - 3, 3, "_v2") == 0)
        name.resize(name.size() - 3);
    return name;
}

int called(const char *function)
{
    std::string name = plain(function);
    counts[name]++;
    times[name] = std::chrono::steady_clock::now().time_since_epoch().count();
    auto failure = failures.find(name);
    if (failure == failures.end() || --failure->second.calls_left > 0)
        return 0;
    int code = failure->second.code;
    failures.erase(failure);
    return code;
}

void reset()
{
    counts.clear();
    times.clear();
    failures.clear();
}

} // namespace hooks

FT_EXPORT void mock_fail(const char *function, int nth, int code)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    hooks::failures[hooks::plain(function)] = {nth, code};
}

FT_EXPORT long long mock_time(const char *function)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    return hooks::times[hooks::plain(function)];
}

FT_EXPORT int mock_calls(const char *function)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    return hooks::counts[hooks::plain(function)];
}
