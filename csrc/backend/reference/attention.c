/* Each query's probabilities are computed once to get the log of their denominator, and again,
 * from it, wherever they are needed: nothing of [length, length] is stored. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/dropout.h"
#include "backend/precision.h"
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

static float dot(ft_precision precision, size_t n, const void *a, size_t a_at, const void *b,
                 size_t b_at)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ft_load(precision, a, a_at + i) * ft_load(precision, b, b_at + i);
    return sum;
}

/* Where a head's columns of a row begin. */
static size_t q_at(const ft_attention *a, int32_t head, size_t row)
{
    return row * a->q_stride + (size_t)head * a->head_dim;
}

static size_t kv_at(const ft_attention *a, int32_t head, size_t row)
{
    return row * a->kv_stride + (size_t)head * a->head_dim;
}

static size_t out_at(const ft_attention *a, int32_t head, size_t row)
{
    return (row * a->heads + head) * a->head_dim;
}

static float score(const ft_attention *a, int32_t head, query at, size_t j)
{
    float scale = 1.0f / sqrtf((float)a->head_dim);
    return scale * dot(a->precision, a->head_dim, a->q, q_at(a, head, at.row), a->k,
                       kv_at(a, head, at.first_key + j));
}

/* scratch: scores [keys], out [head_dim] */
static void forward_query(const ft_attention *a, int32_t head, query at, float *scratch)
{
    size_t d = a->head_dim;
    float *scores = scratch, *out = scratch + at.keys, maximum = -INFINITY, sum = 0;
    for (size_t j = 0; j < at.keys; j++) {
        scores[j] = score(a, head, at, j);
        maximum = fmaxf(maximum, scores[j]);
    }
    for (size_t j = 0; j < at.keys; j++)
        sum += expf(scores[j] - maximum);
    a->lse[head * query_rows(a) + at.row] = maximum + logf(sum);
    memset(out, 0, d * sizeof *out);
    for (size_t j = 0; j < at.keys; j++) {
        float p = expf(scores[j] - maximum) / sum;
        p *= ft_dropout_factor(&a->dropout, at.element + at.key_offset + j);
        for (size_t i = 0; i < d; i++)
            out[i] += p * ft_load(a->precision, a->v, kv_at(a, head, at.first_key + j) + i);
    }
    for (size_t i = 0; i < d; i++)
        ft_store(a->precision, a->out, out_at(a, head, at.row) + i, out[i]);
}

/* With p the probabilities, m the dropout factors and dp = m * (dout v^T):
 * dv += (p m)^T dout;  ds = p * (dp - sum(p dp));  dq = scale * ds k;  dk += scale * ds^T q.
 * dk and dv [keys, head_dim]; scratch: dp [keys], dq [head_dim]. */
static void backward_query(const ft_attention *a, const ft_attention_gradient *g, int32_t head,
                           query at, float *dk, float *dv, float *scratch)
{
    ft_precision precision = a->precision;
    size_t d = a->head_dim, q = q_at(a, head, at.row), dout = out_at(a, head, at.row);
    float *dp = scratch, *dq = scratch + at.keys;
    float scale = 1.0f / sqrtf((float)d), lse = a->lse[head * query_rows(a) + at.row];
    float sum = 0;
    for (size_t j = 0; j < at.keys; j++) {
        float p = expf(score(a, head, at, j) - lse);
        float m = ft_dropout_factor(&a->dropout, at.element + at.key_offset + j);
        dp[j] = m * dot(precision, d, g->dout, dout, a->v, kv_at(a, head, at.first_key + j));
        sum += p * dp[j];
        for (size_t i = 0; i < d; i++)
            dv[j * d + i] += p * m * ft_load(precision, g->dout, dout + i);
    }
    memset(dq, 0, d * sizeof *dq);
    for (size_t j = 0; j < at.keys; j++) {
        float p = expf(score(a, head, at, j) - lse);
        float ds = scale * p * (dp[j] - sum);
        for (size_t i = 0; i < d; i++) {
            dq[i] += ds * ft_load(precision, a->k, kv_at(a, head, at.first_key + j) + i);
            dk[j * d + i] += ds * ft_load(precision, a->q, q + i);
        }
    }
    for (size_t i = 0; i < d; i++)
        ft_store(precision, g->dq, q + i, dq[i]);
}

/* One head of one sequence: forward (g NULL) or backward. scratch: dk and dv, summed over queries,
 * and what a query needs. */
static void each_query(const ft_attention *a, const ft_attention_gradient *g, int32_t s,
                       int32_t head, float *scratch)
{
    const ft_layout *l = a->layout;
    size_t begin = l->cu_seqlens[s], end = a->first_only ? begin + 1 : (size_t)l->cu_seqlens[s + 1];
    query first = query_at(a, s, begin, head);
    size_t d = a->head_dim, count = first.keys * d;
    float *dk = scratch, *dv = scratch + count;
    if (g)
        memset(scratch, 0, 2 * count * sizeof *scratch);
    for (size_t row = begin; row < end; row++) {
        query at = query_at(a, s, row, head);
        if (g)
            backward_query(a, g, head, at, dk, dv, scratch + 2 * count);
        else
            forward_query(a, head, at, scratch);
    }
    for (size_t e = 0; g && e < count; e++) {
        size_t at = kv_at(a, head, first.first_key + e / d) + e % d;
        ft_store(a->precision, g->dk, at, dk[e]);
        ft_store(a->precision, g->dv, at, dv[e]);
    }
}

static ft_status each_head(const ft_attention *a, const ft_attention_gradient *g)
{
    const ft_layout *l = a->layout;
    size_t d = a->head_dim, length = l->max_length;
    float *scratch = malloc((length * (2 * d + 1) + d) * sizeof *scratch);
    FT_RETURN_IF(scratch == NULL, FT_ERROR_MEMORY, "cannot allocate attention's scratch");
    for (int32_t s = 0; s < l->sequences; s++)
        for (int32_t head = 0; head < a->heads; head++)
            each_query(a, g, s, head, scratch);
    free(scratch);
    return FT_OK;
}

static void zero_strided(ft_precision precision, void *x, size_t rows, size_t width, size_t stride)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i++)
            ft_store(precision, x, r * stride + i, 0.0f);
}

ft_status ft_reference_attention_forward(ft_backend *backend, const ft_attention *a)
{
    (void)backend;
    size_t width = (size_t)a->heads * a->head_dim;
    zero_strided(a->precision, a->out, query_rows(a), width, width);
    return each_head(a, NULL);
}

ft_status ft_reference_attention_backward(ft_backend *backend, const ft_attention *a,
                                          const ft_attention_gradient *g)
{
    (void)backend;
    size_t width = (size_t)a->heads * a->head_dim;
    zero_strided(a->precision, g->dq, query_rows(a), width, a->q_stride);
    zero_strided(a->precision, g->dk, a->layout->rows, width, a->kv_stride);
    zero_strided(a->precision, g->dv, a->layout->rows, width, a->kv_stride);
    return each_head(a, g);
}
