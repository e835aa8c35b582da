#include "registry.h"

#include <map>

#include "failure.h"

namespace mock
{

namespace
{

std::map<const void *, Reference> descriptors;
thread_local std::string error;

} // namespace

void *create(int kind)
{
    kind_of(kind);
    auto made = std::make_shared<Descriptor>(kind);
    descriptors[made.get()] = made;
    return made.get();
}

void destroy(void *pointer)
{
    Reference descriptor = find(pointer);
    descriptor->destroyed = true;
    descriptors.erase(pointer);
}

Reference find(const void *pointer)
{
    auto found = descriptors.find(pointer);
    if (found == descriptors.end())
        refuse("%p is no descriptor", pointer);
    return found->second;
}

int alive()
{
    return (int)descriptors.size();
}

void keep_last_error(const std::string &text)
{
    error = text;
}

const std::string &last_error()
{
    return error;
}

} // namespace mock
