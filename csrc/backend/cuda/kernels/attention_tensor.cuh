/* Attention in float16 by tensor cores: the passes of attention_forward.cuh and
 * attention_backward.cuh, with probabilities and the scores' gradients rounded as operands of their
 * products. A warp has 16 rows of the block's tile, queries or, for dk and dv, keys; see tensor.cuh
 * for which of a product's numbers each lane has. */
#ifndef FT_BACKEND_CUDA_KERNELS_ATTENTION_TENSOR_CUH
#define FT_BACKEND_CUDA_KERNELS_ATTENTION_TENSOR_CUH

#include "attention_tiles.cuh"
#include "tensor.cuh"

/* A tile of rows in shared memory lies there in one or both of two ways, in words of two numbers,
 * so that a lane's part of a product's second operand is one word and lanes' words are in different
 * banks: as rows, neighbours in a row making a word, to be multiplied over the columns; as pairs,
 * rows 2 i and 2 i + 1 of a column making a word, to be multiplied over the rows. */
template <int COLUMNS, int ROWS> struct attention_half_tile {
    static const int ROW_PITCH = COLUMNS / 2 + 4, PAIR_PITCH = COLUMNS + 8;
    static const int ROW_WORDS = ROWS * ROW_PITCH, PAIR_WORDS = ROWS / 2 * PAIR_PITCH;
};

__device__ inline ushort4 load_bits(const ft_attention_arguments &a, const void *x, size_t at,
                                    int column)
{
    const unsigned short *from = (const unsigned short *)x + at + column;
    if (a.vector && column < a.head_dim)
        return *(const ushort4 *)from;
    return make_ushort4(column < a.head_dim ? from[0] : 0, column + 1 < a.head_dim ? from[1] : 0,
                        column + 2 < a.head_dim ? from[2] : 0,
                        column + 3 < a.head_dim ? from[3] : 0);
}

__device__ inline unsigned two_of(unsigned short first, unsigned short second)
{
    return (unsigned)first | (unsigned)second << 16;
}

/* Two columns of a row. */
__device__ inline unsigned load_two(const ft_attention_arguments &a, const unsigned short *from,
                                    int column)
{
    if (a.vector && column < a.head_dim)
        return *(const unsigned *)(from + column);
    return two_of(column < a.head_dim ? from[column] : 0,
                  column + 1 < a.head_dim ? from[column + 1] : 0);
}

/* ROWS rows of a head from row `first` on, zeros from row `end` on, as rows and as pairs; NULL: not
 * wanted. */
template <int COLUMNS, int ROWS>
__device__ inline void load_half_tile(const ft_attention_arguments &a, const void *x, int stride,
                                      int head, int first, int end, unsigned *rows, unsigned *pairs)
{
    typedef attention_half_tile<COLUMNS, ROWS> tile;
    for (int i = threadIdx.x; i < ROWS / 2 * COLUMNS / 4; i += FT_ATTENTION_TENSOR_THREADS) {
        int row = i / (COLUMNS / 4) * 2, column = i % (COLUMNS / 4) * 4;
        ushort4 upper = make_ushort4(0, 0, 0, 0), lower = upper;
        size_t at = (size_t)(first + row) * stride + (size_t)head * a.head_dim;
        if (first + row < end)
            upper = load_bits(a, x, at, column);
        if (first + row + 1 < end)
            lower = load_bits(a, x, at + stride, column);
        if (rows) {
            unsigned *to = rows + row * tile::ROW_PITCH + column / 2;
            *(uint2 *)to = make_uint2(two_of(upper.x, upper.y), two_of(upper.z, upper.w));
            *(uint2 *)(to + tile::ROW_PITCH) =
                make_uint2(two_of(lower.x, lower.y), two_of(lower.z, lower.w));
        }
        if (pairs)
            *(uint4 *)(pairs + row / 2 * tile::PAIR_PITCH + column) =
                make_uint4(two_of(upper.x, lower.x), two_of(upper.y, lower.y),
                           two_of(upper.z, lower.z), two_of(upper.w, lower.w));
    }
}

/* Sixteen rows of a head as the first operands of products over its columns. `row` is this lane's:
 * the first of them plus its group. */
template <int COLUMNS> struct attention_half_rows {
    unsigned words[COLUMNS / 8][2];

    __device__ inline void load(const ft_attention_arguments &a, const void *x, int stride,
                                int head, int row, int end)
    {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const unsigned short *from = (const unsigned short *)x +
                                         (size_t)(row + 8 * half) * stride +
                                         (size_t)head * a.head_dim;
            bool exists = row + 8 * half < end;
#pragma unroll
            for (int c = 0; c < COLUMNS / 8; c++) {
                int column = c * 8 + threadIdx.x % 4 * 2;
                words[c][half] = exists ? load_two(a, from, column) : 0;
            }
        }
    }

    /* products [16 rows, 8 rows of a tile] from tile row `other` on. */
    __device__ inline void multiply(const unsigned *rows, int other, float (&products)[4]) const
    {
        int lane = threadIdx.x % FT_WARP;
        const unsigned *from =
            rows + (other + lane / 4) * attention_half_tile<COLUMNS, 2>::ROW_PITCH + lane % 4;
        products[0] = products[1] = products[2] = products[3] = 0.0f;
#pragma unroll
        for (int c = 0; c < COLUMNS / 8; c++)
            ft_multiply_add(products, words[c], from[c * 4]);
    }
};

