/* The passes of attention in float16 by tensor cores; see attention_tensor.cuh. */
#ifndef FT_BACKEND_CUDA_KERNELS_ATTENTION_TENSOR_PASSES_CUH
#define FT_BACKEND_CUDA_KERNELS_ATTENTION_TENSOR_PASSES_CUH

#include "attention_tensor.cuh"

template <int COLUMNS>
__device__ inline void attention_tensor_forward(const ft_attention_arguments &a)
{
    const int KEYS = 64, PARTS = KEYS / 8;
    typedef attention_half_tile<COLUMNS, KEYS> key_tile;
    __shared__ __align__(16) unsigned keys[key_tile::ROW_WORDS], values[key_tile::PAIR_WORDS];
    int width = a.heads * a.head_dim;
    attention_place at;
    int first;
    if (!take_tile(a, FT_ATTENTION_TENSOR_ROWS, a.out, nullptr, width, at, first))
        return;
    int head = at.head, end = at.begin + at.length;

    ft_cuda_dropout dropout = *a.dropout;
    int lane = threadIdx.x % FT_WARP, pair = lane % 4;
    int query = first + threadIdx.x / FT_WARP * 16 + lane / 4;
    attention_half_rows<COLUMNS> q;
    attention_half_sums<COLUMNS> out;
    q.load(a, a.q, a.q_stride, head, at.begin + query, end);
    out.clear();
    float largest[2] = {FT_NO_SCORE, FT_NO_SCORE}, sum[2] = {0.0f, 0.0f};
    for (int key = at.first_key / KEYS * KEYS; key < at.length; key += KEYS) {
        __syncthreads(); /* the tiles before were read */
        load_half_tile<COLUMNS, KEYS>(a, a.k, a.kv_stride, head, at.begin + key, end, keys, 0);
        load_half_tile<COLUMNS, KEYS>(a, a.v, a.kv_stride, head, at.begin + key, end, 0, values);
        __syncthreads();
        float scores[PARTS][4], now[2] = {largest[0], largest[1]};
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            q.multiply(keys, i * 8, scores[i]);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int own_key = key + i * 8 + pair * 2 + j % 2;
                bool counts = own_key >= at.first_key && own_key < at.length;
                scores[i][j] = counts ? a.scale * scores[i][j] : FT_NO_SCORE;
                now[j / 2] = fmaxf(now[j / 2], scores[i][j]);
            }
        }
        float correction[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            now[half] = max_of_four(now[half]);
            correction[half] = expf(largest[half] - now[half]);
            largest[half] = now[half];
            sum[half] *= correction[half];
        }
#pragma unroll
        for (int c = 0; c < COLUMNS / 8; c++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                out.sums[c][j] *= correction[j / 2];
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            float m[4];
            dropout_of_queries(a, at, dropout, query, key + i * 8, m);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                float p = expf(scores[i][j] - largest[j / 2]);
                sum[j / 2] += p;
                scores[i][j] = p * m[j];
            }
            out.add(scores[i], values, i * 8);
        }
    }
    sum[0] = sum_of_four(sum[0]);
    sum[1] = sum_of_four(sum[1]);
    float *lse = a.lse + (size_t)head * a.query_rows + at.begin;
    if (pair == 0 && query < at.length)
        lse[query] = largest[0] + logf(sum[0]);
    if (pair == 0 && query + 8 < at.length)
        lse[query + 8] = largest[1] + logf(sum[1]);
    out.store(a, a.out, width, head, at.begin + query, end, 1.0f / sum[0], 1.0f / sum[1]);
}

/* The sum of dout * out in the rows of a lane's words. */
template <int COLUMNS>
__device__ inline float half_delta(const attention_half_rows<COLUMNS> &dout,
                                   const attention_half_rows<COLUMNS> &out, int half)
{
    float sum = 0.0f;
#pragma unroll
    for (int c = 0; c < COLUMNS / 8; c++) {
        unsigned x = dout.words[c][half], y = out.words[c][half];
        sum = fmaf(ft_first_of(x), ft_first_of(y), sum);
        sum = fmaf(ft_second_of(x), ft_second_of(y), sum);
    }
    return sum_of_four(sum);
}

