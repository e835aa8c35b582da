/* Attention backward, from the logarithm of each softmax's denominator. With p the probabilities, m
 * the dropout factors and dp = m * (dout v^T):
 *     delta = the sum of p dp = that of dout * out;   ds = scale * p * (dp - delta);
 *     dq = ds k;   dk = ds^T q;   dv = (p m)^T dout.
 * Two passes, so that each sum is one block's and has an order: one has a tile of queries and goes
 * over the keys, the other has a tile of keys and goes over the queries. */
#ifndef FT_BACKEND_CUDA_KERNELS_ATTENTION_BACKWARD_CUH
#define FT_BACKEND_CUDA_KERNELS_ATTENTION_BACKWARD_CUH

#include "attention_tiles.cuh"

/* What a pass has in shared memory. */
template <int COLUMNS> struct attention_backward_tiles {
    static const int QUERIES = FT_ATTENTION_BACKWARD_QUERIES(COLUMNS);
    static const int APART = FT_ATTENTION_BACKWARD_THREADS / 8;
    static const int OWN = QUERIES / APART;
    static const int PITCH = FT_ATTENTION_PITCH(COLUMNS);
    float *queries, *dout, *keys, *values, *scores;

    __device__ inline attention_backward_tiles(float *shared)
        : queries(shared), dout(queries + QUERIES * PITCH), keys(dout + QUERIES * PITCH),
          values(keys + FT_ATTENTION_KEYS * PITCH), scores(values + FT_ATTENTION_KEYS * PITCH)
    {
    }

    __device__ inline void load_queries(const ft_attention_arguments &a, const attention_place &at,
                                        int first)
    {
        int end = at.begin + at.length;
        load_tile<COLUMNS, QUERIES, false>(a, a.q, a.q_stride, at.head, at.begin + first, end,
                                           queries);
        load_tile<COLUMNS, QUERIES, false>(a, a.dout, a.heads * a.head_dim, at.head,
                                           at.begin + first, end, dout);
    }

    __device__ inline void load_keys(const ft_attention_arguments &a, const attention_place &at,
                                     int first)
    {
        int end = at.begin + at.length;
        load_tile<COLUMNS, FT_ATTENTION_KEYS, true>(a, a.k, a.kv_stride, at.head, at.begin + first,
                                                    end, keys);
        load_tile<COLUMNS, FT_ATTENTION_KEYS, true>(a, a.v, a.kv_stride, at.head, at.begin + first,
                                                    end, values);
    }

    /* Of this thread's queries and keys: p m and ds; zeros where there is no such query or key. */
    __device__ inline void gradients(const ft_attention_arguments &a, const attention_place &at,
                                     const ft_cuda_dropout &dropout, int first_query, int first_key,
                                     const float (&lse)[OWN], const float (&delta)[OWN],
                                     float4 (&pm)[OWN], float4 (&ds)[OWN])
    {
        int row = threadIdx.x / 8, lane8 = threadIdx.x % 8, key = first_key + lane8 * 4;
        float s[OWN][4], dp[OWN][4];
        dot_rows<COLUMNS, OWN>(queries, row, APART, keys, lane8, s);
        dot_rows<COLUMNS, OWN>(dout, row, APART, values, lane8, dp);
#pragma unroll
        for (int i = 0; i < OWN; i++) {
            int query = first_query + row + i * APART;
            float4 four = ft_dropout_factors(dropout, dropout_quad(a, at, query, key));
            float m[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
            for (int j = 0; j < 4; j++) {
                bool counts = query < at.length && key + j >= at.first_key && key + j < at.length;
                float p = counts ? expf(a.scale * s[i][j] - lse[i]) : 0.0f;
                s[i][j] = p * m[j];
                dp[i][j] = a.scale * p * (m[j] * dp[i][j] - delta[i]);
            }
            pm[i] = make_float4(s[i][0], s[i][1], s[i][2], s[i][3]);
            ds[i] = make_float4(dp[i][0], dp[i][1], dp[i][2], dp[i][3]);
        }
    }
};

/* The sum of dout * out over a row, of which each of eight threads gets the whole. */
template <int COLUMNS>
__device__ inline float delta_of(const ft_attention_arguments &a, size_t row, int head, bool exists)
{
    int lane8 = threadIdx.x % 8;
    size_t at = row * a.heads * a.head_dim + (size_t)head * a.head_dim;
    float sum = 0.0f;
    if (exists) {
#pragma unroll
        for (int c = 0; c < COLUMNS / 32; c++)
            sum = dot4(load_columns(a, a.dout, at, c * 32 + lane8 * 4),
                       load_columns(a, a.out, at, c * 32 + lane8 * 4), sum);
    }
    return sum_of_eight(sum);
}

template <int COLUMNS> __device__ inline void attention_dq(const ft_attention_arguments &a)
{
    typedef attention_backward_tiles<COLUMNS> tiles_type;
    const int OWN = tiles_type::OWN, APART = tiles_type::APART;
    FT_DYNAMIC_SHARED(float, shared);
    tiles_type tiles(shared);
    attention_place at;
    int first;
    if (!take_tile(a, tiles_type::QUERIES, a.dq, nullptr, a.q_stride, at, first))
        return;
    int head = at.head;

    ft_cuda_dropout dropout = *a.dropout;
    int row = threadIdx.x / 8, lane8 = threadIdx.x % 8;
    float lse[OWN], delta[OWN];
    float4 sums[OWN][COLUMNS / 32];
#pragma unroll
    for (int i = 0; i < OWN; i++) {
        int query = first + row + i * APART;
        bool exists = query < at.length;
        size_t lse_at = (size_t)head * a.query_rows + at.begin + query;
        lse[i] = exists ? a.lse[lse_at] : 0.0f;
        delta[i] = delta_of<COLUMNS>(a, (size_t)(at.begin + query), head, exists);
        if (exists && lane8 == 0)
            a.delta[lse_at] = delta[i];
#pragma unroll
        for (int c = 0; c < COLUMNS / 32; c++)
            sums[i][c] = ft_none<float4>();
    }

    tiles.load_queries(a, at, first);
    for (int key = at.first_key / FT_ATTENTION_KEYS * FT_ATTENTION_KEYS; key < at.length;
         key += FT_ATTENTION_KEYS) {
        __syncthreads(); /* the tiles before were read */
        tiles.load_keys(a, at, key);
        __syncthreads();
        float4 pm[OWN], ds[OWN];
        tiles.gradients(a, at, dropout, first, key, lse, delta, pm, ds);
#pragma unroll
        for (int i = 0; i < OWN; i++)
            *(float4 *)(tiles.scores + (row + i * APART) * FT_ATTENTION_PITCH(FT_ATTENTION_KEYS) +
                        lane8 * 4) = ds[i];
        __syncwarp(); /* a row of ds is that of threads of one warp */
        add_keys<COLUMNS, OWN, true>(tiles.scores, row, APART, tiles.keys, lane8, sums);
    }
#pragma unroll
    for (int i = 0; i < OWN; i++) {
        int query = first + row + i * APART;
        if (query >= at.length)
            continue;
#pragma unroll
        for (int c = 0; c < COLUMNS / 32; c++)
            store_columns(a, a.dq,
                          (size_t)(at.begin + query) * a.q_stride + (size_t)head * a.head_dim,
                          c * 32 + lane8 * 4, sums[i][c]);
    }
}

/* Here a thread ends up with two neighbouring keys, and of them four columns in every 32. */
template <int COLUMNS> __device__ inline void attention_dkdv(const ft_attention_arguments &a)
{
    typedef attention_backward_tiles<COLUMNS> tiles_type;
    const int OWN = tiles_type::OWN, APART = tiles_type::APART, QUERIES = tiles_type::QUERIES;
    const int SCORES = FT_ATTENTION_PITCH(FT_ATTENTION_KEYS), CHUNKS = COLUMNS / 32;
    static_assert(FT_ATTENTION_BACKWARD_THREADS / 8 * 2 == FT_ATTENTION_KEYS, "two keys a thread");
    FT_DYNAMIC_SHARED(float, shared);
    tiles_type tiles(shared);
    float *ds_tile = tiles.scores, *pm_tile = ds_tile + QUERIES * SCORES;
    attention_place at;
    int first_key;
    if (!take_tile(a, FT_ATTENTION_KEYS, a.dk, a.dv, a.kv_stride, at, first_key))
        return;
    int head = at.head;

    ft_cuda_dropout dropout = *a.dropout;
    int row = threadIdx.x / 8, lane8 = threadIdx.x % 8, own_key = row * 2;
    float4 dk[2][CHUNKS], dv[2][CHUNKS];
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int c = 0; c < CHUNKS; c++)
            dk[i][c] = dv[i][c] = ft_none<float4>();

    tiles.load_keys(a, at, first_key);
    /* Where all its keys are masked the tile has no gradient. */
    int queries = first_key + FT_ATTENTION_KEYS > at.first_key ? at.length : 0;
    for (int first = 0; first < queries; first += QUERIES) {
        float lse[OWN], delta[OWN];
#pragma unroll
        for (int i = 0; i < OWN; i++) {
            int query = first + row + i * APART;
            size_t lse_at = (size_t)head * a.query_rows + at.begin + query;
            lse[i] = query < at.length ? a.lse[lse_at] : 0.0f;
            delta[i] = query < at.length ? a.delta[lse_at] : 0.0f;
        }
        __syncthreads(); /* the tiles before were read */
        tiles.load_queries(a, at, first);
        __syncthreads();
        float4 pm[OWN], ds[OWN];
        tiles.gradients(a, at, dropout, first, first_key, lse, delta, pm, ds);
#pragma unroll
        for (int i = 0; i < OWN; i++) {
            *(float4 *)(ds_tile + (row + i * APART) * SCORES + lane8 * 4) = ds[i];
            *(float4 *)(pm_tile + (row + i * APART) * SCORES + lane8 * 4) = pm[i];
        }
        __syncthreads();
#pragma unroll 4
        for (int query = 0; query < QUERIES; query++) {
            float2 s = *(const float2 *)(ds_tile + query * SCORES + own_key);
            float2 p = *(const float2 *)(pm_tile + query * SCORES + own_key);
#pragma unroll
            for (int c = 0; c < CHUNKS; c++) {
                int from = query * tiles_type::PITCH + c * 32 + lane8 * 4;
                float4 q = *(const float4 *)(tiles.queries + from);
                float4 o = *(const float4 *)(tiles.dout + from);
                add_scaled4(s.x, q, dk[0][c]);
                add_scaled4(s.y, q, dk[1][c]);
                add_scaled4(p.x, o, dv[0][c]);
                add_scaled4(p.y, o, dv[1][c]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int key = first_key + own_key + i;
        if (key >= at.length)
            continue;
        size_t to = (size_t)(at.begin + key) * a.kv_stride + (size_t)head * a.head_dim;
#pragma unroll
        for (int c = 0; c < CHUNKS; c++) {
            store_columns(a, a.dk, to, c * 32 + lane8 * 4, dk[i][c]);
            store_columns(a, a.dv, to, c * 32 + lane8 * 4, dv[i][c]);
        }
    }
}

#endif
