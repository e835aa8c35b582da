/* Attention of one query a sequence, its first row: all there is to do is to read the keys and
 * values once. A block has one head of one sequence; each group of eight threads goes over every
 * GROUPS-th key, and in the end the groups are put together in their order. */
#ifndef FT_BACKEND_CUDA_KERNELS_ATTENTION_FIRST_CUH
#define FT_BACKEND_CUDA_KERNELS_ATTENTION_FIRST_CUH

#include "attention_tiles.cuh"

enum {
    FT_FIRST_GROUPS = FT_ATTENTION_FIRST_THREADS / 8,
    FT_FIRST_AT_ONCE = 4, /* keys that a group reads before it waits for the first */
};

/* A thread's columns of a row: four in every 32. */
template <int COLUMNS> struct attention_columns {
    float4 four[COLUMNS / 32];

    __device__ inline void clear()
    {
#pragma unroll
        for (int c = 0; c < COLUMNS / 32; c++)
            four[c] = ft_none<float4>();
    }

    __device__ inline void load(const ft_attention_arguments &a, const void *x, size_t row,
                                int stride, int head)
    {
#pragma unroll
        for (int c = 0; c < COLUMNS / 32; c++)
            four[c] = load_columns(a, x, row * stride + (size_t)head * a.head_dim,
                                   c * 32 + threadIdx.x % 8 * 4);
    }

    __device__ inline void store(const ft_attention_arguments &a, void *x, size_t row, int stride,
                                 int head, float factor) const
    {
#pragma unroll
        for (int c = 0; c < COLUMNS / 32; c++)
            store_columns(a, x, row * stride + (size_t)head * a.head_dim,
                          c * 32 + threadIdx.x % 8 * 4, four[c] * factor);
    }

    /* Over whole rows. */
    __device__ inline float dot(const attention_columns &other) const
    {
        float sum = 0.0f;
#pragma unroll
        for (int c = 0; c < COLUMNS / 32; c++)
            sum = dot4(four[c], other.four[c], sum);
        return sum_of_eight(sum);
    }

    __device__ inline void add(float factor, const attention_columns &other)
    {
#pragma unroll
        for (int c = 0; c < COLUMNS / 32; c++)
            add_scaled4(factor, other.four[c], four[c]);
    }

    __device__ inline void scale(float factor)
    {
#pragma unroll
        for (int c = 0; c < COLUMNS / 32; c++)
            four[c] = four[c] * factor;
    }
};

/* Row `row` of x = the sum of the groups' columns, each multiplied by the group's weight. */
template <int COLUMNS>
__device__ inline void store_merged(const ft_attention_arguments &a,
                                    const attention_columns<COLUMNS> &own, const float *weights,
                                    void *x, size_t row, int stride, int head)
{
    __shared__ float4 groups[FT_FIRST_GROUPS][COLUMNS / 4];
    int group = threadIdx.x / 8, lane8 = threadIdx.x % 8;
#pragma unroll
    for (int c = 0; c < COLUMNS / 32; c++)
        groups[group][c * 8 + lane8] = own.four[c];
    __syncthreads();
    for (int column = threadIdx.x; column < a.head_dim; column += FT_ATTENTION_FIRST_THREADS) {
        float sum = 0.0f;
#pragma unroll 8
        for (int g = 0; g < FT_FIRST_GROUPS; g++)
            sum += weights[g] * ((const float *)groups[g])[column];
        ft_store(x, row * stride + (size_t)head * a.head_dim + column, sum);
    }
}

/* The keys and values of a group of threads, from key `first` on; behind the sequence, its last. */
template <int COLUMNS>
__device__ inline void load_keys_and_values(const ft_attention_arguments &a,
                                            const attention_place &at, int first,
                                            attention_columns<COLUMNS> (&k)[FT_FIRST_AT_ONCE],
                                            attention_columns<COLUMNS> (&v)[FT_FIRST_AT_ONCE])
{
#pragma unroll
    for (int i = 0; i < FT_FIRST_AT_ONCE; i++) {
        size_t row = (size_t)(at.begin + min(first + i * FT_FIRST_GROUPS, at.length - 1));
        k[i].load(a, a.k, row, a.kv_stride, at.head);
        v[i].load(a, a.v, row, a.kv_stride, at.head);
    }
}

__device__ inline float first_dropout(const ft_attention_arguments &a, const attention_place &at,
                                      const ft_cuda_dropout &dropout, int key)
{
    return ft_dropout_factor(dropout, dropout_quad(a, at, 0, key) * 4 + key % 4);
}

