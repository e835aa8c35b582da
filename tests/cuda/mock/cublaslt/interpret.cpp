#include "interpret.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/precision.h"

namespace cublaslt
{

namespace
{

float load(int type, const void *x, int64_t at)
{
    if (type == CUDA_R_32F)
        return ((const float *)x)[at];
    uint16_t bits = ((const uint16_t *)x)[at];
    return type == CUDA_R_16F ? ft_from_float16(bits) : ft_from_bfloat16(bits);
}

void store(int type, void *x, int64_t at, float value)
{
    if (type == CUDA_R_32F)
        ((float *)x)[at] = value;
    else
        ((uint16_t *)x)[at] = type == CUDA_R_16F ? ft_to_float16(value) : ft_to_bfloat16(value);
}

// To 10 bits behind the point, the nearest; what lies between two, away from zero.
float as_tf32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7F800000) != 0x7F800000) // infinity and NaN stay
        bits = (bits + 0x1000) & 0xFFFFE000;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// `lines` lines of `length` numbers, one behind the other: the matrix's columns, or its rows.
std::vector<float> lines_of(const Layout &l, const void *x, bool rows)
{
    int64_t lines = rows ? l.rows : l.columns, length = rows ? l.columns : l.rows;
    std::vector<float> out((size_t)(lines * length));
    for (int64_t line = 0; line < lines; line++)
        for (int64_t i = 0; i < length; i++)
            out[(size_t)(line * length + i)] =
                load(l.type, x, rows ? i * l.leading + line : line * l.leading + i);
    return out;
}

} // namespace

int interpret(void *argument)
{
    const Work &w = *(const Work *)argument;
    // The inner size is the last of both.
    std::vector<float> a = lines_of(w.layout_a, w.a, !w.operation.transposed_a);
    std::vector<float> b = lines_of(w.layout_b, w.b, w.operation.transposed_b);
    if (w.operation.compute_type == CUBLAS_COMPUTE_32F_FAST_TF32)
        for (std::vector<float> *operand : {&a, &b})
            std::transform(operand->begin(), operand->end(), operand->begin(), as_tf32);
    int64_t m = w.layout_d.rows, n = w.layout_d.columns, inner = (int64_t)a.size() / m;
    if (w.workspace_bytes)
        memset(w.workspace, 0xFF, w.workspace_bytes);
    for (int64_t column = 0; column < n; column++)
        for (int64_t row = 0; row < m; row++) {
            const float *left = &a[(size_t)(row * inner)], *right = &b[(size_t)(column * inner)];
            double sum = 0;
            for (int64_t i = 0; i < inner; i++)
                sum += (double)left[i] * right[i];
            int64_t at = column * w.layout_d.leading + row;
            float value = w.alpha * (float)sum;
            if (w.beta != 0)
                value += w.beta * load(w.layout_d.type, w.c, at);
            if (w.bias)
                value += load(w.layout_d.type, w.bias, row);
            store(w.layout_d.type, w.d, at, value);
        }
    return 0;
}

} // namespace cublaslt
