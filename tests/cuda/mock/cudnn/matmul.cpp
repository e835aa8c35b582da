#include <algorithm>

#include "steps.h"

namespace mock
{

namespace
{

// Where a batch of a tensor, which may have one for several of the output's, begins.
size_t batch_start(const Tensor &tensor, const Tensor &out, size_t batch)
{
    size_t rank = out.rank(), start = 0, step = 1;
    for (size_t i = rank - 2; i-- > 0;) {
        size_t index = batch % (size_t)out.dims[i];
        batch /= (size_t)out.dims[i];
        start += tensor.dims[i] == 1 ? 0 : index * step;
        step *= (size_t)tensor.dims[i];
    }
    return start * (size_t)(tensor.dims[rank - 2] * tensor.dims[rank - 1]);
}

} // namespace

Values matmul(const Tensor &out, const Operand &a, const Operand &b, const std::vector<int32_t> &m,
              const std::vector<int32_t> &n, const std::vector<int32_t> &k)
{
    size_t rank = out.rank();
    size_t rows = (size_t)out.dims[rank - 2], columns = (size_t)out.dims[rank - 1];
    size_t terms = (size_t)a.tensor->dims[rank - 1];
    size_t batches = (size_t)out.elements() / (rows * columns);
    size_t inner = batches / (size_t)out.dims[0]; // batches for each entry of the first dimension
    Values result((size_t)out.elements());
    std::vector<double> sums(columns);
    for (size_t batch = 0; batch < batches; batch++) {
        size_t first = batch / inner;
        size_t m_here = m.empty() ? rows : (size_t)m[first];
        size_t n_here = n.empty() ? columns : (size_t)n[first];
        size_t k_here = k.empty() ? terms : (size_t)k[first];
        const float *left = a.values->numbers.data() + batch_start(*a.tensor, out, batch);
        const float *right = b.values->numbers.data() + batch_start(*b.tensor, out, batch);
        for (size_t i = 0; i < rows; i++) {
            size_t at = (batch * rows + i) * columns;
            std::fill(sums.begin(), sums.end(), 0.0);
            for (size_t p = 0; i < m_here && p < k_here; p++)
                for (size_t j = 0; j < columns; j++)
                    sums[j] += (double)left[i * terms + p] * right[p * columns + j];
            for (size_t j = 0; j < columns; j++) {
                if (i < m_here && j < n_here)
                    result.numbers[at + j] = round_to(out.type, (float)sums[j]);
                else
                    result.undefine(at + j);
            }
        }
    }
    return result;
}

} // namespace mock
