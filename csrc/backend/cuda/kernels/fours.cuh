/* One element or four: what the templates of other headers need to be written once for T = float
 * and T = float4. `at` is a multiple of four for fours, and what is pointed to 16-byte aligned. */
#ifndef FT_BACKEND_CUDA_KERNELS_FOURS_CUH
#define FT_BACKEND_CUDA_KERNELS_FOURS_CUH

#include "common.cuh"

__device__ inline float4 operator+(float4 a, float4 b)
{
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

__device__ inline float4 operator*(float4 a, float4 b)
{
    return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w);
}

__device__ inline float4 operator*(float4 a, float b)
{
    return make_float4(a.x * b, a.y * b, a.z * b, a.w * b);
}

__device__ inline float4 operator-(float4 a, float b)
{
    return make_float4(a.x - b, a.y - b, a.z - b, a.w - b);
}

__device__ inline float ft_sum_of(float4 a)
{
    return a.x + a.y + a.z + a.w;
}

/* ---- float32 memory ---- */

template <typename T> __device__ inline T ft_read(const float *x, size_t at)
{
    return *(const T *)(x + at);
}

template <typename T> __device__ inline void ft_write(float *x, size_t at, T value)
{
    *(T *)(x + at) = value;
}

/* ---- memory of the precision ---- */

template <typename T> __device__ T ft_read_elements(const void *x, size_t at);

template <> __device__ inline float ft_read_elements(const void *x, size_t at)
{
    return ft_load(x, at);
}

template <> __device__ inline float4 ft_read_elements(const void *x, size_t at)
{
    return ft_load4(x, at);
}

__device__ inline void ft_write_elements(void *x, size_t at, float value)
{
    ft_store(x, at, value);
}

__device__ inline void ft_write_elements(void *x, size_t at, float4 value)
{
    ft_store4(x, at, value);
}

/* ---- dropout ---- */

__device__ inline float ft_drop(const ft_cuda_dropout &d, size_t at, float x)
{
    return x * ft_dropout_factor(d, at);
}

__device__ inline float4 ft_drop(const ft_cuda_dropout &d, size_t at, float4 x)
{
    return x * ft_dropout_factors(d, at / 4);
}

/* ---- nothing ---- */

template <typename T> __device__ inline T ft_none();

template <> __device__ inline float ft_none()
{
    return 0.0f;
}

template <> __device__ inline float4 ft_none()
{
    return make_float4(0.0f, 0.0f, 0.0f, 0.0f);
}

#endif
