/* What the passes of attention share: tiles of rows in shared memory and their products.
 *
 * Eight threads, neighbours in a warp, share a row of queries (`lane8` tells them apart). Of a tile
 * of scores each has FT_ATTENTION_KEYS / 8 = 4 neighbouring keys, whose dropout is one Philox
 * number; of a row of COLUMNS it has four columns in every 32. A thread has OWN rows of queries,
 * `apart` from one another. */
#ifndef FT_BACKEND_CUDA_KERNELS_ATTENTION_TILES_CUH
#define FT_BACKEND_CUDA_KERNELS_ATTENTION_TILES_CUH

#include "attention.h"
#include "fours.cuh"

/* Minus infinity: the score of a key that does not count. */
#define FT_NO_SCORE __uint_as_float(0xFF800000u)

/* A head of a sequence. */
struct attention_place {
    int head;
    int begin, length; /* the sequence's first packed row, and how many it has */
    int first_key;     /* the first that is not masked */
};

__device__ inline attention_place place_of(const ft_attention_arguments &a, int sequence, int head)
{
    attention_place at = {head, 0, 0, 0};
    at.begin = a.cu_seqlens[sequence];
    at.length = a.cu_seqlens[sequence + 1] - at.begin;
    at.first_key = a.key_starts[sequence] - at.begin;
    return at;
}

/* Where keys lie in a tile of rows: those that a thread reads for its four neighbouring scores are
 * eight rows apart, so that eight threads read eight neighbouring rows at once. */
__device__ inline int key_row(int key)
{
    return key % 4 * (FT_ATTENTION_KEYS / 4) + key / 4;
}

/* Four columns of a row, zeros behind the head's last. */
__device__ inline float4 load_columns(const ft_attention_arguments &a, const void *x, size_t at,
                                      int column)
{
    if (a.vector && column < a.head_dim)
        return ft_load4(x, at + column);
    float4 value = ft_none<float4>();
    if (column < a.head_dim)
        value.x = ft_load(x, at + column);
    if (column + 1 < a.head_dim)
        value.y = ft_load(x, at + column + 1);
    if (column + 2 < a.head_dim)
        value.z = ft_load(x, at + column + 2);
    if (column + 3 < a.head_dim)
        value.w = ft_load(x, at + column + 3);
    return value;
}

__device__ inline void store_columns(const ft_attention_arguments &a, void *x, size_t at,
                                     int column, float4 value)
{
    if (a.vector && column < a.head_dim) {
        ft_store4(x, at + column, value);
        return;
    }
    if (column < a.head_dim)
        ft_store(x, at + column, value.x);
    if (column + 1 < a.head_dim)
        ft_store(x, at + column + 1, value.y);
    if (column + 2 < a.head_dim)
        ft_store(x, at + column + 2, value.z);
    if (column + 3 < a.head_dim)
        ft_store(x, at + column + 3, value.w);
}

/* ROWS rows of a head from row `first` on into a tile, zeros from row `end` on. */
template <int COLUMNS, int ROWS, bool KEYS>
__device__ inline void load_tile(const ft_attention_arguments &a, const void *x, int stride,
                                 int head, int first, int end, float *tile)
{
    for (int i = threadIdx.x; i < ROWS * COLUMNS / 4; i += blockDim.x) {
        int row = i / (COLUMNS / 4), column = i % (COLUMNS / 4) * 4;
        float4 value = ft_none<float4>();
        if (first + row < end)
            value = load_columns(a, x, (size_t)(first + row) * stride + (size_t)head * a.head_dim,
                                 column);
        int to = KEYS ? key_row(row) : row;
        *(float4 *)(tile + to * FT_ATTENTION_PITCH(COLUMNS) + column) = value;
    }
}

/* Zeros in a head's columns of the rows that belong to no sequence; block `tile` of `tiles`. */
__device__ inline void zero_tail(const ft_attention_arguments &a, void *x, int stride, int head,
                                 int tile, int tiles)
{
    int first = a.layout->tokens, count = (a.rows - first) * a.head_dim;
    for (int i = tile * blockDim.x + threadIdx.x; i < count; i += tiles * blockDim.x) {
        int row = first + i / a.head_dim, column = i % a.head_dim;
        ft_store(x, (size_t)row * stride + (size_t)head * a.head_dim + column, 0.0f);
    }
}

