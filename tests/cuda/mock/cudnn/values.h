// A tensor's elements while the interpreter works: in row-major order, rounded to its type.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "program.h"

namespace mock
{

struct Values {
    std::vector<float> numbers;
    // Which elements nothing was computed for: rows and columns outside a matmul's M and N, rows
    // outside a ragged tensor. They are NaN.
    std::vector<uint8_t> undefined;

    explicit Values(size_t elements);
    void undefine(size_t element);
};

// A tensor's memory.
struct Place {
    const Tensor *tensor;
    void *memory;
    const int32_t *offsets; // of a ragged tensor, or nullptr

    // Every element that is in memory: its number in row-major order, and how many elements it
    // lies behind the start. Of a ragged tensor, those of each sequence's rows.
    void each(const std::function<void(size_t, int64_t)> &) const;
    // How many rows the sequence has.
    int64_t rows(int64_t batch) const;
    // The bytes from the first to behind the last element.
    std::pair<uintptr_t, uintptr_t> span() const;
};

float round_to(int type, float);
Values read(const Place &);
// What is undefined becomes NaN where the place is dense, and is left alone where it is ragged.
void write(const Place &, const Values &);

} // namespace mock
