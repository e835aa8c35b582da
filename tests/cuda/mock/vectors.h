/* CUDA's vector types, aligned as CUDA aligns them. */
#ifndef FT_MOCK_VECTORS_H
#define FT_MOCK_VECTORS_H

#define __align__(n) __attribute__((aligned(n)))

#define FT_VECTORS(type, name, align2, align4)                                                     \
    struct __align__(align2) name##2                                                               \
    {                                                                                              \
        type x, y;                                                                                 \
    };                                                                                             \
    struct name##3                                                                                 \
    {                                                                                              \
        type x, y, z;                                                                              \
    };                                                                                             \
    struct __align__(align4) name##4                                                               \
    {                                                                                              \
        type x, y, z, w;                                                                           \
    };                                                                                             \
    inline name##2 make_##name##2(type x, type y)                                                  \
    {                                                                                              \
        return {x, y};                                                                             \
    }                                                                                              \
    inline name##3 make_##name##3(type x, type y, type z)                                          \
    {                                                                                              \
        return {x, y, z};                                                                          \
    }                                                                                              \
    inline name##4 make_##name##4(type x, type y, type z, type w)                                  \
    {                                                                                              \
        return {x, y, z, w};                                                                       \
    }

FT_VECTORS(signed char, char, 2, 4)
FT_VECTORS(unsigned char, uchar, 2, 4)
FT_VECTORS(short, short, 4, 8)
FT_VECTORS(unsigned short, ushort, 4, 8)
FT_VECTORS(int, int, 8, 16)
FT_VECTORS(unsigned, uint, 8, 16)
FT_VECTORS(long long, longlong, 16, 16)
FT_VECTORS(unsigned long long, ulonglong, 16, 16)
FT_VECTORS(float, float, 8, 16)
FT_VECTORS(double, double, 16, 16)
#undef FT_VECTORS

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#endif
