#include "failure.h"

#include <cstdarg>
#include <cstdio>

namespace mock
{

namespace
{

std::string print(const char *format, va_list arguments)
{
    char line[1024];
    vsnprintf(line, sizeof line, format, arguments);
    return line;
}

} // namespace

std::string text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    std::string line = print(format, arguments);
    va_end(arguments);
    return line;
}

std::string text(const std::vector<int64_t> &numbers)
{
    std::string line = "[";
    for (int64_t number : numbers)
        line += (line.size() > 1 ? ", " : "") + std::to_string(number);
    return line + "]";
}

void fail(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    std::string line = print(format, arguments);
    va_end(arguments);
    throw Failure{status, line};
}

void refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    std::string line = print(format, arguments);
    va_end(arguments);
    throw Failure{CUDNN_STATUS_BAD_PARAM, line};
}

} // namespace mock
