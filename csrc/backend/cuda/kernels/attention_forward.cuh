/* Attention forward, of tiles (Dao et al., "FlashAttention", 2022): the softmax over the keys that
 * were seen so far is corrected by each tile of keys, so no row of scores is ever whole. */
#ifndef FT_BACKEND_CUDA_KERNELS_ATTENTION_FORWARD_CUH
#define FT_BACKEND_CUDA_KERNELS_ATTENTION_FORWARD_CUH

#include "attention_tiles.cuh"

/* A row's softmax: the largest score, and this thread's part of the sum of exp(score - largest). */
struct attention_row {
    float largest, sum;
};

/* Four scores become probabilities, not yet divided by their sum. Returns what earlier keys' are to
 * be multiplied by. */
__device__ inline float continue_softmax(attention_row &row, float (&scores)[4])
{
    float largest = fmaxf(fmaxf(scores[0], scores[1]), fmaxf(scores[2], scores[3]));
    largest = fmaxf(row.largest, max_of_eight(largest));
    float correction = expf(row.largest - largest);
    row.largest = largest;
    row.sum *= correction;
#pragma unroll
    for (int j = 0; j < 4; j++) {
        scores[j] = expf(scores[j] - largest);
        row.sum += scores[j];
    }
    return correction;
}

template <int COLUMNS> __device__ inline void attention_forward(const ft_attention_arguments &a)
{
    const int QUERIES = FT_ATTENTION_FORWARD_QUERIES(COLUMNS);
    const int APART = FT_ATTENTION_FORWARD_THREADS / 8, OWN = QUERIES / APART;
    const int PITCH = FT_ATTENTION_PITCH(COLUMNS);
    FT_DYNAMIC_SHARED(float, shared);
    float *queries = shared, *keys = queries + QUERIES * PITCH;
    float *values = keys + FT_ATTENTION_KEYS * PITCH, *factors = values + FT_ATTENTION_KEYS * PITCH;

    int width = a.heads * a.head_dim;
    attention_place at;
    int first;
    if (!take_tile(a, QUERIES, a.out, nullptr, width, at, first))
        return;
    int head = at.head, end = at.begin + at.length;

    ft_cuda_dropout dropout = *a.dropout;
    int row = threadIdx.x / 8, lane8 = threadIdx.x % 8;
    attention_row rows[OWN];
    float4 sums[OWN][COLUMNS / 32];
#pragma unroll
    for (int i = 0; i < OWN; i++) {
        rows[i].largest = FT_NO_SCORE;
        rows[i].sum = 0.0f;
#pragma unroll
        for (int c = 0; c < COLUMNS / 32; c++)
            sums[i][c] = ft_none<float4>();
    }

    load_tile<COLUMNS, QUERIES, false>(a, a.q, a.q_stride, head, at.begin + first, end, queries);
    for (int key = at.first_key / FT_ATTENTION_KEYS * FT_ATTENTION_KEYS; key < at.length;
         key += FT_ATTENTION_KEYS) {
        __syncthreads(); /* the tiles before were read */
        load_tile<COLUMNS, FT_ATTENTION_KEYS, true>(a, a.k, a.kv_stride, head, at.begin + key, end,
                                                    keys);
        load_tile<COLUMNS, FT_ATTENTION_KEYS, false>(a, a.v, a.kv_stride, head, at.begin + key, end,
                                                     values);
        __syncthreads();
        float scores[OWN][4];
        dot_rows<COLUMNS, OWN>(queries, row, APART, keys, lane8, scores);
        int own_key = key + lane8 * 4;
#pragma unroll
        for (int i = 0; i < OWN; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                bool counts = own_key + j >= at.first_key && own_key + j < at.length;
                scores[i][j] = counts ? a.scale * scores[i][j] : FT_NO_SCORE;
            }
            float correction = continue_softmax(rows[i], scores[i]);
            int query = row + i * APART;
            float4 f = ft_dropout_factors(dropout, dropout_quad(a, at, first + query, own_key));
            *(float4 *)(factors + query * FT_ATTENTION_PITCH(FT_ATTENTION_KEYS) + lane8 * 4) =
                make_float4(scores[i][0] * f.x, scores[i][1] * f.y, scores[i][2] * f.z,
                            scores[i][3] * f.w);
#pragma unroll
            for (int c = 0; c < COLUMNS / 32; c++)
                sums[i][c] = sums[i][c] * correction;
        }
        __syncwarp(); /* a row's factors are those of threads of one warp */
        add_keys<COLUMNS, OWN, false>(factors, row, APART, values, lane8, sums);
    }

#pragma unroll
    for (int i = 0; i < OWN; i++) {
        int query = first + row + i * APART;
        float sum = sum_of_eight(rows[i].sum);
        if (query >= at.length)
            continue;
        size_t out_row = (size_t)(at.begin + query);
        if (lane8 == 0)
            a.lse[(size_t)head * a.query_rows + out_row] = rows[i].largest + logf(sum);
        float factor = 1.0f / sum;
#pragma unroll
        for (int c = 0; c < COLUMNS / 32; c++) {
            store_columns(a, a.out, out_row * width + (size_t)head * a.head_dim, c * 32 + lane8 * 4,
                          sums[i][c] * factor);
        }
    }
}

#endif
