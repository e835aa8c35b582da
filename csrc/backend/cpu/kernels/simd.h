/* Vectors of FT_LANES float32 numbers in GCC's vector extension: 16 (AVX-512), 8 (AVX2) or 4
 * (whatever the processor has at least). Arithmetic is written with plain operators; only what the
 * extension has no good word for is an intrinsic. Included by each kernels_*.c after it has chosen
 * its target, so everything here is static. */
#ifndef FT_BACKEND_CPU_KERNELS_SIMD_H
#define FT_BACKEND_CPU_KERNELS_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if FT_LANES > 4
#    include <immintrin.h>
#endif

typedef float ft_vf __attribute__((vector_size(FT_LANES * 4), may_alias));
typedef int32_t ft_vi __attribute__((vector_size(FT_LANES * 4), may_alias));
typedef uint32_t ft_vu __attribute__((vector_size(FT_LANES * 4), may_alias));
typedef uint64_t ft_vq __attribute__((vector_size(FT_LANES * 4), may_alias));
typedef float ft_vf_unaligned __attribute__((vector_size(FT_LANES * 4), may_alias, aligned(4)));
typedef uint16_t ft_vh __attribute__((vector_size(FT_LANES * 2), may_alias));
typedef uint16_t ft_vh_unaligned __attribute__((vector_size(FT_LANES * 2), may_alias, aligned(2)));
typedef int32_t ft_i32_any __attribute__((may_alias));
typedef int32_t ft_vi4 __attribute__((vector_size(16), may_alias));
typedef float ft_v4_unaligned __attribute__((vector_size(16), may_alias, aligned(4)));

/* The lanes of a and b (numbered on) that are listed; mask is the vector of integers of that shape.
 * gcc had no __builtin_shufflevector before 12, clang has no __builtin_shuffle. */
#if defined(__clang__)
#    define SHUFFLE(mask, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#    define SHUFFLE(mask, a, b, ...) __builtin_shuffle(a, b, (mask){__VA_ARGS__})
#endif

static inline ft_vf load(const float *p)
{
    return *(const ft_vf_unaligned *)p;
}

static inline void store(float *p, ft_vf v)
{
    *(ft_vf_unaligned *)p = v;
}

static inline ft_vf set1(float x)
{
    return x - (ft_vf){0};
}

/* The first n < FT_LANES lanes; the others are 0 (load) or left alone in memory (store). */
static inline ft_vf load_part(const float *p, size_t n)
{
    ft_vf v = {0};
    memcpy(&v, p, n * sizeof *p);
    return v;
}

static inline void store_part(float *p, ft_vf v, size_t n)
{
    memcpy(p, &v, n * sizeof *p);
}

/* Lane by lane: a < b ? yes : no. */
static inline ft_vf choose_less(ft_vf a, ft_vf b, ft_vf yes, ft_vf no)
{
#if FT_LANES == 16
    __mmask16 mask = _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
    return (ft_vf)_mm512_mask_blend_ps(mask, (__m512)no, (__m512)yes);
#else
    ft_vi mask = a < b;
    return (ft_vf)((mask & (ft_vi)yes) | (~mask & (ft_vi)no));
#endif
}

/* The first n lanes, the others 0. */
static inline ft_vf first_lanes(ft_vf v, size_t n)
{
    return n == FT_LANES ? v : load_part((const float *)&v, n);
}

/* bfloat16 is float32's upper half. */
static inline ft_vf widen(ft_vh h)
{
#if FT_LANES == 16
    return (ft_vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)h), 16);
#elif FT_LANES == 8
    return (ft_vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)h), 16);
#else
    return (ft_vf)(__builtin_convertvector(h, ft_vu) << 16);
#endif
}

/* As ft_to_bfloat16: to nearest, ties to even, nan stays nan. AVX512-BF16 has an instruction for
 * it, but that one takes denormal numbers for zeros. */
