// From descriptors to programs: what finalising checks and makes.
#pragma once

#include "descriptor.h"
#include "program.h"

namespace mock
{

bool is_operation(int kind);
// Of a tensor descriptor that is being finalised.
void check_tensor(const Descriptor &);
// Of an operation's descriptor: its tensors fit together.
void check_operation(const Descriptor &);
// Of an operation graph's.
std::shared_ptr<const Program> build_program(const Descriptor &);

} // namespace mock
