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

/* Elements from a row of scores, of keys' columns, ... to the next: `width` and what spreads rows
 * over the sets of the first cache, whose number is a power of two. */
static size_t pitch_of(size_t width)
{
    return width % 32 ? width : width + 16;
}

static size_t attention_scratch(const ft_attention *a, bool backward)
{
    size_t pitch = whole_vectors((size_t)a->layout->max_length) + 16; /* no pitch_of is more */
    size_t depth = (size_t)a->head_dim, factors = pitch + 2 * FT_FACTORS_SLACK;
    if (backward) /* columns and copies of k and v, dk, dv; scores, dp, pairs; q, dout, dq */
        return factors + (5 * depth + 3 * FT_BACKWARD_QUERIES) * pitch +
               3 * FT_BACKWARD_QUERIES * depth;
    return factors + (2 * depth + FT_FORWARD_QUERIES) * pitch + 2 * FT_FORWARD_QUERIES * depth;
}

/* Cuts the next `floats` off a thread's scratch. */
static inline float *take(float **scratch, size_t floats)
{
    float *taken = *scratch;
    *scratch += floats;
    return taken;
}

/* Rows of a head: [rows, depth] of x from element `first`, `row` apart. */
typedef struct head_rows {
    const void *x;
    size_t first, row;
    int rows;
    size_t depth;
} head_rows;

/* Rows of lanes, `row` lanes apart. */
typedef struct lane_rows {
    float *at;
    size_t row;
} lane_rows;

/* Where rows lie in float32: in x itself if it is float32, or else in copy [rows, depth]. */
BODY lane_rows float_rows(const ft_precision precision, head_rows h, float *copy)
{
    if (precision == FT_FLOAT32)
        return (lane_rows){element(precision, h.x, h.first), h.row};
    return (lane_rows){copy, h.depth};
}

BODY lane_rows read_rows(const ft_precision precision, head_rows h, float *copy)
{
    for (size_t r = 0; r < (size_t)h.rows && precision != FT_FLOAT32; r++) {
        const void *from = element(precision, h.x, h.first + r * h.row);
        EACH_VECTOR(i, n, h.depth,
                    { put(FT_FLOAT32, copy + r * h.depth, i, n, get(precision, from, i, n)); });
    }
    return float_rows(precision, h, copy);
}

/* What float_rows said is computed now. */
BODY void write_rows(const ft_precision precision, head_rows h, const float *copy)
{
    for (size_t r = 0; r < (size_t)h.rows && precision != FT_FLOAT32; r++) {
        void *to = element(precision, h.x, h.first + r * h.row);
        EACH_VECTOR(i, n, h.depth,
                    { put(precision, to, i, n, get(FT_FLOAT32, copy + r * h.depth, i, n)); });
    }
}

#if FT_MOST_PACKED == 2
/* to [rows / 2 rounded up, columns]: lane j of row i is the pair of x[2 i, j] and x[2 i + 1, j].
 * x's rows are x_row apart; columns are whole vectors. */
static void pair_rows(const uint16_t *x, size_t x_row, int rows, size_t columns, float *to,
                      size_t to_row)
{
    for (int r = 0; r < rows; r += 2, x += 2 * x_row, to += to_row)
        for (size_t j = 0; j < columns; j += FT_LANES) {
            ft_vi pair = {0};
            if (r + 1 < rows)
                pair = (ft_vi)widen(*(const ft_vh_unaligned *)(x + x_row + j));
            pair |= (ft_vi)((ft_vu)widen(*(const ft_vh_unaligned *)(x + j)) >> 16);
            store(to + j, (ft_vf)pair);
        }
}
#endif

/* A head's rows as the right operand of a product along their columns: to [depth / packed, pitch],
 * transposed. copy [rows, depth] is used on the way. */
BODY void right_columns(const ft_precision precision, const int packed, head_rows h, float *copy,
                        float *to, size_t pitch)
{
    lane_rows from = {element(precision, h.x, h.first), h.row / 2}; /* of pairs, as they are */
    if (packed == 1)
        from = read_rows(precision, h, copy);
    transpose(h.rows, (int)h.depth / packed, from.at, from.row, to, pitch);
}

