/* One head of one sequence. Queries go in blocks, whose scores against all the keys stay in the
 * core's cache; no more of the [length, length] matrices exists at any time. */
#ifndef FT_BACKEND_CPU_KERNELS_ATTENTION_H
#define FT_BACKEND_CPU_KERNELS_ATTENTION_H

#include <math.h>

#include "backend/cpu/kernels/elements.h"
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

/* Rows of a head in float32: the operand itself, or a copy of what is bfloat16. */
typedef struct panel {
    float *at;
    size_t row;
} panel;

/* [rows, head_dim] of x from element `first`, its rows `row` apart; copy has that much room. */
BODY panel panel_of(const ft_precision precision, const void *x, size_t first, size_t row, int rows,
                    size_t head_dim, float *copy)
{
    if (precision == FT_FLOAT32)
        return (panel){(float *)x + first, row};
    for (int r = 0; r < rows; r++) {
        const void *from = element(precision, x, first + (size_t)r * row);
        EACH_VECTOR(i, n, head_dim, {
            put(FT_FLOAT32, copy + (size_t)r * head_dim, i, n, get(precision, from, i, n));
        });
    }
    return (panel){copy, head_dim};
}

/* Where [rows, head_dim] of x is computed, before panel_write. */
BODY panel panel_for(const ft_precision precision, void *x, size_t first, size_t row,
                     size_t head_dim, float *copy)
{
    return precision == FT_FLOAT32 ? (panel){(float *)x + first, row} : (panel){copy, head_dim};
}

BODY void panel_write(const ft_precision precision, panel from, void *x, size_t first, size_t row,
                      int rows, size_t head_dim)
{
    if (precision == FT_FLOAT32)
        return;
    for (int r = 0; r < rows; r++) {
        void *to = element(precision, x, first + (size_t)r * row);
        EACH_VECTOR(i, n, head_dim, {
            put(precision, to, i, n, get(FT_FLOAT32, from.at + (size_t)r * from.row, i, n));
        });
    }
}

