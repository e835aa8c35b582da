// How the mock refuses: a Failure is thrown, and the library's entry point that meets it returns
// its status and keeps its text for cudnnGetLastErrorString.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

// cudnnStatus_t, as far as the mock itself returns it
enum {
    CUDNN_STATUS_SERIALIZATION_VERSION_MISMATCH = 1003,
    CUDNN_STATUS_BAD_PARAM = 2000,
    CUDNN_STATUS_NOT_SUPPORTED = 3000,
    CUDNN_STATUS_INTERNAL_ERROR = 4000,
};

namespace mock
{

struct Failure {
    int status;
    std::string text;
};

std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));
std::string text(const std::vector<int64_t> &numbers); // "[2, 3]"

// Throws a Failure: of that status, or of CUDNN_STATUS_BAD_PARAM.
[[noreturn]] void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
[[noreturn]] void refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

} // namespace mock
