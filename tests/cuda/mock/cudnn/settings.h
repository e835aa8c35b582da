// What tests set; the functions that they call for it are in mock.h.
#pragma once

#include <cstddef>
#include <string>

namespace mock
{

struct Settings {
    size_t version;   // of cuDNN
    int mode_a = 1;   // how many configurations the heuristics have in mode A
    int fallback = 1; // ... in mode FALLBACK
    int failing = 0;  // how many of them, the first, make no plan
};

Settings &settings();
// Why an execution failed when it was its turn, which nothing returns.
void keep_execution_error(const std::string &);

} // namespace mock