template <int COLUMNS>
__device__ inline void attention_first_forward(const ft_attention_arguments &a)
{
    __shared__ float largests[FT_FIRST_GROUPS], sums[FT_FIRST_GROUPS], weights[FT_FIRST_GROUPS];
    int sequence = blockIdx.x, head = blockIdx.y, group = threadIdx.x / 8;
    attention_place at = place_of(a, sequence, head);
    ft_cuda_dropout dropout = *a.dropout;
    attention_columns<COLUMNS> q, out;
    q.load(a, a.q, sequence, a.q_stride, head);
    out.clear();
    /* Finite, so that a group without keys has the weight 0 rather than NaN. */
    float largest = -3e38f, sum = 0.0f;
    for (int first = at.first_key; first < at.length; first += FT_FIRST_GROUPS * FT_FIRST_AT_ONCE) {
        attention_columns<COLUMNS> k[FT_FIRST_AT_ONCE], v[FT_FIRST_AT_ONCE];
        float scores[FT_FIRST_AT_ONCE], now = largest;
        load_keys_and_values(a, at, first + group, k, v);
#pragma unroll
        for (int i = 0; i < FT_FIRST_AT_ONCE; i++) {
            int key = first + i * FT_FIRST_GROUPS + group;
            float score = a.scale * q.dot(k[i]);
            scores[i] = key < at.length ? score : FT_NO_SCORE;
            now = fmaxf(now, scores[i]);
        }
        float correction = expf(largest - now);
        largest = now;
        sum *= correction;
        out.scale(correction);
#pragma unroll
        for (int i = 0; i < FT_FIRST_AT_ONCE; i++) {
            float p = expf(scores[i] - largest);
            sum += p;
            out.add(p * first_dropout(a, at, dropout, first + i * FT_FIRST_GROUPS + group), v[i]);
        }
    }
    if (threadIdx.x % 8 == 0) {
        largests[group] = largest;
        sums[group] = sum;
    }
    __syncthreads();
    static_assert(FT_FIRST_GROUPS == FT_WARP, "one warp has a thread for each group");
    if (threadIdx.x < FT_WARP) {
        float overall = ft_warp_max(largests[threadIdx.x]);
        float weight = expf(largests[threadIdx.x] - overall);
        float total = ft_warp_sum(weight * sums[threadIdx.x]);
        weights[threadIdx.x] = weight / total;
        if (threadIdx.x == 0)
            a.lse[(size_t)head * a.query_rows + sequence] = overall + logf(total);
    }
    store_merged(a, out, weights, a.out, sequence, a.heads * a.head_dim, head);
}

/* As attention_backward.cuh has it. */
template <int COLUMNS>
__device__ inline void attention_first_backward(const ft_attention_arguments &a)
{
    __shared__ float weights[FT_FIRST_GROUPS];
    int sequence = blockIdx.x, head = blockIdx.y, group = threadIdx.x / 8;
    if (sequence == a.sequences) {
        zero_tail(a, a.dk, a.kv_stride, head, 0, 1);
        zero_tail(a, a.dv, a.kv_stride, head, 0, 1);
        return;
    }
    attention_place at = place_of(a, sequence, head);
    ft_cuda_dropout dropout = *a.dropout;
    int width = a.heads * a.head_dim;
    attention_columns<COLUMNS> q, out, dout, dq;
    q.load(a, a.q, sequence, a.q_stride, head);
    out.load(a, a.out, sequence, width, head);
    dout.load(a, a.dout, sequence, width, head);
    dq.clear();
    float delta = dout.dot(out), lse = a.lse[(size_t)head * a.query_rows + sequence];
    for (int first = 0; first < at.length; first += FT_FIRST_GROUPS * FT_FIRST_AT_ONCE) {
        attention_columns<COLUMNS> k[FT_FIRST_AT_ONCE], v[FT_FIRST_AT_ONCE];
        load_keys_and_values(a, at, first + group, k, v);
#pragma unroll
        for (int i = 0; i < FT_FIRST_AT_ONCE; i++) {
            int key = first + i * FT_FIRST_GROUPS + group;
            float s = a.scale * q.dot(k[i]), dp = dout.dot(v[i]);
            float p = key >= at.first_key && key < at.length ? expf(s - lse) : 0.0f;
            float m = first_dropout(a, at, dropout, key);
            float ds = a.scale * p * (m * dp - delta);
            dq.add(ds, k[i]);
            if (key < at.length) {
                q.store(a, a.dk, (size_t)(at.begin + key), a.kv_stride, head, ds);
                dout.store(a, a.dv, (size_t)(at.begin + key), a.kv_stride, head, p * m);
            }
        }
    }
    if (threadIdx.x < FT_FIRST_GROUPS)
        weights[threadIdx.x] = 1.0f;
    store_merged(a, dq, weights, a.dq, sequence, a.q_stride, head);
}

#endif
