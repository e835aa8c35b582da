/* One head of one sequence. Queries go in blocks, whose scores against all the keys stay in the
 * core's cache; no more of the [length, length] matrices exists at any time. */
#ifndef FT_BACKEND_CPU_KERNELS_ATTENTION_H
#define FT_BACKEND_CPU_KERNELS_ATTENTION_H

#include <math.h>

#include "backend/cpu/kernels/functions.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/product.h"
#include "backend/cpu/kernels/random.h"

/* Queries at a time: multiples of the product's tile. Backward takes more, because dk and dv are
 * read and written once a block. */
enum { FT_FORWARD_QUERIES = 24, FT_BACKWARD_QUERIES = 48 };

/* Where a head of a sequence lies. */
typedef struct head_span {
    int32_t start;      /* first packed row of the sequence */
    int32_t key_start;  /* first packed row that is a key */
    int32_t keys;       /* how many there are */
    int32_t query;      /* first row of q, out and lse */
    int32_t queries;    /* how many there are */
    int32_t query_rows; /* rows of q, out and lse */
    size_t column;      /* first column of the head */
} head_span;

static head_span span_of(const ft_attention *a, int32_t sequence, int32_t head)
{
    const ft_layout *l = a->layout;
    int32_t start = l->cu_seqlens[sequence], end = l->cu_seqlens[sequence + 1];
    return (head_span){
        .start = start,
        .key_start = l->key_starts[sequence],
        .keys = end - l->key_starts[sequence],
        .query = a->first_only ? sequence : start,
        .queries = a->first_only ? 1 : end - start,
        .query_rows = a->first_only ? l->sequences : l->rows,
        .column = (size_t)head * (size_t)a->head_dim,
    };
}

/* Dropout's factors of one query's keys, for whole vectors of them, in buffer (that has slack on
 * both sides); NULL where nothing is dropped. */
static const float *key_factors(const ft_attention *a, const head_span *s, int32_t head,
                                int32_t query, float *buffer)
{
    if (a->dropout.p == 0)
        return NULL;
    uint64_t row = (uint64_t)(s->start + query);
    uint64_t first = (row * (uint64_t)a->heads + (uint64_t)head) * 65536u;
    dropout_factors(&a->dropout, first + (uint64_t)(s->key_start - s->start),
                    whole_vectors((size_t)s->keys), buffer);
    return buffer;
}

static size_t attention_scratch(int32_t head_dim, int32_t length, bool backward)
{
    size_t width = whole_vectors((size_t)length);
    size_t queries = backward ? 2 * FT_BACKWARD_QUERIES : FT_FORWARD_QUERIES;
    return ((backward ? 2 : 1) * (size_t)head_dim + queries + 1) * width + 2 * FT_FACTORS_SLACK;
}

static void zero_rows_of_head(float *x, int32_t rows, size_t row, int32_t head_dim)
{
    for (int32_t r = 0; r < rows; r++)
        memset(x + (size_t)r * row, 0, (size_t)head_dim * sizeof *x);
}

/* row [width]: exp(scale * (score - largest)), the columns from `keys` on 0. Returns the sum. */
static float exponentiate(float *row, size_t keys, size_t width, float scale, float *largest)
{
    for (size_t j = keys; j < width; j++)
        row[j] = -INFINITY;
    ft_vf most = load(row);
    for (size_t j = FT_LANES; j < width; j += FT_LANES)
        most = maximum(most, load(row + j));
    *largest = maximum_of_lanes(most);
    ft_vf total = {0};
    for (size_t j = 0; j < width; j += FT_LANES) {
        ft_vf e = exponential((load(row + j) - *largest) * scale);
        store(row + j, e);
        total += e;
    }
    return sum_of_lanes(total);
}

static void attention_forward(const ft_attention *a, int32_t sequence, int32_t head, float *scratch)
{
    const head_span s = span_of(a, sequence, head);
    const size_t q_row = (size_t)a->q_stride, kv_row = (size_t)a->kv_stride;
    const size_t out_row = (size_t)a->heads * (size_t)a->head_dim;
    const float *q = (const float *)a->q + (size_t)s.query * q_row + s.column;
    const float *k = (const float *)a->k + (size_t)s.key_start * kv_row + s.column;
    const float *v = (const float *)a->v + (size_t)s.key_start * kv_row + s.column;
    float *out = (float *)a->out + (size_t)s.query * out_row + s.column;
    float *lse = a->lse + (size_t)head * (size_t)s.query_rows + s.query;
    const float scale = 1.0f / sqrtf((float)a->head_dim);
    const size_t width = whole_vectors((size_t)s.keys);

    float *keys = scratch;                              /* [head_dim, width] */
    float *scores = keys + (size_t)a->head_dim * width; /* [FT_FORWARD_QUERIES, width] */
    float *factors = scores + FT_FORWARD_QUERIES * width + FT_FACTORS_SLACK; /* [width] */

    if (s.keys <= 0) {
        zero_rows_of_head(out, s.queries, out_row, a->head_dim);
        for (int32_t i = 0; i < s.queries; i++)
            lse[i] = -INFINITY;
        return;
    }
    transpose(s.keys, a->head_dim, k, kv_row, keys, width);
    for (int32_t first = 0; first < s.queries; first += FT_FORWARD_QUERIES) {
        int n = s.queries - first < FT_FORWARD_QUERIES ? s.queries - first : FT_FORWARD_QUERIES;
        product(n, (int)width, (size_t)a->head_dim,
                (left_operand){q + (size_t)first * q_row, q_row, 1}, keys, width, scores, width,
                false);
        for (int i = 0; i < n; i++) {
            float *row = scores + (size_t)i * width, largest;
            float total = exponentiate(row, (size_t)s.keys, width, scale, &largest);
            lse[first + i] = largest * scale + logf(total);
            const float *kept = key_factors(a, &s, head, first + i, factors);
            float inverse = 1.0f / total;
            for (size_t j = 0; j < width; j += FT_LANES) {
                ft_vf p = load(row + j) * inverse;
                if (kept)
                    p *= load(kept + j);
                store(row + j, p);
            }
        }
        product(n, a->head_dim, (size_t)s.keys, (left_operand){scores, width, 1}, v, kv_row,
                out + (size_t)first * out_row, out_row, false);
    }
}