static size_t attention_scratch(const ft_attention *a, bool backward)
{
    size_t width = whole_vectors((size_t)a->layout->max_length), depth = (size_t)a->head_dim;
    size_t queries = backward ? FT_BACKWARD_QUERIES : FT_FORWARD_QUERIES;
    size_t pieces = backward ? 2 : 1;
    size_t floats = pieces * (depth + queries) * width + width + 2 * FT_FACTORS_SLACK;
    if (a->precision == FT_BFLOAT16)
        floats += backward ? 3 * depth * (width + queries) : depth * (width + 2 * queries);
    return floats;
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

BODY void attention_forward_body(const ft_precision precision, const ft_attention *a,
                                 int32_t sequence, int32_t head, float *scratch)
{
    const head_span s = span_of(a, sequence, head);
    const size_t q_row = (size_t)a->q_stride, kv_row = (size_t)a->kv_stride;
    const size_t depth = (size_t)a->head_dim, out_row = (size_t)a->heads * depth;
    const size_t q_first = (size_t)s.query * q_row + s.column;
    const size_t k_first = (size_t)s.key_start * kv_row + s.column;
    const size_t out_first = (size_t)s.query * out_row + s.column;
    float *lse = a->lse + (size_t)head * (size_t)s.query_rows + s.query;
    const float scale = 1.0f / sqrtf((float)a->head_dim);
    const size_t width = whole_vectors((size_t)s.keys);

    float *keys = scratch;                /* [head_dim, width] */
    float *scores = keys + depth * width; /* [FT_FORWARD_QUERIES, width] */
    float *factors = scores + FT_FORWARD_QUERIES * width + FT_FACTORS_SLACK; /* [width] */
    float *values_copy = factors + width + FT_FACTORS_SLACK;                 /* [width, head_dim] */
    float *q_copy = values_copy + width * depth;           /* [FT_FORWARD_QUERIES, head_dim] */
    float *out_copy = q_copy + FT_FORWARD_QUERIES * depth; /* [FT_FORWARD_QUERIES, head_dim] */

    if (s.keys <= 0) {
        for (int32_t i = 0; i < s.queries; i++) {
            zero(precision, a->out, out_first + (size_t)i * out_row, depth);
            lse[i] = -INFINITY;
        }
        return;
    }
    const panel k = panel_of(precision, a->k, k_first, kv_row, s.keys, depth, values_copy);
    transpose(s.keys, a->head_dim, k.at, k.row, keys, width);
    const panel v = panel_of(precision, a->v, k_first, kv_row, s.keys, depth, values_copy);
    for (int32_t first = 0; first < s.queries; first += FT_FORWARD_QUERIES) {
        int n = s.queries - first < FT_FORWARD_QUERIES ? s.queries - first : FT_FORWARD_QUERIES;
        const size_t q_at = q_first + (size_t)first * q_row;
        const size_t out_at = out_first + (size_t)first * out_row;
        const panel q = panel_of(precision, a->q, q_at, q_row, n, depth, q_copy);
        const panel out = panel_for(precision, a->out, out_at, out_row, depth, out_copy);
        product(n, (int)width, depth, (left_operand){q.at, q.row, 1}, keys, width, scores, width,
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
        product(n, a->head_dim, (size_t)s.keys, (left_operand){scores, width, 1}, v.at, v.row,
                out.at, out.row, false);
        panel_write(precision, out, a->out, out_at, out_row, n, depth);
    }
}

static void attention_forward(const ft_attention *a, int32_t sequence, int32_t head, float *scratch)
{
    SPECIALIZED(a->precision, attention_forward_body, a, sequence, head, scratch);
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

BODY void attention_backward_body(const ft_precision precision, const ft_attention *a,
                                  const ft_attention_gradient *g, int32_t sequence, int32_t head,
                                  float *scratch)
{
    const head_span s = span_of(a, sequence, head);
    const size_t q_row = (size_t)a->q_stride, kv_row = (size_t)a->kv_stride;
    const size_t depth = (size_t)a->head_dim, out_row = (size_t)a->heads * depth;
    const size_t q_first = (size_t)s.query * q_row + s.column;
    const size_t k_first = (size_t)s.key_start * kv_row + s.column;
    const size_t out_first = (size_t)s.query * out_row + s.column;
    const float *lse = a->lse + (size_t)head * (size_t)s.query_rows + s.query;
    const float scale = 1.0f / sqrtf((float)a->head_dim);
    const size_t width = whole_vectors((size_t)s.keys);

    float *keys = scratch;                            /* [head_dim, width] */
    float *values = keys + depth * width;             /* [head_dim, width] */
    float *scores = values + depth * width;           /* [FT_BACKWARD_QUERIES, width] */
    float *dp = scores + FT_BACKWARD_QUERIES * width; /* [FT_BACKWARD_QUERIES, width] */
    float *factors = dp + FT_BACKWARD_QUERIES * width + FT_FACTORS_SLACK; /* [width] */
    float *k_copy = factors + width + FT_FACTORS_SLACK;                   /* [width, head_dim] */
    float *dk_copy = k_copy + width * depth;                              /* [width, head_dim] */
    float *dv_copy = dk_copy + width * depth;                             /* [width, head_dim] */
    float *q_copy = dv_copy + width * depth;                  /* [FT_BACKWARD_QUERIES, head_dim] */
    float *dout_copy = q_copy + FT_BACKWARD_QUERIES * depth;  /* [FT_BACKWARD_QUERIES, head_dim] */
    float *dq_copy = dout_copy + FT_BACKWARD_QUERIES * depth; /* [FT_BACKWARD_QUERIES, head_dim] */

    for (int32_t row = s.start; row < s.key_start; row++) {
        zero(precision, g->dk, (size_t)row * kv_row + s.column, depth);
        zero(precision, g->dv, (size_t)row * kv_row + s.column, depth);
    }
    if (s.keys <= 0) {
        for (int32_t i = 0; i < s.queries; i++)
            zero(precision, g->dq, q_first + (size_t)i * q_row, depth);
        return;
    }
    const panel v = panel_of(precision, a->v, k_first, kv_row, s.keys, depth, dv_copy);
    transpose(s.keys, a->head_dim, v.at, v.row, values, width);
    const panel k = panel_of(precision, a->k, k_first, kv_row, s.keys, depth, k_copy);
    transpose(s.keys, a->head_dim, k.at, k.row, keys, width);
    const panel dk = panel_for(precision, g->dk, k_first, kv_row, depth, dk_copy);
    const panel dv = panel_for(precision, g->dv, k_first, kv_row, depth, dv_copy);
    for (int32_t first = 0; first < s.queries; first += FT_BACKWARD_QUERIES) {
        int n = s.queries - first < FT_BACKWARD_QUERIES ? s.queries - first : FT_BACKWARD_QUERIES;
        const size_t q_at = q_first + (size_t)first * q_row;
        const size_t out_at = out_first + (size_t)first * out_row;
        const panel q = panel_of(precision, a->q, q_at, q_row, n, depth, q_copy);
        const panel dout = panel_of(precision, g->dout, out_at, out_row, n, depth, dout_copy);
        const panel dq = panel_for(precision, g->dq, q_at, q_row, depth, dq_copy);
        product(n, (int)width, depth, (left_operand){q.at, q.row, 1}, keys, width, scores, width,
                false);
        product(n, (int)width, depth, (left_operand){dout.at, dout.row, 1}, values, width, dp,
                width, false);
        for (int i = 0; i < n; i++)
            score_gradient(scores + (size_t)i * width, dp + (size_t)i * width, (size_t)s.keys,
                           width, scale, lse[first + i],
                           key_factors(a, &s, head, first + i, factors));
        product(n, a->head_dim, (size_t)s.keys, (left_operand){scores, width, 1}, k.at, k.row,
                dq.at, dq.row, false);
        product(s.keys, a->head_dim, (size_t)n, (left_operand){scores, 1, width}, q.at, q.row,
                dk.at, dk.row, first > 0);
        product(s.keys, a->head_dim, (size_t)n, (left_operand){dp, 1, width}, dout.at, dout.row,
                dv.at, dv.row, first > 0);
        panel_write(precision, dq, g->dq, q_at, q_row, n, depth);
    }
    panel_write(precision, dk, g->dk, k_first, kv_row, s.keys, depth);
    panel_write(precision, dv, g->dv, k_first, kv_row, s.keys, depth);
}

static void attention_backward(const ft_attention *a, const ft_attention_gradient *g,
                               int32_t sequence, int32_t head, float *scratch)
{
    SPECIALIZED(a->precision, attention_backward_body, a, g, sequence, head, scratch);
}

#endif
