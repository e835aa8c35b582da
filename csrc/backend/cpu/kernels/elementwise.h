/* What is done element by element: activations, dropout, scaling, AdamW. */
#ifndef FT_BACKEND_CPU_KERNELS_ELEMENTWISE_H
#define FT_BACKEND_CPU_KERNELS_ELEMENTWISE_H

#include <math.h>

#include "backend/cpu/kernels/functions.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/random.h"

static inline ft_vf gelu(ft_vf x)
{
    ft_vf bell;
    return x * normal_distribution(x, &bell);
}

static inline ft_vf gelu_derivative(ft_vf x)
{
    ft_vf bell, distribution = normal_distribution(x, &bell);
    return distribution + x * bell * 0.3989422804f; /* 1 / sqrt(2 pi) */
}

static void activation_forward(ft_activation activation, const float *x, float *y, size_t begin,
                               size_t end)
{
    switch (activation) {
    case FT_ACTIVATION_GELU: {
        size_t i = begin;
        for (; i + FT_LANES <= end; i += FT_LANES)
            store(y + i, gelu(load(x + i)));
        if (i < end)
            store_part(y + i, gelu(load_part(x + i, end - i)), end - i);
        break;
    }
    case FT_ACTIVATION_TANH:
        for (size_t i = begin; i < end; i++)
            y[i] = tanhf(x[i]);
        break;
    case FT_ACTIVATION_RELU:
        for (size_t i = begin; i < end; i++)
            y[i] = x[i] < 0 ? 0 : x[i];
        break;
    case FT_ACTIVATION_NONE:
        if (x != y)
            memcpy(y + begin, x + begin, (end - begin) * sizeof *y);
        break;
    }
}

static void activation_backward_row(ft_activation activation, const float *kept, float *dy,
                                    int32_t begin, int32_t end)
{
    switch (activation) {
    case FT_ACTIVATION_GELU: {
        int32_t i = begin;
        for (; i + FT_LANES <= end; i += FT_LANES)
            store(dy + i, load(dy + i) * gelu_derivative(load(kept + i)));
        if (i < end) {
            size_t n = (size_t)(end - i);
            store_part(dy + i, load_part(dy + i, n) * gelu_derivative(load_part(kept + i, n)), n);
        }
        break;
    }
    case FT_ACTIVATION_TANH:
#pragma omp simd
        for (int32_t i = begin; i < end; i++)
            dy[i] *= 1 - kept[i] * kept[i];
        break;
    case FT_ACTIVATION_RELU:
#pragma omp simd
        for (int32_t i = begin; i < end; i++)
            dy[i] = kept[i] > 0 ? dy[i] : 0;
        break;
    case FT_ACTIVATION_NONE:
        break;
    }
}

/* Rows in order, so that the sums do not depend on how the columns were split. */
static void activation_backward(const ft_linear_gradient *g, int32_t begin, int32_t end)
{
    float *dbias = g->dbias;
    if (!g->accumulate)
        memset(dbias + begin, 0, (size_t)(end - begin) * sizeof *dbias);
    for (int32_t r = 0; r < g->rows; r++) {
        float *dy = (float *)g->dy + (size_t)r * (size_t)g->out;
        const float *kept = g->kept ? (const float *)g->kept + (size_t)r * (size_t)g->out : NULL;
        activation_backward_row(g->activation, kept, dy, begin, end);
#pragma omp simd
        for (int32_t i = begin; i < end; i++)
            dbias[i] += dy[i];
    }
}

static void dropout(const ft_dropout *d, const float *x, float *y, size_t begin, size_t end)
{
    enum { BLOCK = 512 };
    float scratch[BLOCK + 2 * FT_FACTORS_SLACK], *factors = scratch + FT_FACTORS_SLACK;
    for (size_t i = begin; i < end; i += BLOCK) {
        size_t n = end - i < BLOCK ? end - i : BLOCK;
        dropout_factors(d, i, n, factors);
#pragma omp simd
        for (size_t j = 0; j < n; j++)
            y[i + j] = x[i + j] * factors[j];
    }
}

static void scale_add(float scale, const float *y, float *x, size_t begin, size_t end)
{
    if (y)
#pragma omp simd
        for (size_t i = begin; i < end; i++)
            x[i] = scale * x[i] + y[i];
    else
#pragma omp simd
        for (size_t i = begin; i < end; i++)
            x[i] *= scale;
}

static double sum_of_squares(const float *x, size_t begin, size_t end)
{
    double a = 0, b = 0; /* two sums hide the latency of one */
    size_t i = begin, half = (end - begin) / 2;
#pragma omp simd reduction(+ : a, b)
    for (size_t j = 0; j < half; j++) {
        a += (double)x[i + j] * (double)x[i + j];
        b += (double)x[i + half + j] * (double)x[i + half + j];
    }
    if ((end - begin) % 2)
        a += (double)x[end - 1] * (double)x[end - 1];
    return a + b;
}

static void adamw(const ft_adamw_factors *f, float *restrict parameter,
                  const float *restrict gradient, float *restrict moment1, float *restrict moment2,
                  size_t begin, size_t end)
{
    enum { BLOCK = 1024 };
    const ft_adamw_factors a = *f;
    for (size_t block = begin; block < end; block += BLOCK) {
        size_t stop = end - block < BLOCK ? end : block + BLOCK;
        /* Decay in a loop of its own (the block stays in the first cache) rounds as
         * torch.optim.AdamW does: fused into the subtraction it would not. */
        if (a.decay != 1.0f)
            scale_add(a.decay, NULL, parameter, block, stop);
#pragma omp simd
        for (size_t i = block; i < stop; i++) {
            float g = gradient[i] * a.gradient_scale;
            float m = moment1[i] + a.beta1_complement * (g - moment1[i]);
            float v = a.beta2 * moment2[i] + a.beta2_complement * (g * g);
            moment1[i] = m;
            moment2[i] = v;
            parameter[i] -= a.step_size * m / (sqrtf(v) * a.root_scale + a.eps);
        }
    }
}

#endif
