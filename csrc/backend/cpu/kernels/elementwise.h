/* What is done element by element: activations, dropout, scaling, AdamW. */
#ifndef FT_BACKEND_CPU_KERNELS_ELEMENTWISE_H
#define FT_BACKEND_CPU_KERNELS_ELEMENTWISE_H

#include <math.h>

#include "backend/cpu/kernels/elements.h"
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

BODY void activation_forward_body(const ft_precision precision, ft_activation activation,
                                  const void *x, void *y, size_t begin, size_t end)
{
    x = element(precision, x, begin);
    y = element(precision, y, begin);
    size_t count = end - begin;
    switch (activation) {
    case FT_ACTIVATION_GELU:
        EACH_VECTOR(i, n, count, { put(precision, y, i, n, gelu(get(precision, x, i, n))); });
        break;
    case FT_ACTIVATION_TANH:
        for (size_t i = 0; i < count; i++)
            ft_store(precision, y, i, tanhf(ft_load(precision, x, i)));
        break;
    case FT_ACTIVATION_RELU:
        EACH_VECTOR(i, n, count, {
            ft_vf v = get(precision, x, i, n);
            put(precision, y, i, n, choose_less(v, (ft_vf){0}, (ft_vf){0}, v));
        });
        break;
    case FT_ACTIVATION_NONE:
        if (x != y)
            memcpy(y, x, count * ft_precision_bytes(precision));
        break;
    }
}

static void activation_forward(ft_activation activation, ft_precision precision, const void *x,
                               void *y, size_t begin, size_t end)
{
    SPECIALIZED(precision, activation_forward_body, activation, x, y, begin, end);
}

/* The activation's derivative, from what was kept of it. */
BODY ft_vf activation_derivative(const ft_activation activation, ft_vf kept)
{
    switch (activation) {
    case FT_ACTIVATION_GELU:
        return gelu_derivative(kept);
    case FT_ACTIVATION_TANH:
        return 1 - kept * kept;
    case FT_ACTIVATION_RELU:
        return choose_less((ft_vf){0}, kept, set1(1), (ft_vf){0});
    default:
        return set1(1);
    }
}

/* Rows in order, so that the sums do not depend on how the columns were split. */
BODY void activation_backward_rows(const ft_precision precision, const ft_activation activation,
                                   const ft_linear_gradient *g, size_t begin, size_t end)
{
    float *dbias = g->dbias + begin;
    for (size_t r = 0; r < (size_t)g->rows; r++) {
        size_t first = r * (size_t)g->out + begin;
        void *dy = element(precision, g->dy, first);
        const void *kept = g->kept ? element(precision, g->kept, first) : NULL;
        EACH_VECTOR(i, n, end - begin, {
            ft_vf d = get(precision, dy, i, n);
            if (activation != FT_ACTIVATION_NONE) {
                d *= activation_derivative(activation, get(precision, kept, i, n));
                put(precision, dy, i, n, d);
                d = rounded(precision, d);
            }
            put(FT_FLOAT32, dbias, i, n, get(FT_FLOAT32, dbias, i, n) + d);
        });
    }
}

BODY void activation_backward_body(const ft_precision precision, const ft_linear_gradient *g,
                                   size_t begin, size_t end)
{
    switch (g->activation) {
    case FT_ACTIVATION_GELU:
        activation_backward_rows(precision, FT_ACTIVATION_GELU, g, begin, end);
        break;
    case FT_ACTIVATION_TANH:
        activation_backward_rows(precision, FT_ACTIVATION_TANH, g, begin, end);
        break;
    case FT_ACTIVATION_RELU:
        activation_backward_rows(precision, FT_ACTIVATION_RELU, g, begin, end);
        break;
    case FT_ACTIVATION_NONE:
        activation_backward_rows(precision, FT_ACTIVATION_NONE, g, begin, end);
        break;
    }
}

static void activation_backward(const ft_linear_gradient *g, int32_t begin, int32_t end)
{
    if (!g->accumulate)
        zero(FT_FLOAT32, g->dbias, (size_t)begin, (size_t)(end - begin));
    SPECIALIZED(g->precision, activation_backward_body, g, (size_t)begin, (size_t)end);
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

/* y = x in bfloat16, past the caches: what is written is not read again soon. */
static void stream_bfloat16(const float *x, uint16_t *y, size_t begin, size_t end)
{
    size_t i = begin;
    for (; i < end && (uintptr_t)(y + i) % FT_STREAMED; i++)
        y[i] = ft_to_bfloat16(x[i]);
    for (; i + 2 * FT_LANES <= end; i += 2 * FT_LANES)
        stream(y + i, narrow(load(x + i)), narrow(load(x + i + FT_LANES)));
    for (; i < end; i++)
        y[i] = ft_to_bfloat16(x[i]);
}

static void to_bfloat16(const float *x, uint16_t *y, size_t begin, size_t end)
{
    stream_bfloat16(x, y, begin, end);
    stream_end();
}

/* Elements at a time where a pass has two parts: they stay in the first cache. */
enum { FT_BLOCK = 1024 };

/* Decay is a pass of its own, which rounds as torch.optim.AdamW does: fused into the subtraction it
 * would not. */
static void decay(const ft_adamw_factors *f, float *parameter, uint16_t *shadow, size_t begin,
                  size_t end)
{
    if (f->decay == 1.0f)
        return;
    for (size_t block = begin; block < end; block += FT_BLOCK) {
        size_t stop = end - block < FT_BLOCK ? end : block + FT_BLOCK;
        scale_add(f->decay, NULL, parameter, block, stop);
        if (shadow)
            stream_bfloat16(parameter, shadow, block, stop);
    }
    stream_end();
}

static void adamw(const ft_adamw_factors *f, float *restrict parameter,
                  const float *restrict gradient, float *restrict moment1, float *restrict moment2,
                  uint16_t *restrict shadow, size_t begin, size_t end)
{
    const ft_adamw_factors a = *f;
    for (size_t block = begin; block < end; block += FT_BLOCK) {
        size_t stop = end - block < FT_BLOCK ? end : block + FT_BLOCK;
        decay(f, parameter, NULL, block, stop);
#pragma omp simd
        for (size_t i = block; i < stop; i++) {
            float g = gradient[i] * a.gradient_scale;
            float m = moment1[i] + a.beta1_complement * (g - moment1[i]);
            float v = a.beta2 * moment2[i] + a.beta2_complement * (g * g);
            moment1[i] = m;
            moment2[i] = v;
            parameter[i] -= a.step_size * m / (sqrtf(v) * a.root_scale + a.eps);
        }
        if (shadow)
            stream_bfloat16(parameter, shadow, block, stop);
    }
    stream_end();
}

#endif
