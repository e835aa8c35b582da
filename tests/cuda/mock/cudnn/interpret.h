// Carries out a program on memory.
#pragma once

#include <vector>

#include "program.h"

namespace mock
{

enum { WORKSPACE_BYTES = 4096 };

// Where the program's tensors lie, by index; nullptr: virtual. Refuses, and leaves memory as it
// is, where they cannot lie so.
void interpret(const Program &, const std::vector<void *> &memory, void *workspace);

} // namespace mock
