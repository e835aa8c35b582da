#include <unordered_map>

#include "common/philox.h"
#include "failure.h"
#include "steps.h"

namespace mock
{

Values reshape(const Tensor &out, const Operand &x)
{
    std::unordered_map<int64_t, size_t> element_at;
    Place{x.tensor, nullptr, nullptr}.each(
        [&](size_t number, int64_t at) { element_at[at] = number; });
    Values result((size_t)out.elements());
    Place{&out, nullptr, nullptr}.each([&](size_t number, int64_t at) {
        auto found = element_at.find(at);
        if (found == element_at.end())
            refuse("reshape: dimensions %s, strides %s are no view of %s, %s",
                   text(out.dims).c_str(), text(out.strides).c_str(), text(x.tensor->dims).c_str(),
                   text(x.tensor->strides).c_str());
        result.numbers[number] = round_to(out.type, x.values->numbers[found->second]);
        result.undefined[number] = x.values->undefined[found->second];
    });
    return result;
}

Values rng(const Step &step, const Tensor &out, uint64_t seed, uint64_t offset)
{
    Values result((size_t)out.elements());
    size_t number = 0;
    uint64_t threshold = (uint64_t)(step.probability * 4294967296.0);
    for (int64_t batch = 0; batch < out.dims[0] * out.dims[1]; batch++)
        for (int64_t i = 0; i < out.dims[2]; i++)
            for (int64_t j = 0; j < out.dims[3]; j++) {
                ft_philox four = ft_philox_at(seed ^ (offset & 0xFFFFFFFF00000000u), (uint32_t)j,
                                              (uint32_t)i, (uint32_t)batch, (uint32_t)offset);
                result.numbers[number++] = four.lane[0] < threshold;
            }
    return result;
}

} // namespace mock
