/* Layer norm with what stands before and after it: the embedding's sum, dropout, the residual. */
#ifndef FT_BACKEND_CPU_KERNELS_NORM_H
#define FT_BACKEND_CPU_KERNELS_NORM_H

#include <math.h>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/random.h"

static size_t rows_scratch(int32_t hidden)
{
    return (size_t)hidden + 2 * FT_FACTORS_SLACK;
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

static void norm_statistics(const float *restrict sum, int32_t hidden, float eps, float total,
                            float *mean, float *rstd)
{
    float average = total / (float)hidden, squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int32_t i = 0; i < hidden; i++)
        squares += (sum[i] - average) * (sum[i] - average);
    *mean = average;
    *rstd = 1.0f / sqrtf(squares / (float)hidden + eps);
}

/* y = ((sum - mean) * rstd * gamma + beta) * factors */
static void norm_apply(const float *sum, const float *gamma, const float *beta, float mean,
                       float rstd, const float *factors, float *y, int32_t hidden)
{
    if (factors)
#pragma omp simd
        for (int32_t i = 0; i < hidden; i++)
            y[i] = ((sum[i] - mean) * rstd * gamma[i] + beta[i]) * factors[i];
    else
#pragma omp simd
        for (int32_t i = 0; i < hidden; i++)
            y[i] = (sum[i] - mean) * rstd * gamma[i] + beta[i];
}

/* dsum = rstd * (dy gamma - mean(dy gamma) - z mean(dy gamma z)), z = (sum - mean) * rstd; dsum may
 * be dy. */
static void norm_backward(const float *dy, const float *restrict sum, const float *restrict gamma,
                          float mean, float rstd, float *dsum, float *restrict dgamma,
                          float *restrict dbeta, int32_t hidden)
{
    float total = 0, along = 0;
#pragma omp simd reduction(+ : total, along)
    for (int32_t i = 0; i < hidden; i++) {
        float z = (sum[i] - mean) * rstd, g = dy[i] * gamma[i];
        total += g;
        along += g * z;
        dgamma[i] += dy[i] * z;
        dbeta[i] += dy[i];
    }
    total /= (float)hidden;
    along /= (float)hidden;
#pragma omp simd
    for (int32_t i = 0; i < hidden; i++) {
        float z = (sum[i] - mean) * rstd;
        dsum[i] = rstd * (dy[i] * gamma[i] - total - z * along);
    }
}

static void zero(void *rows, size_t row, int32_t hidden)
{
    memset((float *)rows + row * (size_t)hidden, 0, (size_t)hidden * sizeof(float));
}

static void embedding_forward(const ft_embedding *e, int32_t begin, int32_t end, float *scratch)
{
    size_t hidden = (size_t)e->hidden;
    for (int32_t r = begin; r < end; r++) {
        float *sum = e->sum + (size_t)r * hidden, *out = (float *)e->out + (size_t)r * hidden;
        if (r >= e->tokens) {
            zero(e->sum, (size_t)r, e->hidden);
            zero(e->out, (size_t)r, e->hidden);
            e->mean[r] = e->rstd[r] = 0;
            continue;
        }
        const float *word = e->word + (size_t)e->input_ids[r] * hidden;
        const float *position = e->position + (size_t)e->position_ids[r] * hidden;
        float total = 0;
        if (e->type) {
            const float *type = e->type + (size_t)e->token_type_ids[r] * hidden;
#pragma omp simd reduction(+ : total)
            for (size_t i = 0; i < hidden; i++) {
                sum[i] = word[i] + type[i] + position[i];
                total += sum[i];
            }
        } else {
#pragma omp simd reduction(+ : total)
            for (size_t i = 0; i < hidden; i++) {
                sum[i] = word[i] + position[i];
                total += sum[i];
            }
        }
        norm_statistics(sum, e->hidden, e->eps, total, &e->mean[r], &e->rstd[r]);
        norm_apply(sum, e->gamma, e->beta, e->mean[r], e->rstd[r],
                   row_factors(&e->dropout, r, e->hidden, scratch), out, e->hidden);
    }
}

