/* Each query's probabilities are computed once to get the log of their denominator, and again,
 * from it, wherever they are needed: nothing of [length, length] is stored. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/dropout.h"
#include "backend/precision.h"
#include "backend/reference/reference.h"

/* One query of one head: where its columns begin among the elements of each operand. */
typedef struct query {
    size_t q, out, lse;
    size_t kv;        /* of its first key; those of the next are kv_stride on */
    size_t keys;      /* how many */
    uint64_t element; /* dropout's index of the first key */
} query;

static size_t query_rows(const ft_attention *a)
{
    return a->first_only ? a->layout->sequences : a->layout->rows;
}

static query query_at(const ft_attention *a, int32_t s, int32_t head, size_t packed_row)
{
    const ft_layout *l = a->layout;
    size_t row = a->first_only ? (size_t)s : packed_row, column = (size_t)head * a->head_dim;
    size_t first_key = l->key_starts[s];
    return (query){
        .q = row * a->q_stride + column,
        .out = row * a->heads * a->head_dim + column,
        .lse = head * query_rows(a) + row,
        .kv = first_key * a->kv_stride + column,
        .keys = l->cu_seqlens[s + 1] - first_key,
        .element = (((uint64_t)packed_row * a->heads + head) << 16) + first_key - l->cu_seqlens[s],
    };
}

/* The packed row behind the last whose query counts. */
static size_t queries_end(const ft_attention *a, int32_t s)
{
    return a->first_only ? a->layout->cu_seqlens[s] + 1 : a->layout->cu_seqlens[s + 1];
}

static float dot(ft_precision precision, size_t n, const void *a, size_t a_at, const void *b,
                 size_t b_at)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ft_load(precision, a, a_at + i) * ft_load(precision, b, b_at + i);
    return sum;
}

/* to += factor * x[at...] */
static void add_scaled(ft_precision precision, size_t n, float factor, const void *x, size_t at,
                       float *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] += factor * ft_load(precision, x, at + i);
}

static void store(ft_precision precision, size_t n, const float *from, void *x, size_t at)
{
    for (size_t i = 0; i < n; i++)
        ft_store(precision, x, at + i, from[i]);
}

static float score(const ft_attention *a, query at, size_t j)
{
    float scale = 1.0f / sqrtf((float)a->head_dim);
    return scale * dot(a->precision, a->head_dim, a->q, at.q, a->k, at.kv + j * a->kv_stride);
}

/* scratch: scores [keys], out [head_dim] */
static void forward_query(const ft_attention *a, query at, float *scratch)
{
    size_t d = a->head_dim;
    float *scores = scratch, *out = scratch + at.keys, maximum = -INFINITY, sum = 0;
    for (size_t j = 0; j < at.keys; j++) {
        scores[j] = score(a, at, j);
        maximum = fmaxf(maximum, scores[j]);
    }
    for (size_t j = 0; j < at.keys; j++)
        sum += expf(scores[j] - maximum);
    a->lse[at.lse] = maximum + logf(sum);
    memset(out, 0, d * sizeof *out);
    for (size_t j = 0; j < at.keys; j++) {
        float p = expf(scores[j] - maximum) / sum;
        p *= ft_dropout_factor(&a->dropout, at.element + j);
        add_scaled(a->precision, d, p, a->v, at.kv + j * a->kv_stride, out);
    }
    store(a->precision, d, out, a->out, at.out);
}

/* With p the probabilities, m the dropout factors and dp = m * (dout v^T):
 * dv += (p m)^T dout;  ds = p * (dp - sum(p dp));  dq = scale * ds k;  dk += scale * ds^T q.
 * dk, dv [keys, head_dim]; scratch: dp [keys], dq [head_dim]. */
static void backward_query(const ft_attention *a, const ft_attention_gradient *g, query at,
                           float *dk, float *dv, float *scratch)
{
    size_t d = a->head_dim;
    float *dp = scratch, *dq = scratch + at.keys;
    float scale = 1.0f / sqrtf((float)d), lse = a->lse[at.lse], sum = 0;
    for (size_t j = 0; j < at.keys; j++) {
        float p = expf(score(a, at, j) - lse);
        float m = ft_dropout_factor(&a->dropout, at.element + j);
        dp[j] = m * dot(a->precision, d, g->dout, at.out, a->v, at.kv + j * a->kv_stride);
        sum += p * dp[j];
        add_scaled(a->precision, d, p * m, g->dout, at.out, dv + j * d);
    }
    memset(dq, 0, d * sizeof *dq);
    for (size_t j = 0; j < at.keys; j++) {
        float p = expf(score(a, at, j) - lse);
        float ds = scale * p * (dp[j] - sum);
        add_scaled(a->precision, d, ds, a->k, at.kv + j * a->kv_stride, dq);
        add_scaled(a->precision, d, ds, a->q, at.q, dk + j * d);
    }
    store(a->precision, d, dq, g->dq, at.q);
}

static void forward_head(const ft_attention *a, int32_t s, int32_t head, float *scratch)
{
    for (size_t row = a->layout->cu_seqlens[s]; row < queries_end(a, s); row++)
        forward_query(a, query_at(a, s, head, row), scratch);
}

/* scratch: dk and dv, which are sums over the queries, then what a query needs. */
static void backward_head(const ft_attention *a, const ft_attention_gradient *g, int32_t s,
                          int32_t head, float *scratch)
{
    size_t d = a->head_dim, begin = a->layout->cu_seqlens[s];
    query first = query_at(a, s, head, begin);
    float *dk = scratch, *dv = dk + first.keys * d, *rest = dv + first.keys * d;
    memset(scratch, 0, 2 * first.keys * d * sizeof *scratch);
    for (size_t row = begin; row < queries_end(a, s); row++)
        backward_query(a, g, query_at(a, s, head, row), dk, dv, rest);
    for (size_t j = 0; j < first.keys; j++) {
        store(a->precision, d, dk + j * d, g->dk, first.kv + j * a->kv_stride);
        store(a->precision, d, dv + j * d, g->dv, first.kv + j * a->kv_stride);
    }
}

/* Runs forward (g NULL) or backward over every head of every sequence. */
static ft_status each_head(const ft_attention *a, const ft_attention_gradient *g)
{
    const ft_layout *l = a->layout;
    size_t d = a->head_dim, length = l->max_length;
    float *scratch = malloc((length * (2 * d + 1) + d) * sizeof *scratch);
    FT_RETURN_IF(scratch == NULL, FT_ERROR_MEMORY, "cannot allocate attention's scratch");
    for (int32_t s = 0; s < l->sequences; s++) {
        for (int32_t head = 0; head < a->heads; head++) {
            if (g)
                backward_head(a, g, s, head, scratch);
            else
                forward_head(a, s, head, scratch);
        }
    }
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
