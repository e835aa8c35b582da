// The operations themselves, in plain loops.
#pragma once

#include <vector>

#include "program.h"
#include "values.h"

namespace mock
{

struct Operand {
    const Tensor *tensor; // nullptr: not given
    const Values *values;
};

// counts: how many rows, columns and terms each batch has, or empty: all.
Values matmul(const Tensor &out, const Operand &a, const Operand &b, const std::vector<int32_t> &m,
              const std::vector<int32_t> &n, const std::vector<int32_t> &k);
Values pointwise(const Step &, const Tensor &out, const Operand &x, const Operand &b,
                 const Operand &t);
Values reduction(const Step &, const Tensor &out, const Operand &x);
// y is x's memory under other dimensions and strides.
Values reshape(const Tensor &out, const Operand &x);
// Element [b, h, i, j] is a function of these, the seed and the offset alone.
Values rng(const Step &, const Tensor &out, uint64_t seed, uint64_t offset);

} // namespace mock
