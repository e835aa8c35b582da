#include <cmath>

#include "failure.h"
#include "steps.h"

namespace mock
{

namespace
{

float compute(int mode, float x, float b)
{
    switch (mode) {
    case CUDNN_POINTWISE_ADD:
        return x + b;
    case CUDNN_POINTWISE_SUB:
        return x - b;
    case CUDNN_POINTWISE_MUL:
        return x * b;
    case CUDNN_POINTWISE_DIV:
        return x / b;
    case CUDNN_POINTWISE_EXP:
        return std::exp(x);
    case CUDNN_POINTWISE_LOG:
        return std::log(x);
    case CUDNN_POINTWISE_IDENTITY:
        return x;
    case CUDNN_POINTWISE_CMP_LT:
        return x < b;
    case CUDNN_POINTWISE_LOGICAL_AND:
        return x != 0 && b != 0;
    default:
        refuse("pointwise mode %d is none that the mock computes", mode);
    }
}

// Goes along a tensor while the output's elements are counted up.
class Cursor
{
  public:
    Cursor(const Operand &operand, const Tensor &out) : operand(operand), steps(out.rank(), 0)
    {
        size_t step = 1;
        for (size_t i = out.rank(); operand.tensor && i-- > 0;) {
            steps[i] = operand.tensor->dims[i] == 1 ? 0 : step;
            step *= (size_t)operand.tensor->dims[i];
        }
    }
    void move(const std::vector<int64_t> &index)
    {
        at = 0;
        for (size_t i = 0; i < steps.size(); i++)
            at += (size_t)index[i] * steps[i];
    }
    float number() const
    {
        return operand.tensor ? operand.values->numbers[at] : 0;
    }
    bool undefined() const
    {
        return operand.tensor && operand.values->undefined[at];
    }

  private:
    const Operand operand;
    std::vector<size_t> steps;
    size_t at = 0;
};

void count_up(std::vector<int64_t> &index, const std::vector<int64_t> &dims)
{
    for (size_t i = index.size(); i-- > 0 && ++index[i] == dims[i];)
        index[i] = 0;
}

} // namespace

Values pointwise(const Step &step, const Tensor &out, const Operand &x, const Operand &b,
                 const Operand &t)
{
    Values result((size_t)out.elements());
    Cursor first(x, out), second(b, out), third(t, out);
    std::vector<int64_t> index(out.rank(), 0);
    for (size_t i = 0; i < result.numbers.size(); i++, count_up(index, out.dims)) {
        first.move(index);
        second.move(index);
        third.move(index);
        float value = 0;
        bool undefined = false;
        if (step.mode == CUDNN_POINTWISE_GEN_INDEX) {
            value = (float)index[(size_t)step.axis];
        } else if (step.mode == CUDNN_POINTWISE_BINARY_SELECT) {
            const Cursor &chosen = third.number() != 0 ? first : second;
            value = chosen.number();
            undefined = chosen.undefined() || third.undefined();
        } else {
            value = compute(step.mode, first.number(), second.number());
            undefined = first.undefined() || second.undefined();
        }
        if (undefined)
            result.undefine(i);
        else
            result.numbers[i] = round_to(out.type, value);
    }
    return result;
}

Values reduction(const Step &step, const Tensor &out, const Operand &x)
{
    size_t elements = (size_t)out.elements();
    std::vector<double> totals(elements, step.mode == CUDNN_REDUCE_TENSOR_ADD ? 0.0 : -INFINITY);
    Values result(elements);
    std::vector<int64_t> index(out.rank(), 0);
    std::vector<size_t> steps(out.rank());
    size_t size = 1;
    for (size_t i = out.rank(); i-- > 0; size *= (size_t)out.dims[i])
        steps[i] = out.dims[i] == 1 ? 0 : size;
    for (size_t i = 0; i < x.values->numbers.size(); i++, count_up(index, x.tensor->dims)) {
        size_t at = 0;
        for (size_t d = 0; d < steps.size(); d++)
            at += (size_t)index[d] * steps[d];
        double value = x.values->numbers[i];
        if (step.mode == CUDNN_REDUCE_TENSOR_ADD)
            totals[at] += value;
        else if (!(totals[at] >= value)) // NaN stays
            totals[at] = std::isnan(totals[at]) ? totals[at] : value;
        result.undefined[at] |= x.values->undefined[i];
    }
    for (size_t i = 0; i < elements; i++) {
        if (result.undefined[i])
            result.undefine(i);
        else
            result.numbers[i] = round_to(out.type, (float)totals[i]);
    }
    return result;
}

} // namespace mock