/* ... along the rows. copy [rows, depth] */
BODY lane_rows right_rows(const ft_precision precision, const int packed, head_rows h, float *copy)
{
#if FT_MOST_PACKED == 2
    if (packed == 2) {
        pair_rows(element(precision, h.x, h.first), h.row, h.rows, h.depth, copy, h.depth);
        return (lane_rows){copy, h.depth};
    }
#endif
    (void)packed;
    return read_rows(precision, h, copy);
}

/* As the left operand along the columns. copy [rows, depth] */
BODY left_operand left_rows(const ft_precision precision, const int packed, head_rows h,
                            float *copy)
{
    lane_rows rows = {element(precision, h.x, h.first), h.row / 2};
    if (packed == 1)
        rows = read_rows(precision, h, copy);
    return (left_operand){rows.at, rows.row, 1};
}

/* Rows of scores that put_packed wrote as the left operand along the queries, in lanes. */
BODY const float *left_columns(const int packed, const float *scores, int queries, size_t width,
                               size_t pitch, float *pairs)
{
#if FT_MOST_PACKED == 2
    if (packed == 2) {
        pair_rows((const uint16_t *)scores, 2 * pitch, queries, width, pairs, pitch);
        return pairs;
    }
#endif
    (void)packed, (void)queries, (void)width, (void)pitch, (void)pairs;
    return scores;
}

/* Products of pairs take whole vectors of columns, and rows that begin with a pair. */
static bool takes_pairs(const ft_attention *a)
{
    return FT_MOST_PACKED == 2 && a->precision == FT_BFLOAT16 && a->head_dim % FT_LANES == 0 &&
           a->q_stride % 2 == 0 && a->kv_stride % 2 == 0;
}

/* Element j of a row of probabilities or their gradients as an operand: rounded to bfloat16 where
 * operands are pairs, in the row's first half, which the caller has read. */
