// Finalising, and what finalised descriptors answer.
#pragma once

#include "descriptor.h"

namespace mock
{

void finalize(Descriptor &);
// What cudnnBackendGetAttribute gives: the elements and their count, of which at most `room` are
// written.
void answer(const Descriptor &, int name, int type, int64_t room, int64_t *count, void *elements);

} // namespace mock
