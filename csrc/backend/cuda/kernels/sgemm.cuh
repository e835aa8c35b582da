/* Each block makes a tile of out; each thread of it a few rows and columns, whose sums it keeps in
 * registers. Tiles of a and b pass through shared memory, laid out by k, in two buffers: while one
 * is multiplied, the next is on its way from global memory. */
#ifndef FT_BACKEND_CUDA_KERNELS_SGEMM_CUH
#define FT_BACKEND_CUDA_KERNELS_SGEMM_CUH

#include "activation.cuh"
#include "sgemm.h"

/* out, as far as sums go: before the activation, which is made of what is kept. */
__device__ inline void write_sum(const ft_sgemm_arguments &p, size_t at, int column, float sum)
{
    if (p.bias)
        sum += p.bias[column];
    if (p.add)
        sum += p.out[at];
    float *to = p.kept ? p.kept : p.out;
    to[at] = sum;
}

__device__ inline void write_four_sums(const ft_sgemm_arguments &p, size_t at, int column,
                                       float4 sum)
{
    if (p.bias) {
        sum.x += p.bias[column];
        sum.y += p.bias[column + 1];
        sum.z += p.bias[column + 2];
        sum.w += p.bias[column + 3];
    }
    if (p.add) {
        float4 old = *(const float4 *)(p.out + at);
        sum.x += old.x;
        sum.y += old.y;
        sum.z += old.z;
        sum.w += old.w;
    }
    *(float4 *)((p.kept ? p.kept : p.out) + at) = sum;
}

__device__ inline void activate(const ft_sgemm_arguments &p, size_t at)
{
    p.out[at] = ft_activate(p.activation, p.kept ? p.kept[at] : p.out[at]);
}

/* A tile of one operand: SIZE of its rows (columns of b), DEPTH of k. BY_K: it lies in memory as
 * [size, k], otherwise as [k, size]. */
template <int SIZE, int DEPTH, int THREADS, bool BY_K> struct operand_tile {
    static const int PITCH = SIZE + 4; /* fewer bank conflicts where the tile is transposed */
    static const int FLOATS = DEPTH * PITCH;
    static const int QUADS = SIZE * DEPTH / 4 / THREADS; /* that one thread moves */
    static_assert(QUADS * 4 * THREADS == SIZE * DEPTH, "threads share a tile evenly");
    float4 quads[QUADS];

    /* From x, `size` by `k_end` as far as it matters, the tile that begins at (first, k). */
    __device__ inline void load(const float *x, int size, int k_size, int first, int k, int k_end,
                                bool vector)
    {
#pragma unroll
        for (int i = 0; i < QUADS; i++) {
            int quad = threadIdx.x + i * THREADS;
            int along = BY_K ? quad % (DEPTH / 4) * 4 : quad % (SIZE / 4) * 4;
            int across = BY_K ? quad / (DEPTH / 4) : quad / (SIZE / 4);
            /* Whole lines lie `pitch` apart; `count` of a line's elements are left. */
            int line = across + (BY_K ? first : k), lines = BY_K ? size : k_end;
            int begin = along + (BY_K ? k : first), count = (BY_K ? k_end : size) - begin;
            const float *from = x + (size_t)line * (BY_K ? k_size : size) + begin;
            float4 value = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (line < lines && count > 0) {
                if (vector) {
                    value = *(const float4 *)from;
                } else {
                    value.x = from[0];
                    value.y = count > 1 ? from[1] : 0.0f;
                    value.z = count > 2 ? from[2] : 0.0f;
                    value.w = count > 3 ? from[3] : 0.0f;
                }
            }
            quads[i] = value;
        }
    }

    __device__ inline void store(float *tile) const
    {
#pragma unroll
        for (int i = 0; i < QUADS; i++) {
            int quad = threadIdx.x + i * THREADS;
            if (BY_K) {
                float *to = tile + quad % (DEPTH / 4) * 4 * PITCH + quad / (DEPTH / 4);
                to[0] = quads[i].x;
                to[PITCH] = quads[i].y;
                to[2 * PITCH] = quads[i].z;
                to[3 * PITCH] = quads[i].w;
            } else {
                *(float4 *)(tile + quad / (SIZE / 4) * PITCH + quad % (SIZE / 4) * 4) = quads[i];
            }
        }
    }
};

/* COUNT numbers in groups of four, the groups `apart` from one another. */
template <int COUNT> __device__ inline void read_groups(const float *from, int apart, float *to)
{
#pragma unroll
    for (int i = 0; i < COUNT; i += 4) {
        float4 four = *(const float4 *)(from + i / 4 * apart);
        to[i] = four.x;
        to[i + 1] = four.y;
        to[i + 2] = four.z;
        to[i + 3] = four.w;
    }
}