BODY void put_packed(const int packed, float *row, size_t j, ft_vf v)
{
    put(packed == 2 ? FT_BFLOAT16 : FT_FLOAT32, row, j, FT_LANES, v);
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

BODY void attention_forward_body(const ft_precision precision, const int packed,
                                 const ft_attention *a, int32_t sequence, int32_t head,
                                 float *scratch)
{
    const head_span s = span_of(a, sequence, head);
    const size_t q_row = (size_t)a->q_stride, kv_row = (size_t)a->kv_stride;
    const size_t depth = (size_t)a->head_dim, out_row = (size_t)a->heads * depth;
    const size_t kv_first = (size_t)s.key_start * kv_row + s.column;
    float *lse = a->lse + (size_t)head * (size_t)s.query_rows + s.query;
    const float scale = 1.0f / sqrtf((float)a->head_dim);

    if (s.keys <= 0) {
        for (int32_t i = 0; i < s.queries; i++) {
            zero(precision, a->out, (size_t)(s.query + i) * out_row + s.column, depth);
            lse[i] = -INFINITY;
        }
        return;
    }
    const size_t width = whole_vectors((size_t)s.keys), pitch = pitch_of(width);
    float *factors = take(&scratch, width + 2 * FT_FACTORS_SLACK) + FT_FACTORS_SLACK;
    float *keys = take(&scratch, depth * pitch);
    float *values = take(&scratch, depth * width);
    float *scores = take(&scratch, FT_FORWARD_QUERIES * pitch);
    float *queries = take(&scratch, FT_FORWARD_QUERIES * depth);
    float *out_copy = take(&scratch, FT_FORWARD_QUERIES * depth);

    right_columns(precision, packed, (head_rows){a->k, kv_first, kv_row, s.keys, depth}, values,
                  keys, pitch);
    const lane_rows v =
        right_rows(precision, packed, (head_rows){a->v, kv_first, kv_row, s.keys, depth}, values);
    for (int32_t first = 0; first < s.queries; first += FT_FORWARD_QUERIES) {
        int n = s.queries - first < FT_FORWARD_QUERIES ? s.queries - first : FT_FORWARD_QUERIES;
        const size_t row = (size_t)(s.query + first);
        const head_rows q = {a->q, row * q_row + s.column, q_row, n, depth};
        const head_rows out = {a->out, row * out_row + s.column, out_row, n, depth};
        const lane_rows sums = float_rows(precision, out, out_copy);
        product(packed, n, (int)width, depth / packed, left_rows(precision, packed, q, queries),
                keys, pitch, scores, pitch, false);
        for (int i = 0; i < n; i++) {
            float *p = scores + (size_t)i * pitch, largest;
            float total = exponentiate(p, (size_t)s.keys, width, scale, &largest);
            lse[first + i] = largest * scale + logf(total);
            const float *kept = key_factors(a, &s, head, first + i, factors);
            float inverse = 1.0f / total;
            for (size_t j = 0; j < width; j += FT_LANES) {
                ft_vf v = load(p + j) * inverse;
                if (kept)
                    v *= load(kept + j);
                put_packed(packed, p, j, v);
            }
        }
        product(packed, n, a->head_dim, (size_t)(s.keys + packed - 1) / packed,
                (left_operand){scores, pitch, 1}, v.at, v.row, sums.at, sums.row, false);
        write_rows(precision, out, out_copy);
    }
}

static void attention_forward(const ft_attention *a, int32_t sequence, int32_t head, float *scratch)
{
    if (takes_pairs(a))
        attention_forward_body(FT_BFLOAT16, FT_MOST_PACKED, a, sequence, head, scratch);
    else
        SPECIALIZED(a->precision, attention_forward_body, 1, a, sequence, head, scratch);
}

/* scores become ds = p (kept dp - sum(p kept dp)) scale, dp becomes p kept: what dq and dk, and dv,
 * are products of. p = exp(scale * score - lse). */
BODY void score_gradient(const int packed, float *scores, float *dp, size_t keys, size_t width,
                         float scale, float lse, const float *kept)
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
        put_packed(packed, scores, j, p * (d - sum) * scale);
        if (kept)
            p *= load(kept + j);
        put_packed(packed, dp, j, p);
    }
}

