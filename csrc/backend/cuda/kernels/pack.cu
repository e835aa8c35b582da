/* A padded batch of other people's arrays: what its rows keep, and those packed. A thread has one
 * column of a row at a time. */
#include "common.cuh"
#include "pack.h"

#define WARPS (FT_PACK_THREADS / FT_WARP)

/* As ft_number. */
enum { INT64 = 0, INT32, UINT8, BOOL, FLOAT32, FLOAT64 };

__device__ inline const char *ft_at(const ft_cuda_array &a, int row, int column)
{
    return a.data + row * a.row_stride + column * a.column_stride;
}

__device__ inline long long ft_integer(const ft_cuda_array &a, int row, int column)
{
    const char *x = ft_at(a, row, column);
    switch (a.type) {
    case INT64:
        return *(const long long *)x;
    case INT32:
        return *(const int *)x;
    case UINT8:
        return *(const unsigned char *)x;
    default:
        return *(const unsigned char *)x != 0;
    }
}

__device__ inline float ft_float(const ft_cuda_array &a, int row, int column)
{
    const char *x = ft_at(a, row, column);
    if (a.type == FLOAT32)
        return *(const float *)x;
    return a.type == FLOAT64 ? (float)*(const double *)x : (float)ft_integer(a, row, column);
}

__device__ inline bool ft_within(long long value, int limit)
{
    return value >= 0 && value < limit;
}

__device__ inline int ft_checked(long long value, int limit)
{
    return ft_within(value, limit) ? (int)value : 0;
}

__device__ inline long long ft_mask(const ft_cuda_padded &p, int row, int column)
{
    return p.attention_mask.data ? ft_integer(p.attention_mask, row, column) : 1;
}

__device__ inline long long ft_type(const ft_cuda_padded &p, int row, int column)
{
    return p.token_type_ids.data ? ft_integer(p.token_type_ids, row, column) : 0;
}

__device__ inline long long ft_position(const ft_cuda_padded &p, int row, int column)
{
    return p.position_ids.data ? ft_integer(p.position_ids, row, column) : column;
}

__device__ inline bool ft_label_is_wrong(const ft_cuda_padded &p, int row, long long ignored)
{
    long long label = ft_integer(p.labels, row, 0);
    return label != ignored && !ft_within(label, p.classes);
}

/* How many threads of the block before this one have it true; *all: how many at all. */
__device__ inline int ft_rank(bool it, int *shared, int *all)
{
    unsigned votes = __ballot_sync(FT_ALL_LANES, it);
    int warp = threadIdx.x / FT_WARP, lane = threadIdx.x % FT_WARP;
    __syncthreads(); /* what was in `shared` before has been read */
    if (lane == 0)
        shared[warp] = __popc(votes);
    __syncthreads();
    int before = __popc(votes & ((1u << lane) - 1u)), sum = 0;
    for (int w = 0; w < WARPS; w++) {
        before += w < warp ? shared[w] : 0;
        sum += shared[w];
    }
    *all = sum;
    return before;
}

FT_KERNEL(padded_lengths, FT_PACK_THREADS)(const ft_padded_lengths_arguments a)
{
    __shared__ int shared[WARPS];
    const ft_cuda_padded &p = a.padded;
    int row = blockIdx.x, kept = 0, ones = 0, all;
    bool wrong = p.labels.data && p.class_labels && ft_label_is_wrong(p, row, a.ignored);
    for (int base = 0; base < p.length; base += FT_PACK_THREADS) {
        int i = base + threadIdx.x;
        long long mask = 0;
        if (i < p.length) {
            mask = ft_mask(p, row, i);
            wrong |= !ft_within(mask, 2) || !ft_within(ft_type(p, row, i), p.types);
            if (mask != 0 || i == 0)
                wrong |= !ft_within(ft_integer(p.input_ids, row, i), p.vocabulary) ||
                         !ft_within(ft_position(p, row, i), p.positions);
        }
        ft_rank(mask != 0, shared, &all);
        ones += all;
        ft_rank(mask != 0 || i == 0, shared, &all);
        kept += all;
    }
    ft_rank(wrong, shared, &all);
    if (threadIdx.x == 0)
        a.lengths[row] = all > 0 || ones == 0 ? 0 : kept > ones ? -kept : kept;
}

FT_KERNEL(pack, FT_PACK_THREADS)(const ft_pack_arguments a)
{
    __shared__ int shared[WARPS];
    const ft_cuda_padded &p = a.padded;
    int row = blockIdx.x, start = a.cu_seqlens[row], end = a.cu_seqlens[row + 1], all;
    for (int base = 0; base < p.length; base += FT_PACK_THREADS) {
        int i = base + threadIdx.x;
        bool kept = i < p.length && (i == 0 || ft_mask(p, row, i) != 0);
        int to = start + ft_rank(kept, shared, &all);
        if (kept && to < end) {
            a.input_ids[to] = ft_checked(ft_integer(p.input_ids, row, i), p.vocabulary);
            a.token_type_ids[to] = ft_checked(ft_type(p, row, i), p.types);
            a.position_ids[to] = ft_checked(ft_position(p, row, i), p.positions);
        }
        start += all;
    }
    for (int to = start + threadIdx.x; to < end; to += FT_PACK_THREADS)
        a.input_ids[to] = a.token_type_ids[to] = a.position_ids[to] = 0;
    if (!p.labels.data)
        return;
    if (!p.class_labels)
        for (int i = threadIdx.x; i < p.label_width; i += FT_PACK_THREADS)
            a.target_labels[(size_t)row * p.label_width + i] = ft_float(p.labels, row, i);
    else if (threadIdx.x == 0)
        a.class_labels[row] =
            ft_label_is_wrong(p, row, a.ignored) ? a.ignored : ft_integer(p.labels, row, 0);
}