/* scores become ds = p (kept dp - sum(p kept dp)) scale, dp becomes p kept: what dq and dk, and dv,
 * are products of. p = exp(scale * score - lse). */
static void score_gradient(float *scores, float *dp, size_t keys, size_t width, float scale,
                           float lse, const float *kept)
{
    for (size_t j = keys; j < width; j++)
        scores[j] = -INFINITY;
    ft_vf total = {0};
    for (size_t j = 0; j < width; j += FT_LANES) {
        ft_vf p = exponential(load(scores + j) * scale - lse);
        ft_vf d = load(dp + j);
        if (kept)
            d *= load(kept + j);
        store(scores + j, p);
        store(dp + j, d);
        total += p * d;
    }
    float sum = sum_of_lanes(total);
    for (size_t j = 0; j < width; j += FT_LANES) {
        ft_vf p = load(scores + j), d = load(dp + j);
        store(scores + j, p * (d - sum) * scale);
        if (kept)
            p *= load(kept + j);
        store(dp + j, p);
    }
}

static void attention_backward(const ft_attention *a, const ft_attention_gradient *g,
                               int32_t sequence, int32_t head, float *scratch)
{
    const head_span s = span_of(a, sequence, head);
    const size_t q_row = (size_t)a->q_stride, kv_row = (size_t)a->kv_stride;
    const size_t out_row = (size_t)a->heads * (size_t)a->head_dim;
    const size_t key_offset = (size_t)s.key_start * kv_row + s.column;
    const size_t query_offset = (size_t)s.query * q_row + s.column;
    const float *q = (const float *)a->q + query_offset;
    const float *k = (const float *)a->k + key_offset, *v = (const float *)a->v + key_offset;
    const float *dout = (const float *)g->dout + (size_t)s.query * out_row + s.column;
    float *dq = (float *)g->dq + query_offset;
    float *dk = (float *)g->dk + key_offset, *dv = (float *)g->dv + key_offset;
    const float *lse = a->lse + (size_t)head * (size_t)s.query_rows + s.query;
    const float scale = 1.0f / sqrtf((float)a->head_dim);
    const size_t width = whole_vectors((size_t)s.keys), depth = (size_t)a->head_dim;

    float *keys = scratch;                            /* [head_dim, width] */
    float *values = keys + depth * width;             /* [head_dim, width] */
    float *scores = values + depth * width;           /* [FT_BACKWARD_QUERIES, width] */
    float *dp = scores + FT_BACKWARD_QUERIES * width; /* [FT_BACKWARD_QUERIES, width] */
    float *factors = dp + FT_BACKWARD_QUERIES * width + FT_FACTORS_SLACK; /* [width] */

    zero_rows_of_head(dk - (size_t)(s.key_start - s.start) * kv_row, s.key_start - s.start, kv_row,
                      a->head_dim);
    zero_rows_of_head(dv - (size_t)(s.key_start - s.start) * kv_row, s.key_start - s.start, kv_row,
                      a->head_dim);
    if (s.keys <= 0) {
        zero_rows_of_head(dq, s.queries, q_row, a->head_dim);
        return;
    }
    transpose(s.keys, a->head_dim, k, kv_row, keys, width);
    transpose(s.keys, a->head_dim, v, kv_row, values, width);
    for (int32_t first = 0; first < s.queries; first += FT_BACKWARD_QUERIES) {
        int n = s.queries - first < FT_BACKWARD_QUERIES ? s.queries - first : FT_BACKWARD_QUERIES;
        const float *q_block = q + (size_t)first * q_row;
        const float *dout_block = dout + (size_t)first * out_row;
        product(n, (int)width, depth, (left_operand){q_block, q_row, 1}, keys, width, scores, width,
                false);
        product(n, (int)width, depth, (left_operand){dout_block, out_row, 1}, values, width, dp,
                width, false);
        for (int i = 0; i < n; i++)
            score_gradient(scores + (size_t)i * width, dp + (size_t)i * width, (size_t)s.keys,
                           width, scale, lse[first + i],
                           key_factors(a, &s, head, first + i, factors));
        product(n, a->head_dim, (size_t)s.keys, (left_operand){scores, width, 1}, k, kv_row,
                dq + (size_t)first * q_row, q_row, false);
        product(s.keys, a->head_dim, (size_t)n, (left_operand){scores, 1, width}, q_block, q_row,
                dk, kv_row, first > 0);
        product(s.keys, a->head_dim, (size_t)n, (left_operand){dp, 1, width}, dout_block, out_row,
                dv, kv_row, first > 0);
    }
}

#endif