static void embedding_norm_backward(const ft_embedding *e, const ft_embedding_gradient *g,
                                    int32_t begin, int32_t end, float *dgamma, float *dbeta,
                                    float *scratch)
{
    size_t hidden = (size_t)e->hidden;
    for (int32_t r = begin; r < end; r++) {
        float *d = (float *)g->dout + (size_t)r * hidden;
        if (r >= e->tokens) {
            zero(g->dout, (size_t)r, e->hidden);
            continue;
        }
        const float *factors = row_factors(&e->dropout, r, e->hidden, scratch);
        if (factors)
#pragma omp simd
            for (size_t i = 0; i < hidden; i++)
                d[i] *= factors[i];
        norm_backward(d, e->sum + (size_t)r * hidden, e->gamma, e->mean[r], e->rstd[r], d, dgamma,
                      dbeta, e->hidden);
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
        const float *d = (const float *)g->dout + (size_t)r * hidden;
        if (e->input_ids[r] != g->padding_id)
            add_columns(g->dword + (size_t)e->input_ids[r] * hidden, d, begin, end);
        add_columns(g->dposition + (size_t)e->position_ids[r] * hidden, d, begin, end);
        if (g->dtype)
            add_columns(g->dtype + (size_t)e->token_type_ids[r] * hidden, d, begin, end);
    }
}

static void residual_norm_forward(const ft_residual_norm *n, int32_t begin, int32_t end,
                                  float *scratch)
{
    size_t hidden = (size_t)n->hidden;
    for (int32_t r = begin; r < end; r++) {
        const float *x = (const float *)n->x + (size_t)r * hidden;
        const float *residual = (const float *)n->residual + (size_t)r * hidden;
        float *sum = (float *)n->sum + (size_t)r * hidden, *y = (float *)n->y + (size_t)r * hidden;
        if (r >= n->tokens) {
            zero(n->sum, (size_t)r, n->hidden);
            zero(n->y, (size_t)r, n->hidden);
            n->mean[r] = n->rstd[r] = 0;
            continue;
        }
        const float *factors = row_factors(&n->dropout, r, n->hidden, scratch);
        float total = 0;
        if (factors) {
#pragma omp simd reduction(+ : total)
            for (size_t i = 0; i < hidden; i++) {
                sum[i] = x[i] * factors[i] + residual[i];
                total += sum[i];
            }
        } else {
#pragma omp simd reduction(+ : total)
            for (size_t i = 0; i < hidden; i++) {
                sum[i] = x[i] + residual[i];
                total += sum[i];
            }
        }
        norm_statistics(sum, n->hidden, n->eps, total, &n->mean[r], &n->rstd[r]);
        norm_apply(sum, n->gamma, n->beta, n->mean[r], n->rstd[r], NULL, y, n->hidden);
    }
}

static void residual_norm_backward(const ft_residual_norm *n, const ft_residual_norm_gradient *g,
                                   int32_t begin, int32_t end, float *dgamma, float *dbeta,
                                   float *scratch)
{
    size_t hidden = (size_t)n->hidden;
    for (int32_t r = begin; r < end; r++) {
        const float *dy = (const float *)g->dy + (size_t)r * hidden;
        float *dresidual = (float *)g->dresidual + (size_t)r * hidden;
        float *dx = (float *)g->dx + (size_t)r * hidden;
        if (r >= n->tokens) {
            zero(g->dresidual, (size_t)r, n->hidden);
            zero(g->dx, (size_t)r, n->hidden);
            continue;
        }
        norm_backward(dy, (const float *)n->sum + (size_t)r * hidden, n->gamma, n->mean[r],
                      n->rstd[r], dresidual, dgamma, dbeta, n->hidden);
        const float *factors = row_factors(&n->dropout, r, n->hidden, scratch);
        if (factors)
#pragma omp simd
            for (size_t i = 0; i < hidden; i++)
                dx[i] = dresidual[i] * factors[i];
        else if (dx != dresidual)
            memcpy(dx, dresidual, hidden * sizeof *dx);
    }
}

#endif
