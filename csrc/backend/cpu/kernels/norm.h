/* Layer norm with what stands before and after it: the embedding's sum, dropout, the residual. */
#ifndef FT_BACKEND_CPU_KERNELS_NORM_H
#define FT_BACKEND_CPU_KERNELS_NORM_H

#include <math.h>

#include "backend/cpu/kernels/elements.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/random.h"

/* A row's factors, then a row. */
static size_t rows_scratch(int32_t hidden)
{
    return 2 * whole_vectors((size_t)hidden) + 2 * FT_FACTORS_SLACK;
}

/* The factors of row `row`, in scratch; NULL where nothing is dropped. */
static const float *row_factors(const ft_dropout *d, int32_t row, int32_t hidden, float *scratch)
{
    if (d->p == 0)
        return NULL;
    float *factors = scratch + FT_FACTORS_SLACK;
    dropout_factors(d, (uint64_t)row * (uint64_t)hidden, (size_t)hidden, factors);
    return factors;
}

/* Of sum [hidden], whose total is known. */
static inline void norm_statistics(const float *sum, size_t hidden, float eps, float total,
                                   float *mean, float *rstd)
{
    float average = total / (float)hidden;
    ft_vf squares = {0};
    EACH_VECTOR(i, n, hidden, {
        ft_vf centred = first_lanes(get(FT_FLOAT32, sum, i, n) - average, n);
        squares += centred * centred;
    });
    *mean = average;
    *rstd = 1.0f / sqrtf(sum_of_lanes(squares) / (float)hidden + eps);
}

/* y = ((sum - mean) * rstd * gamma + beta) * factors, and stream the same before it is rounded. */
BODY void norm_apply(const ft_precision precision, const float *sum, const float *gamma,
                     const float *beta, float mean, float rstd, const float *factors, void *y,
                     float *stream, size_t hidden)
{
    EACH_VECTOR(i, n, hidden, {
        ft_vf v = (get(FT_FLOAT32, sum, i, n) - mean) * rstd * get(FT_FLOAT32, gamma, i, n) +
                  get(FT_FLOAT32, beta, i, n);
        if (factors)
            v *= get(FT_FLOAT32, factors, i, n);
        put(precision, y, i, n, v);
        if (stream)
            put(FT_FLOAT32, stream, i, n, v);
    });
}

/* dsum = rstd * (dy gamma - mean(dy gamma) - z mean(dy gamma z)), z = (sum - mean) * rstd; dsum may
 * be dy. Where dx is not NULL, dx = dsum * factors. */
BODY void norm_backward(const ft_precision precision, const float *dy, const void *sum,
                        const float *gamma, float mean, float rstd, float *dsum, float *dgamma,
                        float *dbeta, const float *factors, void *dx, size_t hidden)
{
    ft_vf totals = {0}, alongs = {0};
    EACH_VECTOR(i, n, hidden, {
        ft_vf z = (get(precision, sum, i, n) - mean) * rstd, d = get(FT_FLOAT32, dy, i, n);
        ft_vf scaled = d * get(FT_FLOAT32, gamma, i, n);
        totals += scaled;
        alongs += scaled * z;
        put(FT_FLOAT32, dgamma, i, n, get(FT_FLOAT32, dgamma, i, n) + d * z);
        put(FT_FLOAT32, dbeta, i, n, get(FT_FLOAT32, dbeta, i, n) + d);
    });
    const float total = sum_of_lanes(totals) / (float)hidden;
    const float along = sum_of_lanes(alongs) / (float)hidden;
    EACH_VECTOR(i, n, hidden, {
        ft_vf z = (get(precision, sum, i, n) - mean) * rstd;
        ft_vf scaled = get(FT_FLOAT32, dy, i, n) * get(FT_FLOAT32, gamma, i, n);
        ft_vf d = rstd * (scaled - total - z * along);
        put(FT_FLOAT32, dsum, i, n, d);
        if (dx) {
            if (factors)
                d *= get(FT_FLOAT32, factors, i, n);
            put(precision, dx, i, n, d);
        }
    });
}

BODY void embedding_forward_body(const ft_precision precision, const ft_embedding *e, int32_t begin,
                                 int32_t end, float *scratch)
{
    size_t hidden = (size_t)e->hidden;
    for (int32_t r = begin; r < end; r++) {
        size_t first = (size_t)r * hidden;
        float *stream = e->stream ? e->stream + first : NULL;
        if (r >= e->tokens) {
            zero(FT_FLOAT32, e->sum, first, hidden);
            zero(precision, e->out, first, hidden);
            if (stream)
                zero(FT_FLOAT32, stream, 0, hidden);
            e->mean[r] = e->rstd[r] = 0;
            continue;
        }
        const float *word = e->word + (size_t)e->input_ids[r] * hidden;
        const float *position = e->position + (size_t)e->position_ids[r] * hidden;
        const float *type = e->type ? e->type + (size_t)e->token_type_ids[r] * hidden : NULL;
        float *sum = e->sum + first;
        ft_vf total = {0};
        EACH_VECTOR(i, n, hidden, {
            ft_vf v = get(FT_FLOAT32, word, i, n);
            if (type)
                v += get(FT_FLOAT32, type, i, n);
            v += get(FT_FLOAT32, position, i, n);
            total += v;
            put(FT_FLOAT32, sum, i, n, v);
        });
        norm_statistics(sum, hidden, e->eps, sum_of_lanes(total), &e->mean[r], &e->rstd[r]);
        norm_apply(precision, sum, e->gamma, e->beta, e->mean[r], e->rstd[r],
                   row_factors(&e->dropout, r, e->hidden, scratch),
                   element(precision, e->out, first), stream, hidden);
    }
}