/* Whether this block has a tile, of `rows` rows: where, and its first row in the sequence. The
 * blocks behind the last sequence zero the tail of x and, unless it is null, of y. */
__device__ inline bool take_tile(const ft_attention_arguments &a, int rows, void *x, void *y,
                                 int stride, attention_place &at, int &first)
{
    int sequence = blockIdx.x / a.tiles, tile = blockIdx.x % a.tiles, head = blockIdx.y;
    if (sequence == a.sequences) {
        zero_tail(a, x, stride, head, tile, a.tiles);
        if (y != nullptr)
            zero_tail(a, y, stride, head, tile, a.tiles);
        return false;
    }
    at = place_of(a, sequence, head);
    first = tile * rows;
    return first < at.length;
}

__device__ inline float dot4(float4 x, float4 y, float sum)
{
    sum = fmaf(x.x, y.x, sum);
    sum = fmaf(x.y, y.y, sum);
    sum = fmaf(x.z, y.z, sum);
    return fmaf(x.w, y.w, sum);
}

__device__ inline void add_scaled4(float factor, float4 x, float4 &to)
{
    to.x = fmaf(factor, x.x, to.x);
    to.y = fmaf(factor, x.y, to.y);
    to.z = fmaf(factor, x.z, to.z);
    to.w = fmaf(factor, x.w, to.w);
}

/* products[i][j] = row i of `rows`, dot, row of key j of `keys`. */
template <int COLUMNS, int OWN>
__device__ inline void dot_rows(const float *rows, int row, int apart, const float *keys, int lane8,
                                float (&products)[OWN][4])
{
    const int PITCH = FT_ATTENTION_PITCH(COLUMNS);
#pragma unroll
    for (int i = 0; i < OWN; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
            products[i][j] = 0.0f;
#pragma unroll 4
    for (int column = 0; column < COLUMNS; column += 4) {
        float4 x[OWN], y[4];
#pragma unroll
        for (int i = 0; i < OWN; i++)
            x[i] = *(const float4 *)(rows + (row + i * apart) * PITCH + column);
#pragma unroll
        for (int j = 0; j < 4; j++)
            y[j] = *(const float4 *)(keys + key_row(lane8 * 4 + j) * PITCH + column);
#pragma unroll
        for (int i = 0; i < OWN; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                products[i][j] = dot4(x[i], y[j], products[i][j]);
    }
}

/* sums[i] += the tile's keys, each by its factor in row i of `factors`. */
template <int COLUMNS, int OWN, bool KEYS>
__device__ inline void add_keys(const float *factors, int row, int apart, const float *keys,
                                int lane8, float4 (&sums)[OWN][COLUMNS / 32])
{
#pragma unroll 2
    for (int key = 0; key < FT_ATTENTION_KEYS; key += 4) {
        float4 f[OWN];
#pragma unroll
        for (int i = 0; i < OWN; i++)
            f[i] =
                *(const float4 *)(factors +
                                  (row + i * apart) * FT_ATTENTION_PITCH(FT_ATTENTION_KEYS) + key);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int at = KEYS ? key_row(key + j) : key + j;
#pragma unroll
            for (int c = 0; c < COLUMNS / 32; c++) {
                float4 x =
                    *(const float4 *)(keys + at * FT_ATTENTION_PITCH(COLUMNS) + c * 32 + lane8 * 4);
#pragma unroll
                for (int i = 0; i < OWN; i++)
                    add_scaled4(j == 0   ? f[i].x
                                : j == 1 ? f[i].y
                                : j == 2 ? f[i].z
                                         : f[i].w,
                                x, sums[i][c]);
            }
        }
    }
}

/* Over the eight threads that share a row. */
__device__ inline float sum_of_eight(float x)
{
    for (int distance = 4; distance > 0; distance /= 2)
        x += __shfl_xor_sync(FT_ALL_LANES, x, distance);
    return x;
}

__device__ inline float max_of_eight(float x)
{
    for (int distance = 4; distance > 0; distance /= 2)
        x = fmaxf(x, __shfl_xor_sync(FT_ALL_LANES, x, distance));
    return x;
}

/* Dropout's number of four keys from `key` on, which is a multiple of four. */
__device__ inline unsigned long long dropout_quad(const ft_attention_arguments &a,
                                                  const attention_place &at, int query, int key)
{
    return ((unsigned long long)(at.begin + query) * a.heads + at.head) * 16384u + key / 4;
}

#endif