/* Sums [16 rows, COLUMNS]. */
template <int COLUMNS> struct attention_half_sums {
    float sums[COLUMNS / 8][4];

    __device__ inline void clear()
    {
#pragma unroll
        for (int c = 0; c < COLUMNS / 8; c++)
            sums[c][0] = sums[c][1] = sums[c][2] = sums[c][3] = 0.0f;
    }

    /* += factors [16 rows, 8 rows of a tile], rounded, by those rows, which begin at `other`. */
    __device__ inline void add(const float (&factors)[4], const unsigned *pairs, int other)
    {
        int lane = threadIdx.x % FT_WARP;
        unsigned rounded[2] = {ft_pack(factors[0], factors[1]), ft_pack(factors[2], factors[3])};
        const unsigned *from =
            pairs + (other / 2 + lane % 4) * attention_half_tile<COLUMNS, 2>::PAIR_PITCH + lane / 4;
#pragma unroll
        for (int c = 0; c < COLUMNS / 8; c++)
            ft_multiply_add(sums[c], rounded, from[c * 8]);
    }

    /* The rows `row` and `row` + 8, as far as they lie before `end`, each by its factor. */
    __device__ inline void store(const ft_attention_arguments &a, void *x, int stride, int head,
                                 int row, int end, float upper, float lower) const
    {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            if (row + 8 * half >= end)
                continue;
            unsigned short *to =
                (unsigned short *)x + (size_t)(row + 8 * half) * stride + (size_t)head * a.head_dim;
            float factor = half ? lower : upper;
#pragma unroll
            for (int c = 0; c < COLUMNS / 8; c++) {
                int column = c * 8 + threadIdx.x % 4 * 2;
                unsigned two = ft_pack(factor * sums[c][2 * half], factor * sums[c][2 * half + 1]);
                if (a.vector && column < a.head_dim) {
                    *(unsigned *)(to + column) = two;
                } else {
                    if (column < a.head_dim)
                        to[column] = (unsigned short)two;
                    if (column + 1 < a.head_dim)
                        to[column + 1] = (unsigned short)(two >> 16);
                }
            }
        }
    }
};

/* Over the four lanes that share a row. */
__device__ inline float sum_of_four(float x)
{
    x += __shfl_xor_sync(FT_ALL_LANES, x, 1);
    return x + __shfl_xor_sync(FT_ALL_LANES, x, 2);
}

__device__ inline float max_of_four(float x)
{
    x = fmaxf(x, __shfl_xor_sync(FT_ALL_LANES, x, 1));
    return fmaxf(x, __shfl_xor_sync(FT_ALL_LANES, x, 2));
}

/* Which of the four keys from `key` on are kept, as bits. */
__device__ inline unsigned kept_keys(const ft_attention_arguments &a, const attention_place &at,
                                     const ft_cuda_dropout &dropout, int query, int key)
{
    float4 f = ft_dropout_factors(dropout, dropout_quad(a, at, query, key));
    return (f.x != 0.0f) | (f.y != 0.0f) << 1 | (f.z != 0.0f) << 2 | (f.w != 0.0f) << 3;
}

/* The dropout factors of a product [16 queries, 8 keys]: queries `query` and `query` + 8, keys from
 * `key` on. Two lanes share the keys of one Philox number in two rows: each makes one. */
__device__ inline void dropout_of_queries(const ft_attention_arguments &a,
                                          const attention_place &at, const ft_cuda_dropout &dropout,
                                          int query, int key, float (&m)[4])
{
    m[0] = m[1] = m[2] = m[3] = 1.0f;
    if (dropout.threshold == 0)
        return;
    int pair = threadIdx.x % 4, odd = pair % 2;
    unsigned own = kept_keys(a, at, dropout, query + 8 * odd, key + pair / 2 * 4);
    unsigned other = __shfl_xor_sync(FT_ALL_LANES, own, 1);
    unsigned upper = (odd ? other : own) >> 2 * odd, lower = (odd ? own : other) >> 2 * odd;
    m[0] = upper & 1 ? dropout.scale : 0.0f;
    m[1] = upper & 2 ? dropout.scale : 0.0f;
    m[2] = lower & 1 ? dropout.scale : 0.0f;
    m[3] = lower & 2 ? dropout.scale : 0.0f;
}

/* The same of a product [16 keys, 8 queries]: keys from `key` on, queries from `query` on. Four
 * lanes share the keys of one number, in two columns and twice in a column: each makes one. */
__device__ inline void dropout_of_keys(const ft_attention_arguments &a, const attention_place &at,
                                       const ft_cuda_dropout &dropout, int query, int key,
                                       float (&m)[4])
{
    m[0] = m[1] = m[2] = m[3] = 1.0f;
    if (dropout.threshold == 0)
        return;
    int lane = threadIdx.x % FT_WARP, group = lane / 4, pair = lane % 4, part = group % 4;
    unsigned own =
        kept_keys(a, at, dropout, query + pair * 2 + part % 2, key + group / 4 * 4 + part / 2 * 8);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        unsigned bits = __shfl_sync(FT_ALL_LANES, own, (group / 4 * 4 + i) * 4 + pair);
        m[i] = bits >> part & 1 ? dropout.scale : 0.0f;
    }
}

#endif
