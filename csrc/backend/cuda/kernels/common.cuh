/* What every kernel has: elements of the precision that it is compiled for, dropout, sums over
 * warps and blocks. Needs no header of CUDA's. FT_PRECISION is ft_precision's number. */
#ifndef FT_BACKEND_CUDA_KERNELS_COMMON_CUH
#define FT_BACKEND_CUDA_KERNELS_COMMON_CUH

#include "types.h"

#if FT_PRECISION == 0
#define FT_KERNEL_NAME(name) ft_##name##_f32
typedef float ft_element;
#elif FT_PRECISION == 1
#define FT_KERNEL_NAME(name) ft_##name##_bf16
typedef unsigned short ft_element;
#else
#define FT_KERNEL_NAME(name) ft_##name##_f16
typedef unsigned short ft_element;
#endif

/* FT_KERNEL(name, threads): a kernel of blocks of at most `threads`; the emulator has its own. That
 * one block of them fits a multiprocessor is all that is asked for: left to itself, the compiler may
 * spill registers so that more do. FT_KERNEL_RESIDENT: `blocks` of them fit. */
#ifndef FT_KERNEL
#define FT_KERNEL_RESIDENT(name, threads, blocks)                                                  \
    extern "C" __global__ void __launch_bounds__(threads, blocks) FT_KERNEL_NAME(name)
#define FT_KERNEL(name, threads) FT_KERNEL_RESIDENT(name, threads, 1)
#else
#define FT_KERNEL_RESIDENT(name, threads, blocks) FT_KERNEL(name, threads)
#endif

/* A kernel's dynamic shared memory as an array of that type; the emulator has its own. */
#ifndef FT_DYNAMIC_SHARED
#define FT_DYNAMIC_SHARED(type, name)                                                              \
    extern __shared__ __align__(16) unsigned char ft_dynamic_shared[];                             \
    type *name = (type *)ft_dynamic_shared
#endif

#define FT_WARP 32
#define FT_ALL_LANES 0xFFFFFFFFu

/* ---- elements ---- */

__device__ inline float ft_to_float(float x)
{
    return x;
}

#if FT_PRECISION == 1
__device__ inline float ft_to_float(unsigned short x)
{
    return __uint_as_float((unsigned)x << 16);
}

__device__ inline unsigned short ft_round_element(float x)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    unsigned short rounded;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded) : "f"(x));
    return rounded;
#else
    unsigned bits = __float_as_uint(x);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return (unsigned short)(bits >> 16 | 0x40);
    return (unsigned short)((bits + 0x7FFFu + (bits >> 16 & 1)) >> 16);
#endif
}
#elif FT_PRECISION == 2
#ifdef __CUDA_ARCH__
__device__ inline float ft_to_float(unsigned short x)
{
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x));
    return value;
}

__device__ inline unsigned short ft_round_element(float x)
{
    unsigned short rounded;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(rounded) : "f"(x));
    return rounded;
}
#else
/* On the processor: the emulator's, which has the conversions of backend/precision.h. */
float ft_to_float(unsigned short x);
unsigned short ft_round_element(float x);
#endif
#else
__device__ inline float ft_round_element(float x)
{
    return x;
}
#endif

/* Element `at` of x, and x's element `at` set to value, rounded. */
__device__ inline float ft_load(const void *x, size_t at)
{
    return ft_to_float(((const ft_element *)x)[at]);
}

__device__ inline void ft_store(void *x, size_t at, float value)
{
    ((ft_element *)x)[at] = ft_round_element(value);
}

/* Four elements from `at` on, which is a multiple of four; x is 16-byte aligned. */
__device__ inline float4 ft_load4(const void *x, size_t at)
{
#if FT_PRECISION == 0
    return *(const float4 *)((const float *)x + at);
#else
    ushort4 four = *(const ushort4 *)((const unsigned short *)x + at);
    return make_float4(ft_to_float(four.x), ft_to_float(four.y), ft_to_float(four.z),
                       ft_to_float(four.w));
#endif
}

__device__ inline void ft_store4(void *x, size_t at, float4 value)
{
#if FT_PRECISION == 0
    *(float4 *)((float *)x + at) = value;
#else
    *(ushort4 *)((unsigned short *)x + at) =
        make_ushort4(ft_round_element(value.x), ft_round_element(value.y),
                     ft_round_element(value.z), ft_round_element(value.w));
#endif
}

/* The same of eight elements, in one access where they have 16 bits. */
__device__ inline void ft_load8(const void *x, size_t at, float (&values)[8])
{
#if FT_PRECISION == 0
    float4 first = ft_load4(x, at), second = ft_load4(x, at + 4);
    values[0] = first.x, values[1] = first.y, values[2] = first.z, values[3] = first.w;
    values[4] = second.x, values[5] = second.y, values[6] = second.z, values[7] = second.w;
#else
    uint4 bits = *(const uint4 *)((const unsigned short *)x + at);
    unsigned pairs[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        values[2 * i] = ft_to_float((unsigned short)pairs[i]);
        values[2 * i + 1] = ft_to_float((unsigned short)(pairs[i] >> 16));
    }
#endif
}

__device__ inline void ft_store8(void *x, size_t at, const float (&values)[8])
{
#if FT_PRECISION == 0
    ft_store4(x, at, make_float4(values[0], values[1], values[2], values[3]));
    ft_store4(x, at + 4, make_float4(values[4], values[5], values[6], values[7]));
#else
    unsigned pairs[4];
#pragma unroll
    for (int i = 0; i < 4; i++)
        pairs[i] =
            (unsigned)ft_round_element(values[2 * i + 1]) << 16 | ft_round_element(values[2 * i]);
    *(uint4 *)((unsigned short *)x + at) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
#endif
}

/* ---- dropout: the masks of backend/dropout.h ---- */

/* What elements 4 * quad to 4 * quad + 3 are multiplied by: 0 or the scale. */
__device__ inline float4 ft_dropout_factors(const ft_cuda_dropout &d, unsigned long long quad)
{
    if (d.threshold == 0)
        return make_float4(1.0f, 1.0f, 1.0f, 1.0f);
    unsigned c0 = (unsigned)quad, c1 = (unsigned)(quad >> 32), c2 = d.site_and_micro_step;
    unsigned c3 = d.step, k0 = (unsigned)d.seed, k1 = (unsigned)(d.seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        unsigned high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        unsigned high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c2 = high0 ^ c3 ^ k1;
        c1 = low1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return make_float4(c0 >= d.threshold ? d.scale : 0.0f, c1 >= d.threshold ? d.scale : 0.0f,
                       c2 >= d.threshold ? d.scale : 0.0f, c3 >= d.threshold ? d.scale : 0.0f);
}

__device__ inline float ft_dropout_factor(const ft_cuda_dropout &d, unsigned long long element)
{
    if (d.threshold == 0)
        return 1.0f;
    float4 four = ft_dropout_factors(d, element >> 2);
    switch (element & 3) {
    case 0:
        return four.x;
    case 1:
        return four.y;
    case 2:
        return four.z;
    default:
        return four.w;
    }
}

/* ---- sums, in an order that is always the same ---- */

__device__ inline float ft_warp_sum(float x)
{
    for (int distance = FT_WARP / 2; distance > 0; distance /= 2)
        x += __shfl_xor_sync(FT_ALL_LANES, x, distance);
    return x;
}

__device__ inline float ft_warp_max(float x)
{
    for (int distance = FT_WARP / 2; distance > 0; distance /= 2)
        x = fmaxf(x, __shfl_xor_sync(FT_ALL_LANES, x, distance));
    return x;
}

#endif