static inline ft_vh narrow(ft_vf v)
{
    ft_vu bits = (ft_vu)v;
    ft_vu half = bits + 0x7FFF + (bits >> 16 & 1);
#if FT_LANES == 16
    __mmask16 nans = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
    __m512i kept =
        _mm512_mask_or_epi32((__m512i)half, nans, (__m512i)bits, _mm512_set1_epi32(0x400000));
    return (ft_vh)_mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16));
#else
    ft_vu nans = (ft_vu)(v != v);
    ft_vu kept = ((half & ~nans) | ((bits | 0x400000) & nans)) >> 16;
#    if FT_LANES == 8
    __m256i packed = _mm256_packus_epi32((__m256i)kept, (__m256i)kept);
    return (ft_vh)_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
#    else
    return __builtin_convertvector(kept, ft_vh);
#    endif
#endif
}

/* Writes 2 * FT_LANES numbers of bfloat16 where the address is a multiple of FT_STREAMED, past the
 * caches if the processor can; stream_end comes after the last. */
enum { FT_STREAMED = FT_LANES * 4 };

static inline void stream(uint16_t *to, ft_vh low, ft_vh high)
{
#if FT_LANES == 16
    _mm512_stream_si512((__m512i *)(void *)to,
                        _mm512_inserti64x4(_mm512_castsi256_si512((__m256i)low), (__m256i)high, 1));
#elif FT_LANES == 8
    _mm256_stream_si256((__m256i *)(void *)to, _mm256_set_m128i((__m128i)high, (__m128i)low));
#else
    *(ft_vh *)to = low;
    *(ft_vh *)(to + FT_LANES) = high;
#endif
}

static inline void stream_end(void)
{
#if FT_LANES > 4
    _mm_sfence();
#endif
}

/* Lane by lane a > b ? a : b: a nan in b goes through, so that it is not lost. */
static inline ft_vf maximum(ft_vf a, ft_vf b)
{
#if FT_LANES == 16
    return (ft_vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif FT_LANES == 8
    return (ft_vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return choose_less(b, a, a, b);
#endif
}

static inline ft_vf minimum(ft_vf a, ft_vf b)
{
#if FT_LANES == 16
    return (ft_vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif FT_LANES == 8
    return (ft_vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return choose_less(a, b, a, b);
#endif
}

static inline float sum_of_lanes(ft_vf v)
{
#if FT_LANES == 16
    return _mm512_reduce_add_ps((__m512)v);
#else
    for (int half = FT_LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            v[i] += v[i + half];
    return v[0];
#endif
}

static inline float maximum_of_lanes(ft_vf v)
{
#if FT_LANES == 16
    return _mm512_reduce_max_ps((__m512)v);
#else
    float largest = v[0];
    for (int i = 1; i < FT_LANES; i++)
        largest = v[i] > largest ? v[i] : largest;
    return largest;
#endif
}

/* The products of the low halves of 64-bit lanes. */
static inline ft_vq multiply_low(ft_vq a, ft_vq b)
{
#if FT_LANES == 16
    return (ft_vq)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif FT_LANES == 8
    return (ft_vq)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
    return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

/* The even (low) or odd (high) 64-bit lanes of a and b, alternating. */
static inline ft_vq interleave_low(ft_vq a, ft_vq b)
{
#if FT_LANES == 16
    return SHUFFLE(ft_vq, a, b, 0, 8, 2, 10, 4, 12, 6, 14);
#elif FT_LANES == 8
    return SHUFFLE(ft_vq, a, b, 0, 4, 2, 6);
#else
    return SHUFFLE(ft_vq, a, b, 0, 2);
#endif
}

static inline ft_vq interleave_high(ft_vq a, ft_vq b)
{
#if FT_LANES == 16
    return SHUFFLE(ft_vq, a, b, 1, 9, 3, 11, 5, 13, 7, 15);
#elif FT_LANES == 8
    return SHUFFLE(ft_vq, a, b, 1, 5, 3, 7);
#else
    return SHUFFLE(ft_vq, a, b, 1, 3);
#endif
}

/* n rounded up to whole vectors. */
static inline size_t whole_vectors(size_t n)
{
    return (n + FT_LANES - 1) / FT_LANES * FT_LANES;
}

#endif