BODY void attention_backward_body(const ft_precision precision, const int packed,
                                  const ft_attention *a, const ft_attention_gradient *g,
                                  int32_t sequence, int32_t head, float *scratch)
{
    const head_span s = span_of(a, sequence, head);
    const size_t q_row = (size_t)a->q_stride, kv_row = (size_t)a->kv_stride;
    const size_t depth = (size_t)a->head_dim, out_row = (size_t)a->heads * depth;
    const size_t kv_first = (size_t)s.key_start * kv_row + s.column;
    const float *lse = a->lse + (size_t)head * (size_t)s.query_rows + s.query;
    const float scale = 1.0f / sqrtf((float)a->head_dim);

    for (int32_t row = s.start; row < s.key_start; row++) {
        zero(precision, g->dk, (size_t)row * kv_row + s.column, depth);
        zero(precision, g->dv, (size_t)row * kv_row + s.column, depth);
    }
    if (s.keys <= 0) {
        for (int32_t i = 0; i < s.queries; i++)
            zero(precision, g->dq, (size_t)(s.query + i) * q_row + s.column, depth);
        return;
    }
    const size_t width = whole_vectors((size_t)s.keys), pitch = pitch_of(width);
    float *factors = take(&scratch, width + 2 * FT_FACTORS_SLACK) + FT_FACTORS_SLACK;
    float *key_columns = take(&scratch, depth * pitch);
    float *value_columns = take(&scratch, depth * pitch);
    float *scores = take(&scratch, FT_BACKWARD_QUERIES * pitch);
    float *dp = take(&scratch, FT_BACKWARD_QUERIES * pitch);
    float *score_pairs = take(&scratch, FT_BACKWARD_QUERIES / 2 * pitch);
    float *k_copy = take(&scratch, depth * width);
    float *dk_copy = take(&scratch, depth * width);
    float *dv_copy = take(&scratch, depth * width);
    float *q_copy = take(&scratch, FT_BACKWARD_QUERIES * depth);
    float *dout_copy = take(&scratch, FT_BACKWARD_QUERIES * depth);
    float *dq_copy = take(&scratch, FT_BACKWARD_QUERIES * depth);

    const head_rows k = {a->k, kv_first, kv_row, s.keys, depth};
    const head_rows v = {a->v, kv_first, kv_row, s.keys, depth};
    const head_rows dk = {g->dk, kv_first, kv_row, s.keys, depth};
    const head_rows dv = {g->dv, kv_first, kv_row, s.keys, depth};
    const lane_rows dk_sums = float_rows(precision, dk, dk_copy);
    const lane_rows dv_sums = float_rows(precision, dv, dv_copy);
    right_columns(precision, packed, v, dv_copy, value_columns, pitch);
    right_columns(precision, packed, k, dk_copy, key_columns, pitch);
    const lane_rows k_rows = right_rows(precision, packed, k, k_copy);
    for (int32_t first = 0; first < s.queries; first += FT_BACKWARD_QUERIES) {
        int n = s.queries - first < FT_BACKWARD_QUERIES ? s.queries - first : FT_BACKWARD_QUERIES;
        const size_t row = (size_t)(s.query + first), lanes = (size_t)(n + packed - 1) / packed;
        const head_rows q = {a->q, row * q_row + s.column, q_row, n, depth};
        const head_rows dq = {g->dq, row * q_row + s.column, q_row, n, depth};
        const head_rows dout = {g->dout, row * out_row + s.column, out_row, n, depth};
        product(packed, n, (int)width, depth / packed, left_rows(precision, packed, q, q_copy),
                key_columns, pitch, scores, pitch, false);
        product(packed, n, (int)width, depth / packed,
                left_rows(precision, packed, dout, dout_copy), value_columns, pitch, dp, pitch,
                false);
        for (int i = 0; i < n; i++)
            score_gradient(packed, scores + (size_t)i * pitch, dp + (size_t)i * pitch,
                           (size_t)s.keys, width, scale, lse[first + i],
                           key_factors(a, &s, head, first + i, factors));
        const lane_rows dq_sums = float_rows(precision, dq, dq_copy);
        product(packed, n, a->head_dim, (size_t)(s.keys + packed - 1) / packed,
                (left_operand){scores, pitch, 1}, k_rows.at, k_rows.row, dq_sums.at, dq_sums.row,
                false);
        write_rows(precision, dq, dq_copy);
        const float *ds = left_columns(packed, scores, n, width, pitch, score_pairs);
        const lane_rows q_rows = right_rows(precision, packed, q, q_copy);
        product(packed, s.keys, a->head_dim, lanes, (left_operand){ds, 1, pitch}, q_rows.at,
                q_rows.row, dk_sums.at, dk_sums.row, first > 0);
        const float *p = left_columns(packed, dp, n, width, pitch, score_pairs);
        const lane_rows dout_rows = right_rows(precision, packed, dout, dout_copy);
        product(packed, s.keys, a->head_dim, lanes, (left_operand){p, 1, pitch}, dout_rows.at,
                dout_rows.row, dv_sums.at, dv_sums.row, first > 0);
    }
    write_rows(precision, dk, dk_copy);
    write_rows(precision, dv, dv_copy);
}

static void attention_backward(const ft_attention *a, const ft_attention_gradient *g,
                               int32_t sequence, int32_t head, float *scratch)
{
    if (takes_pairs(a))
        attention_backward_body(FT_BFLOAT16, FT_MOST_PACKED, a, g, sequence, head, scratch);
    else
        SPECIALIZED(a->precision, attention_backward_body, 1, a, g, sequence, head, scratch);
}

#endif