template <int COLUMNS> __device__ inline void attention_tensor_dq(const ft_attention_arguments &a)
{
    const int KEYS = 32;
    typedef attention_half_tile<COLUMNS, KEYS> key_tile;
    __shared__ __align__(16) unsigned key_rows[key_tile::ROW_WORDS], values[key_tile::ROW_WORDS];
    __shared__ __align__(16) unsigned key_pairs[key_tile::PAIR_WORDS];
    int width = a.heads * a.head_dim;
    attention_place at;
    int first;
    if (!take_tile(a, FT_ATTENTION_TENSOR_ROWS, a.dq, nullptr, a.q_stride, at, first))
        return;
    int head = at.head, end = at.begin + at.length;

    ft_cuda_dropout dropout = *a.dropout;
    int lane = threadIdx.x % FT_WARP, pair = lane % 4;
    int query = first + threadIdx.x / FT_WARP * 16 + lane / 4;
    attention_half_rows<COLUMNS> q, dout, out;
    attention_half_sums<COLUMNS> dq;
    q.load(a, a.q, a.q_stride, head, at.begin + query, end);
    dout.load(a, a.dout, width, head, at.begin + query, end);
    out.load(a, a.out, width, head, at.begin + query, end);
    dq.clear();
    float lse[2], delta[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        size_t row = (size_t)head * a.query_rows + at.begin + query + 8 * half;
        bool exists = query + 8 * half < at.length;
        lse[half] = exists ? a.lse[row] : 0.0f;
        delta[half] = half_delta(dout, out, half);
        if (exists && pair == 0)
            a.delta[row] = delta[half];
    }
    for (int key = at.first_key / KEYS * KEYS; key < at.length; key += KEYS) {
        __syncthreads(); /* the tiles before were read */
        load_half_tile<COLUMNS, KEYS>(a, a.k, a.kv_stride, head, at.begin + key, end, key_rows,
                                      key_pairs);
        load_half_tile<COLUMNS, KEYS>(a, a.v, a.kv_stride, head, at.begin + key, end, values, 0);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < KEYS; i += 8) {
            float s[4], ds[4], m[4];
            q.multiply(key_rows, i, s);
            dout.multiply(values, i, ds);
            dropout_of_queries(a, at, dropout, query, key + i, m);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int own_key = key + i + pair * 2 + j % 2;
                bool counts =
                    query + j / 2 * 8 < at.length && own_key >= at.first_key && own_key < at.length;
                float p = counts ? expf(a.scale * s[j] - lse[j / 2]) : 0.0f;
                ds[j] = p * (m[j] * ds[j] - delta[j / 2]);
            }
            dq.add(ds, key_pairs, i);
        }
    }
    dq.store(a, a.dq, a.q_stride, head, at.begin + query, end, a.scale, a.scale);
}

/* Here rows are keys, and queries are gone over. */
template <int COLUMNS> __device__ inline void attention_tensor_dkdv(const ft_attention_arguments &a)
{
    const int QUERIES = 32;
    typedef attention_half_tile<COLUMNS, QUERIES> query_tile;
    __shared__ __align__(16) unsigned q_rows[query_tile::ROW_WORDS];
    __shared__ __align__(16) unsigned q_pairs[query_tile::PAIR_WORDS];
    __shared__ __align__(16) unsigned dout_rows[query_tile::ROW_WORDS];
    __shared__ __align__(16) unsigned dout_pairs[query_tile::PAIR_WORDS];
    __shared__ float lse[QUERIES], delta[QUERIES];
    attention_place at;
    int first_key;
    if (!take_tile(a, FT_ATTENTION_TENSOR_ROWS, a.dk, a.dv, a.kv_stride, at, first_key))
        return;
    int head = at.head, end = at.begin + at.length;

    ft_cuda_dropout dropout = *a.dropout;
    int lane = threadIdx.x % FT_WARP, pair = lane % 4;
    int warp_key = first_key + threadIdx.x / FT_WARP * 16, key = warp_key + lane / 4;
    attention_half_rows<COLUMNS> k, v;
    attention_half_sums<COLUMNS> dk, dv;
    k.load(a, a.k, a.kv_stride, head, at.begin + key, end);
    v.load(a, a.v, a.kv_stride, head, at.begin + key, end);
    dk.clear();
    dv.clear();
    /* Where all its keys are masked the tile has no gradient. */
    int queries = first_key + FT_ATTENTION_TENSOR_ROWS > at.first_key ? at.length : 0;
    for (int query = 0; query < queries; query += QUERIES) {
        __syncthreads(); /* the tiles before were read */
        load_half_tile<COLUMNS, QUERIES>(a, a.q, a.q_stride, head, at.begin + query, end, q_rows,
                                         q_pairs);
        load_half_tile<COLUMNS, QUERIES>(a, a.dout, a.heads * a.head_dim, head, at.begin + query,
                                         end, dout_rows, dout_pairs);
        if (threadIdx.x < QUERIES) {
            bool exists = query + (int)threadIdx.x < at.length;
            size_t row = (size_t)head * a.query_rows + at.begin + query + threadIdx.x;
            lse[threadIdx.x] = exists ? a.lse[row] : 0.0f;
            delta[threadIdx.x] = exists ? a.delta[row] : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < QUERIES; i += 8) {
            float pm[4], ds[4], m[4];
            k.multiply(q_rows, i, pm);
            v.multiply(dout_rows, i, ds);
            dropout_of_keys(a, at, dropout, query + i, warp_key, m);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int own = i + pair * 2 + j % 2, own_key = key + j / 2 * 8;
                bool counts =
                    query + own < at.length && own_key >= at.first_key && own_key < at.length;
                float p = counts ? expf(a.scale * pm[j] - lse[own]) : 0.0f;
                pm[j] = p * m[j];
                ds[j] = p * (m[j] * ds[j] - delta[own]);
            }
            dv.add(pm, dout_pairs, i);
            dk.add(ds, q_pairs, i);
        }
    }
    dk.store(a, a.dk, a.kv_stride, head, at.begin + key, end, a.scale, a.scale);
    dv.store(a, a.dv, a.kv_stride, head, at.begin + key, end, 1.0f, 1.0f);
}

#endif
