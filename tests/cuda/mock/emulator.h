/* CUDA's language for g++: included before a kernel's source, it lets the processor run the same
 * source, by the functions of emulator.cpp. Only what our kernels use is here, and
 * floating-point atomics are not: kernels' sums have a fixed order. */
#ifndef FT_MOCK_EMULATOR_H
#define FT_MOCK_EMULATOR_H

/* All that kernels' headers may include: they are included inside a namespace. */
#include <cmath>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>

#include "kernels.h"
#include "vectors.h"

/* ---- qualifiers ---- */

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __noinline__ __attribute__((noinline))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

/* Blocks run one after another, so one copy is enough. A kernel's source has no other variables
 * without initializers: build.py gives them a section of their own, which is filled with NaN before
 * each block. */
#define __shared__ static

#define FT_DYNAMIC_SHARED(type, name) type *name = (type *)emulator::dynamic_shared()

/* ---- kernels: see FT_KERNEL of common.cuh ---- */

#define FT_KERNEL(name, threads)                                                                   \
    enum { ft_most_threads_of_##name = (threads) };                                                \
    extern "C" void FT_KERNEL_NAME(name)

/* Makes the kernel known by its name; behind its definition. */
#define FT_EMULATED_KERNEL(name)                                                                   \
    __attribute__((constructor)) static void ft_make_known_##name()                                \
    {                                                                                              \
        typedef emulator::Caller<&FT_KERNEL_NAME(name)> caller;                                    \
        emulator::add({FT_STRING(FT_KERNEL_NAME(name)), ft_most_threads_of_##name, caller::bytes,  \
                       caller::call, FT_SECTION(__start_ft_shared_, FT_UNIT),                      \
                       FT_SECTION(__stop_ft_shared_, FT_UNIT)});                                   \
    }

#define FT_STRING_OF(x) #x
#define FT_STRING(x) FT_STRING_OF(x)
#define FT_SECTION_OF(prefix, unit) prefix##unit
#define FT_SECTION(prefix, unit) FT_SECTION_OF(prefix, unit)

/* The linker's, which ends and begins a section whose name is a name of C; NULL where there is no
 * static shared memory. */
extern "C" unsigned char FT_SECTION(__start_ft_shared_, FT_UNIT)[]
    __attribute__((weak, visibility("hidden")));
extern "C" unsigned char FT_SECTION(__stop_ft_shared_, FT_UNIT)[]
    __attribute__((weak, visibility("hidden")));

namespace emulator
{

/* Calls a kernel with its one parameter. */
template <auto kernel> struct Caller;
template <typename Parameter, void (*kernel)(Parameter)> struct Caller<kernel> {
    static constexpr size_t bytes = sizeof(Parameter);
    static void call(const void *parameter)
    {
        kernel(*(const Parameter *)parameter);
    }
};

/* ---- what a thread does with others ---- */

enum class Operation { barrier, warp_barrier, shuffle, ballot };

void *dynamic_shared();
void block_barrier(Site);
/* What lane `source` of the warp gave as `value`; barrier: nothing; ballot: a bit of each lane. */
uint64_t warp_operation(Operation, unsigned mask, uint64_t value, unsigned source, Site);
unsigned lane();

template <typename T> T shuffle(unsigned mask, T value, unsigned source, Site site)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = warp_operation(Operation::shuffle, mask, bits, source, site);
    memcpy(&value, &bits, sizeof value);
    return value;
}

} // namespace emulator

#define FT_SITE emulator::Site site = {__builtin_FILE(), __builtin_LINE()}

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

inline void __syncthreads(FT_SITE)
{
    emulator::block_barrier(site);
}

inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, FT_SITE)
{
    emulator::warp_operation(emulator::Operation::warp_barrier, mask, 0, 0, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, FT_SITE)
{
    return (unsigned)emulator::warp_operation(emulator::Operation::ballot, mask, predicate != 0, 0,
                                              site);
}

/* Lanes are numbered within groups of `width`; one that would read outside its group reads itself.
 */
template <typename T> T __shfl_sync(unsigned mask, T value, int source, int width = 32, FT_SITE)
{
    unsigned first = emulator::lane() / width * width;
    return emulator::shuffle(mask, value, first + (unsigned)source % width, site);
}

template <typename T> T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, FT_SITE)
{
    unsigned self = emulator::lane(), source = self ^ (unsigned)lanes;
    return emulator::shuffle(mask, value, source < (self / width + 1) * width ? source : self,
                             site);
}

template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = 32, FT_SITE)
{
    unsigned self = emulator::lane();
    return emulator::shuffle(mask, value, self % width >= lanes ? self - lanes : self, site);
}

template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32, FT_SITE)
{
    unsigned self = emulator::lane();
    return emulator::shuffle(mask, value,
                             self % width + lanes < (unsigned)width ? self + lanes : self, site);
}

inline void __threadfence() {}
inline void __threadfence_block() {}

/* ---- atomics: of integers; threads take turns only where they wait, so none is interrupted ----
 */

#define FT_ATOMIC(name, next)                                                                      \
    template <typename T> T name(T *address, std::common_type_t<T> value)                          \
    {                                                                                              \
        static_assert(std::is_integral_v<T>, "the order of a sum of floats must be fixed");        \
        T old = *address;                                                                          \
        *address = (next);                                                                         \
        return old;                                                                                \
    }
FT_ATOMIC(atomicAdd, old + value)
FT_ATOMIC(atomicMin, value < old ? value : old)
FT_ATOMIC(atomicMax, value > old ? value : old)
FT_ATOMIC(atomicOr, old | value)
FT_ATOMIC(atomicAnd, old &value)
FT_ATOMIC(atomicExch, value)
#undef FT_ATOMIC

template <typename T>
T atomicCAS(T *address, std::common_type_t<T> expected, std::common_type_t<T> value)
{
    static_assert(std::is_integral_v<T>);
    T old = *address;
    if (old == expected)
        *address = value;
    return old;
}

/* ---- arithmetic ---- */

inline float __uint_as_float(unsigned x)
{
    float y;
    memcpy(&y, &x, sizeof y);
    return y;
}

inline unsigned __float_as_uint(float x)
{
    unsigned y;
    memcpy(&y, &x, sizeof y);
    return y;
}

inline float __int_as_float(int x)
{
    return __uint_as_float((unsigned)x);
}

inline int __float_as_int(float x)
{
    return (int)__float_as_uint(x);
}

inline unsigned __umulhi(unsigned x, unsigned y)
{
    return (unsigned)((uint64_t)x * y >> 32);
}

inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

inline int __clz(int x)
{
    return x == 0 ? 32 : __builtin_clz((unsigned)x);
}

inline int __ffs(int x)
{
    return __builtin_ffs(x);
}

template <typename T> T __ldg(const T *address)
{
    return *address;
}

inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}

inline double rsqrt(double x)
{
    return 1.0 / sqrt(x);
}

/* The C library has functions of some of these names, which it does not export. */
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __powf(x, y) powf(x, y)
#define __fdividef(x, y) ((float)(x) / (float)(y))
#define __fadd_rn(x, y) ((float)(x) + (float)(y))
#define __fmul_rn(x, y) ((float)(x) * (float)(y))
#define __fdiv_rn(x, y) ((float)(x) / (float)(y))
#define __fsqrt_rn(x) sqrtf(x)
#define __fmaf_rn(x, y, z) fmaf(x, y, z)

template <typename A, typename B> constexpr std::common_type_t<A, B> min(A a, B b)
{
    typedef std::common_type_t<A, B> T;
    return (T)b < (T)a ? (T)b : (T)a;
}

template <typename A, typename B> constexpr std::common_type_t<A, B> max(A a, B b)
{
    typedef std::common_type_t<A, B> T;
    return (T)a < (T)b ? (T)b : (T)a;
}

#endif
