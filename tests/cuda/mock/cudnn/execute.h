// Execution of a plan: checked at once, carried out when it is its turn on the handle's stream,
// which is the mock driver's; at once where the handle has none.
#pragma once

#include "descriptor.h"

namespace mock
{

void execute(void *stream, const Descriptor &plan, const Descriptor &pack);

} // namespace mock
