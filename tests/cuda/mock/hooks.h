/* Each function of a mock library begins with FT_HOOK: its calls are counted, and tests can make
 * one of them fail. */
#ifndef FT_MOCK_HOOKS_H
#define FT_MOCK_HOOKS_H

#include <mutex>
#include <string>

#define FT_EXPORT extern "C" __attribute__((visibility("default")))

namespace hooks
{

/* Held while a function of the library runs. */
extern std::recursive_mutex lock;

/* Counts the call; the result that a test asked this one for, or 0. */
int called(const char *function);

void reset();

} // namespace hooks

#define FT_HOOK(function)                                                                          \
    std::lock_guard<std::recursive_mutex> held(hooks::lock);                                       \
    if (int wanted = hooks::called(#function))                                                     \
    return wanted

#endif
