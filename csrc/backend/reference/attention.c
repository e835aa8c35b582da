/* Each query's probabilities are computed once to get the log of their denominator, and again,
 * from it, wherever they are needed: nothing of [length, length] is stored. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/dropout.h"
#include "backend/reference/reference.h"

/* One query of one head: its row among q and out, and the packed rows it attends to. */
typedef struct query {
    size_t row;       /* among q's rows */
    uint64_t element; /* dropout's index of its key at cu_seqlens[s] */
    size_t first_key, keys;
    size_t key_offset; /* first_key - cu_seqlens[s] */
} query;

static size_t query_rows(const ft_attention *a)
{
    return a->first_only ? a->layout->sequences : a->layout->rows;
}

static query query_at(const ft_attention *a, int32_t s, size_t packed_row, int32_t head)
{
    const ft_layout *l = a->layout;
    return (query){
        .row = a->first_only ? (size_t)s : packed_row,
        .element = ((uint64_t)packed_row * a->heads + head) << 16,
        .first_key = l->key_starts[s],
        .keys = l->cu_seqlens[s + 1] - l->key_starts[s],
        .key_offset = l->key_starts[s] - l->cu_seqlens[s],
    };
}

static float dot(size_t n, const float *a, const float *b)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void forward_query(const ft_attention *a, int32_t head, query at, float *scores)
{
    size_t d = a->head_dim, column = head * d;
    const float *q = (const float *)a->q + at.row * a->q_stride + column;
    const float *k = (const float *)a->k + at.first_key * a->kv_stride + column;
    const float *v = (const float *)a->v + at.first_key * a->kv_stride + column;
    float *out = (float *)a->out + at.row * a->heads * d + column;
    float scale = 1.0f / sqrtf((float)d), maximum = -INFINITY, sum = 0;
    for (size_t j = 0; j < at.keys; j++) {
        scores[j] = scale * dot(d, q, k + j * a->kv_stride);
        maximum = fmaxf(maximum, scores[j]);
    }
    for (size_t j = 0; j < at.keys; j++)
        sum += expf(scores[j] - maximum);
    float lse = maximum + logf(sum);
    a->lse[head * query_rows(a) + at.row] = lse;
    memset(out, 0, d * sizeof *out);
    for (size_t j = 0; j < at.keys; j++) {
        float p = expf(scores[j] - maximum) / sum;
        p *= ft_dropout_factor(&a->dropout, at.element + at.key_offset + j);
        for (size_t i = 0; i < d; i++)
            out[i] += p * v[j * a->kv_stride + i];
    }
}

/* With p the probabilities, m the dropout factors and dp = m * (dout v^T):
 * dv += (p m)^T dout;  ds = p * (dp - sum(p dp));  dq = scale * ds k;  dk += scale * ds^T q. */
static void backward_query(const ft_attention *a, const ft_attention_gradient *g, int32_t head,
                           query at, float *dp)
{
    size_t d = a->head_dim, column = head * d;
    size_t q_at = at.row * a->q_stride + column, kv_at = at.first_key * a->kv_stride + column;
    const float *q = (const float *)a->q + q_at, *k = (const float *)a->k + kv_at;
    const float *v = (const float *)a->v + kv_at;
    const float *dout = (const float *)g->dout + at.row * a->heads * d + column;
    float *dq = (float *)g->dq + q_at, *dk = (float *)g->dk + kv_at, *dv = (float *)g->dv + kv_at;
    float scale = 1.0f / sqrtf((float)d), lse = a->lse[head * query_rows(a) + at.row];
    float sum = 0;
    for (size_t j = 0; j < at.keys; j++) {
        float p = expf(scale * dot(d, q, k + j * a->kv_stride) - lse);
        float m = ft_dropout_factor(&a->dropout, at.element + at.key_offset + j);
        dp[j] = m * dot(d, dout, v + j * a->kv_stride);
        sum += p * dp[j];
        for (size_t i = 0; i < d; i++)
            dv[j * a->kv_stride + i] += p * m * dout[i];
    }
    for (size_t j = 0; j < at.keys; j++) {
        float p = expf(scale * dot(d, q, k + j * a->kv_stride) - lse);
        float ds = scale * p * (dp[j] - sum);
        for (size_t i = 0; i < d; i++) {
            dq[i] += ds * k[j * a->kv_stride + i];
            dk[j * a->kv_stride + i] += ds * q[i];
        }
    }
}

/* Runs forward (g NULL) or backward over every head of every query. */
static ft_status each_query(const ft_attention *a, const ft_attention_gradient *g)
{
    const ft_layout *l = a->layout;
    float *scratch = malloc((size_t)(l->max_length + 1) * sizeof *scratch);
    FT_RETURN_IF(scratch == NULL, FT_ERROR_MEMORY, "cannot allocate attention's scratch");
    for (int32_t s = 0; s < l->sequences; s++) {
        size_t begin = l->cu_seqlens[s],
               end = a->first_only ? begin + 1 : (size_t)l->cu_seqlens[s + 1];
        for (size_t row = begin; row < end; row++) {
            for (int32_t head = 0; head < a->heads; head++) {
                query at = query_at(a, s, row, head);
                if (g)
                    backward_query(a, g, head, at, scratch);
                else
                    forward_query(a, head, at, scratch);
            }
        }
    }
    free(scratch);
    return FT_OK;
}

static void zero_strided(void *x, size_t rows, size_t width, size_t stride)
{
    for (size_t r = 0; r < rows; r++)
        memset((float *)x + r * stride, 0, width * sizeof(float));
}

ft_status ft_reference_attention_forward(ft_backend *backend, const ft_attention *a)
{
    (void)backend;
    size_t width = (size_t)a->heads * a->head_dim;
    zero_strided(a->out, query_rows(a), width, width);
    return each_query(a, NULL);
}

ft_status ft_reference_attention_backward(ft_backend *backend, const ft_attention *a,
                                          const ft_attention_gradient *g)
{
    (void)backend;
    size_t width = (size_t)a->heads * a->head_dim;
    zero_strided(g->dq, query_rows(a), width, a->q_stride);
    zero_strided(g->dk, a->layout->rows, width, a->kv_stride);
    zero_strided(g->dv, a->layout->rows, width, a->kv_stride);
    return each_query(a, g);
}
