// Which tensors may share memory.
#pragma once

#include <vector>

#include "program.h"
#include "values.h"

namespace mock
{

// An output may lie where an input lies if both have the same layout and the input is read by
// pointwise operations alone. All else must be apart, the workspace too. places: by tensor.
void check_aliases(const Program &, const std::vector<Place> &places, const void *workspace,
                   size_t workspace_bytes);

} // namespace mock
