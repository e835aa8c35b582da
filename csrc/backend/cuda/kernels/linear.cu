/* Activations of linear layers, going forward elementwise and going backward fused with the
 * gradient of the bias: the sum of dz's rows, in two stages whose order does not depend on the
 * GPU's scheduling. */
#include "activation.cuh"
#include "fours.cuh"
#include "linear.h"

FT_KERNEL(activation_forward, FT_ACTIVATION_THREADS)(ft_activation_arguments a)
{
    size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (!a.vector) {
        if (at < a.count)
            ft_store(a.y, at, ft_activate(a.activation, ft_load(a.z, at)));
        return;
    }
    at *= FT_ACTIVATION_WIDTH;
    if (at >= a.count)
        return;
    float x[FT_ACTIVATION_WIDTH];
    ft_load8(a.z, at, x);
#pragma unroll
    for (int i = 0; i < FT_ACTIVATION_WIDTH; i++)
        x[i] = ft_activate(a.activation, x[i]);
    ft_store8(a.y, at, x);
}

__device__ inline float rounded_dz(int activation, float dy, float kept)
{
    return ft_to_float(ft_round_element(dy * ft_activation_slope(activation, kept)));
}

__device__ inline float4 rounded_dz(int activation, float4 dy, float4 kept)
{
    return make_float4(rounded_dz(activation, dy.x, kept.x), rounded_dz(activation, dy.y, kept.y),
                       rounded_dz(activation, dy.z, kept.z), rounded_dz(activation, dy.w, kept.w));
}

/* dz at one element or four, written where it is not dy itself. */
template <typename T> __device__ inline T make_dz(const ft_linear_dz_arguments &a, size_t at)
{
    T dz = ft_read_elements<T>(a.dy, at);
    if (a.activation != FT_CUDA_NO_ACTIVATION) {
        dz = rounded_dz(a.activation, dz, ft_read_elements<T>(a.kept, at));
        ft_write_elements(a.dy, at, dz);
    }
    return dz;
}

/* dz at every FT_DZ_ROWSth row from `row` on; their sum. */
template <typename T>
__device__ inline T make_rows(const ft_linear_dz_arguments &a, int row, int end, int column)
{
    int tokens = a.layout ? min(a.layout->tokens, end) : end;
    T sum = ft_none<T>();
#pragma unroll 4
    for (; row < tokens; row += FT_DZ_ROWS)
        sum = sum + make_dz<T>(a, (size_t)row * a.columns + column);
    for (; row < end; row += FT_DZ_ROWS)
        ft_write_elements(a.dy, (size_t)row * a.columns + column, ft_none<T>());
    return sum;
}

FT_KERNEL(linear_dz, FT_DZ_LANES *FT_DZ_ROWS)(ft_linear_dz_arguments a)
{
    __shared__ float4 sums[FT_DZ_ROWS][FT_DZ_LANES];
    int width = a.vector ? 4 : 1;
    int column = (blockIdx.x * FT_DZ_LANES + threadIdx.x) * width;
    int begin = blockIdx.y * a.chunk_rows, end = min(begin + a.chunk_rows, a.rows);
    float4 sum = ft_none<float4>();
    if (column < a.columns) {
        if (a.vector)
            sum = make_rows<float4>(a, begin + threadIdx.y, end, column);
        else
            sum.x = make_rows<float>(a, begin + threadIdx.y, end, column);
    }
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    /* One thread a column sums up the rows of threads. */
    int slot = threadIdx.y * FT_DZ_LANES + threadIdx.x;
    int at = blockIdx.x * FT_DZ_LANES * width + slot;
    if (slot < FT_DZ_LANES * width && at < a.columns) {
        const float *one = (const float *)&sums[0][slot / width] + slot % width;
        float total = 0.0f;
#pragma unroll
        for (int row = 0; row < FT_DZ_ROWS; row++)
            total += one[row * FT_DZ_LANES * 4];
        a.partials[(size_t)blockIdx.y * a.columns + at] = total;
    }
}
