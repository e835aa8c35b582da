// The descriptors that a program holds: what it passes is looked up, so that a pointer to nothing
// is refused and not followed. Called under hooks::lock.
#pragma once

#include <string>

#include "descriptor.h"

namespace mock
{

void *create(int kind);
void destroy(void *);
Reference find(const void *);
int alive(); // created and not destroyed

// The text of cudnnGetLastErrorString, of this thread.
void keep_last_error(const std::string &);
const std::string &last_error();

} // namespace mock
