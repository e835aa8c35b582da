#include "values.h"

#include <cmath>
#include <limits>

#include "backend/precision.h"
#include "failure.h"

namespace mock
{

namespace
{

float load(int type, const void *memory, int64_t at)
{
    switch (type) {
    case CUDNN_DATA_HALF:
        return ft_load(FT_FLOAT16, memory, (size_t)at);
    case CUDNN_DATA_BFLOAT16:
        return ft_load(FT_BFLOAT16, memory, (size_t)at);
    case CUDNN_DATA_FLOAT:
        return ft_load(FT_FLOAT32, memory, (size_t)at);
    case CUDNN_DATA_INT32:
        return (float)((const int32_t *)memory)[at];
    case CUDNN_DATA_INT64:
        return (float)((const int64_t *)memory)[at];
    default:
        return ((const uint8_t *)memory)[at] != 0;
    }
}

void store(int type, void *memory, int64_t at, float value)
{
    switch (type) {
    case CUDNN_DATA_HALF:
        return ft_store(FT_FLOAT16, memory, (size_t)at, value);
    case CUDNN_DATA_BFLOAT16:
        return ft_store(FT_BFLOAT16, memory, (size_t)at, value);
    case CUDNN_DATA_FLOAT:
        return ft_store(FT_FLOAT32, memory, (size_t)at, value);
    case CUDNN_DATA_INT32:
        ((int32_t *)memory)[at] = (int32_t)value;
        return;
    case CUDNN_DATA_INT64:
        ((int64_t *)memory)[at] = (int64_t)value;
        return;
    default:
        ((uint8_t *)memory)[at] = value != 0;
    }
}

} // namespace

Values::Values(size_t elements) : numbers(elements), undefined(elements, 0) {}

void Values::undefine(size_t element)
{
    numbers[element] = std::numeric_limits<float>::quiet_NaN();
    undefined[element] = 1;
}

int64_t Place::rows(int64_t batch) const
{
    size_t dimension = tensor->row_dimension();
    if (!offsets)
        return tensor->dims[dimension];
    int64_t span = (int64_t)offsets[batch + 1] - offsets[batch];
    int64_t stride = tensor->strides[dimension];
    if (offsets[batch] < 0 || span < 0 || span % stride || span / stride > tensor->dims[dimension])
        refuse("offsets %d and %d of ragged tensor %ld: up to %ld rows, %ld elements apart, fit",
               offsets[batch], offsets[batch + 1], (long)tensor->uid, (long)tensor->dims[dimension],
               (long)stride);
    return span / stride;
}

void Place::each(const std::function<void(size_t, int64_t)> &visit) const
{
    size_t rank = tensor->rank(), number = 0;
    const std::vector<int64_t> &dims = tensor->dims, &strides = tensor->strides;
    std::vector<int64_t> index(rank, 0);
    size_t row_dimension = offsets ? tensor->row_dimension() : 0;
    int64_t rows_here = offsets ? rows(0) : 0;
    for (;; number++) {
        int64_t at = offsets ? offsets[index[0]] : index[0] * strides[0];
        for (size_t i = 1; i < rank; i++)
            at += index[i] * strides[i];
        if (!offsets || index[row_dimension] < rows_here)
            visit(number, at);
        size_t i = rank;
        while (i > 0 && ++index[i - 1] == dims[i - 1])
            index[--i] = 0;
        if (i == 0)
            return;
        if (i == 1 && offsets)
            rows_here = rows(index[0]);
    }
}

std::pair<uintptr_t, uintptr_t> Place::span() const
{
    uintptr_t bytes = type_bytes(tensor->type), start = (uintptr_t)memory;
    if (!offsets) {
        int64_t last = 0;
        for (size_t i = 0; i < tensor->rank(); i++)
            last += (tensor->dims[i] - 1) * tensor->strides[i];
        return {start, start + ((uintptr_t)last + 1) * bytes};
    }
    int64_t first = std::numeric_limits<int64_t>::max(), last = -1;
    each([&](size_t, int64_t at) {
        first = at < first ? at : first;
        last = at > last ? at : last;
    });
    if (last < 0)
        return {start, start};
    return {start + (uintptr_t)first * bytes, start + ((uintptr_t)last + 1) * bytes};
}

float round_to(int type, float value)
{
    switch (type) {
    case CUDNN_DATA_HALF:
        return ft_round(FT_FLOAT16, value);
    case CUDNN_DATA_BFLOAT16:
        return ft_round(FT_BFLOAT16, value);
    case CUDNN_DATA_FLOAT:
        return value;
    case CUDNN_DATA_BOOLEAN:
        return value != 0;
    default:
        return std::trunc(value);
    }
}

Values read(const Place &place)
{
    Values values((size_t)place.tensor->elements());
    if (place.offsets)
        for (size_t i = 0; i < values.numbers.size(); i++)
            values.undefine(i);
    place.each([&](size_t number, int64_t at) {
        values.numbers[number] = load(place.tensor->type, place.memory, at);
        values.undefined[number] = 0;
    });
    return values;
}

void write(const Place &place, const Values &values)
{
    place.each([&](size_t number, int64_t at) {
        if (!place.offsets || !values.undefined[number])
            store(place.tensor->type, place.memory, at, values.numbers[number]);
    });
}

} // namespace mock