static void embedding_forward(const ft_embedding *e, int32_t begin, int32_t end, float *scratch)
{
    SPECIALIZED(e->precision, embedding_forward_body, e, begin, end, scratch);
}

static void embedding_norm_backward(const ft_embedding *e, const ft_embedding_gradient *g,
                                    int32_t begin, int32_t end, float *dgamma, float *dbeta,
                                    float *scratch)
{
    size_t hidden = (size_t)e->hidden;
    for (int32_t r = begin; r < end; r++) {
        size_t first = (size_t)r * hidden;
        float *d = g->dout + first;
        if (r >= e->tokens) {
            zero(FT_FLOAT32, d, 0, hidden);
            continue;
        }
        const float *factors = row_factors(&e->dropout, r, e->hidden, scratch);
        if (factors)
            EACH_VECTOR(i, n, hidden, {
                put(FT_FLOAT32, d, i, n, get(FT_FLOAT32, d, i, n) * get(FT_FLOAT32, factors, i, n));
            });
        norm_backward(FT_FLOAT32, d, e->sum + first, e->gamma, e->mean[r], e->rstd[r], d, dgamma,
                      dbeta, NULL, NULL, hidden);
    }
}

static void add_columns(float *restrict to, const float *restrict from, int32_t begin, int32_t end)
{
#pragma omp simd
    for (int32_t i = begin; i < end; i++)
        to[i] += from[i];
}

static void embedding_tables_backward(const ft_embedding *e, const ft_embedding_gradient *g,
                                      int32_t begin, int32_t end)
{
    size_t hidden = (size_t)e->hidden;
    for (int32_t r = 0; r < e->tokens; r++) {
        const float *d = g->dout + (size_t)r * hidden;
        if (e->input_ids[r] != g->padding_id)
            add_columns(g->dword + (size_t)e->input_ids[r] * hidden, d, begin, end);
        add_columns(g->dposition + (size_t)e->position_ids[r] * hidden, d, begin, end);
        if (g->dtype)
            add_columns(g->dtype + (size_t)e->token_type_ids[r] * hidden, d, begin, end);
    }
}

BODY void residual_norm_forward_body(const ft_precision precision, const ft_residual_norm *norm,
                                     int32_t begin, int32_t end, float *scratch)
{
    size_t hidden = (size_t)norm->hidden;
    for (int32_t r = begin; r < end; r++) {
        size_t first = (size_t)r * hidden;
        void *sum = element(precision, norm->sum, first);
        void *y = element(precision, norm->y, first);
        float *stream = norm->stream ? norm->stream + first : NULL;
        if (r >= norm->tokens) {
            zero(precision, sum, 0, hidden);
            zero(precision, y, 0, hidden);
            if (stream)
                zero(FT_FLOAT32, stream, 0, hidden);
            norm->mean[r] = norm->rstd[r] = 0;
            continue;
        }
        const void *x = element(precision, norm->x, first);
        const float *residual = norm->residual + first;
        const float *factors = row_factors(&norm->dropout, r, norm->hidden, scratch);
        /* The sum as it is before it is rounded. */
        float *row =
            precision == FT_FLOAT32 ? sum : scratch + 2 * FT_FACTORS_SLACK + whole_vectors(hidden);
        ft_vf total = {0};
        EACH_VECTOR(i, n, hidden, {
            ft_vf v = get(precision, x, i, n);
            if (factors)
                v *= get(FT_FLOAT32, factors, i, n);
            v += get(FT_FLOAT32, residual, i, n);
            total += v;
            put(FT_FLOAT32, row, i, n, v);
            if (precision != FT_FLOAT32)
                put(precision, sum, i, n, v);
        });
        norm_statistics(row, hidden, norm->eps, sum_of_lanes(total), &norm->mean[r],
                        &norm->rstd[r]);
        norm_apply(precision, row, norm->gamma, norm->beta, norm->mean[r], norm->rstd[r], NULL, y,
                   stream, hidden);
    }
}

static void residual_norm_forward(const ft_residual_norm *n, int32_t begin, int32_t end,
                                  float *scratch)
{
    SPECIALIZED(n->precision, residual_norm_forward_body, n, begin, end, scratch);
}

BODY void residual_norm_backward_body(const ft_precision precision, const ft_residual_norm *n,
                                      const ft_residual_norm_gradient *g, int32_t begin,
                                      int32_t end, float *dgamma, float *dbeta, float *scratch)
{
    size_t hidden = (size_t)n->hidden;
    for (int32_t r = begin; r < end; r++) {
        size_t first = (size_t)r * hidden;
        if (r >= n->tokens) {
            zero(FT_FLOAT32, g->dresidual, first, hidden);
            zero(precision, g->dx, first, hidden);
            continue;
        }
        norm_backward(precision, g->dy + first, element(precision, n->sum, first), n->gamma,
                      n->mean[r], n->rstd[r], g->dresidual + first, dgamma, dbeta,
                      row_factors(&n->dropout, r, n->hidden, scratch),
                      element(precision, g->dx, first), hidden);
    }
}

static void residual_norm_backward(const ft_residual_norm *n, const ft_residual_norm_gradient *g,
                                   int32_t begin, int32_t end, float *dgamma, float *dbeta,
                                   float *scratch)
{
    SPECIALIZED(n->precision, residual_norm_backward_body, n, g, begin, end, dgamma, dbeta,
                scratch);
}

#endif