/* A thread's sums go to where they belong: the partials, or out. */
template <int OWN_ROWS, int OWN_COLUMNS>
__device__ inline void write_sums(const ft_sgemm_arguments &p, int first_row, int row_apart,
                                  int first_column, int column_apart,
                                  const float (&sums)[OWN_ROWS][OWN_COLUMNS])
{
    float *partial = p.splits > 1 ? p.partials + (size_t)blockIdx.z * p.m * p.n : 0;
#pragma unroll
    for (int i = 0; i < OWN_ROWS; i++) {
        int row = first_row + i / 4 * row_apart + i % 4;
        if (row >= p.m)
            break;
#pragma unroll
        for (int j = 0; j < OWN_COLUMNS; j += 4) {
            int column = first_column + j / 4 * column_apart;
            size_t at = (size_t)row * p.n + column;
            if (p.vector_out && column < p.n) {
                float4 four =
                    make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]);
                if (partial)
                    *(float4 *)(partial + at) = four;
                else
                    write_four_sums(p, at, column, four);
            } else {
#pragma unroll
                for (int c = 0; c < 4; c++) {
                    if (column + c < p.n && partial)
                        partial[at + c] = sums[i][j + c];
                    else if (column + c < p.n)
                        write_sum(p, at + c, column + c, sums[i][j + c]);
                }
            }
        }
    }
    if (partial || p.activation == FT_CUDA_NO_ACTIVATION)
        return;
        /* Not unrolled: the activations' code is long. */
#pragma unroll 1
    for (int e = 0; e < OWN_ROWS * OWN_COLUMNS; e++) {
        int i = e / OWN_COLUMNS, j = e % OWN_COLUMNS;
        int row = first_row + i / 4 * row_apart + i % 4;
        int column = first_column + j / 4 * column_apart + j % 4;
        if (row < p.m && column < p.n)
            activate(p, (size_t)row * p.n + column);
    }
}

/* A thread's OWN_ROWS by OWN_COLUMNS sums are in groups of four rows and four columns, spread over
 * the tile so that neighbours read neighbouring words of shared memory. */
template <int ROWS, int COLUMNS, int DEPTH, int OWN_ROWS, int OWN_COLUMNS, bool A_BY_K, bool B_BY_K>
__device__ inline void product(const ft_sgemm_arguments &p)
{
    const int THREADS = ROWS / OWN_ROWS * (COLUMNS / OWN_COLUMNS);
    const int ROW_APART = ROWS * 4 / OWN_ROWS, COLUMN_APART = COLUMNS * 4 / OWN_COLUMNS;
    const int WARPS_ACROSS = COLUMNS / OWN_COLUMNS / 8; /* a warp is four by eight threads */
    typedef operand_tile<ROWS, DEPTH, THREADS, A_BY_K> tile_a;
    typedef operand_tile<COLUMNS, DEPTH, THREADS, B_BY_K> tile_b;
    __shared__ __align__(16) float shared[2][tile_a::FLOATS + tile_b::FLOATS];

    int first_row = blockIdx.y * ROWS, first_column = blockIdx.x * COLUMNS;
    int k = blockIdx.z * p.split_depth, k_end = min(k + p.split_depth, p.k);
    int warp = threadIdx.x / FT_WARP, lane = threadIdx.x % FT_WARP;
    int row = (warp / WARPS_ACROSS * 4 + lane / 8) * 4;
    int column = (warp % WARPS_ACROSS * 8 + lane % 8) * 4;
    tile_a from_a;
    tile_b from_b;
    float sums[OWN_ROWS][OWN_COLUMNS] = {};

    from_a.load(p.a, p.m, p.k, first_row, k, k_end, p.vector_a);
    from_b.load(p.b, p.n, p.k, first_column, k, k_end, p.vector_b);
    from_a.store(shared[0]);
    from_b.store(shared[0] + tile_a::FLOATS);
    __syncthreads();
    for (int buffer = 0; k < k_end; buffer ^= 1) {
        k += DEPTH;
        if (k < k_end) {
            from_a.load(p.a, p.m, p.k, first_row, k, k_end, p.vector_a);
            from_b.load(p.b, p.n, p.k, first_column, k, k_end, p.vector_b);
        }
        const float *a = shared[buffer] + row, *b = shared[buffer] + tile_a::FLOATS + column;
#pragma unroll 8
        for (int d = 0; d < DEPTH; d++) {
            float x[OWN_ROWS], y[OWN_COLUMNS];
            read_groups<OWN_ROWS>(a + d * tile_a::PITCH, ROW_APART, x);
            read_groups<OWN_COLUMNS>(b + d * tile_b::PITCH, COLUMN_APART, y);
#pragma unroll
            for (int i = 0; i < OWN_ROWS; i++)
#pragma unroll
                for (int j = 0; j < OWN_COLUMNS; j++)
                    sums[i][j] += x[i] * y[j];
        }
        if (k < k_end) {
            from_a.store(shared[buffer ^ 1]);
            from_b.store(shared[buffer ^ 1] + tile_a::FLOATS);
            __syncthreads();
        }
    }

    write_sums<OWN_ROWS, OWN_COLUMNS>(p, first_row + row, ROW_APART, first_column + column,
                                      COLUMN_APART, sums);
}

#endif
