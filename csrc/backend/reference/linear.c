#include <math.h>
#include <string.h>

#include "backend/reference/reference.h"

static float activate(ft_activation activation, float x)
{
    switch (activation) {
    case FT_ACTIVATION_GELU:
        return 0.5f * x * (1.0f + erff(x * (float)M_SQRT1_2));
    case FT_ACTIVATION_TANH:
        return tanhf(x);
    case FT_ACTIVATION_RELU:
        return x < 0 ? 0 : x;
    default:
        return x;
    }
}

/* The derivative, from what was kept: GELU's argument, tanh's and ReLU's result. */
static float activate_derivative(ft_activation activation, float kept)
{
    switch (activation) {
    case FT_ACTIVATION_GELU: {
        float cdf = 0.5f * (1.0f + erff(kept * (float)M_SQRT1_2));
        float pdf = (float)(0.5 * M_2_SQRTPI * M_SQRT1_2) * expf(-0.5f * kept * kept);
        return cdf + kept * pdf;
    }
    case FT_ACTIVATION_TANH:
        return 1.0f - kept * kept;
    case FT_ACTIVATION_RELU:
        return kept > 0 ? 1.0f : 0.0f;
    default:
        return 1.0f;
    }
}

ft_status ft_reference_linear_forward(ft_backend *backend, const ft_linear *l)
{
    (void)backend;
    const float *x = l->x, *weight = l->weight;
    float *kept = l->activation == FT_ACTIVATION_GELU ? l->kept : NULL, *y = l->y;
    for (size_t r = 0; r < (size_t)l->rows; r++) {
        for (size_t o = 0; o < (size_t)l->out; o++) {
            float sum = l->bias[o];
            for (size_t i = 0; i < (size_t)l->in; i++)
                sum += x[r * l->in + i] * weight[o * l->in + i];
            if (kept)
                kept[r * l->out + o] = sum;
            y[r * l->out + o] = activate(l->activation, sum);
        }
    }
    return FT_OK;
}

ft_status ft_reference_linear_backward(ft_backend *backend, const ft_linear_gradient *g)
{
    (void)backend;
    size_t rows = g->rows, in = g->in, out = g->out;
    const float *x = g->x, *weight = g->weight, *kept = g->kept;
    float *dy = g->dy, *dx = g->dx;
    if (g->activation != FT_ACTIVATION_NONE)
        for (size_t e = 0; e < rows * out; e++)
            dy[e] *= activate_derivative(g->activation, kept[e]);
    if (!g->accumulate) {
        memset(g->dweight, 0, out * in * sizeof(float));
        memset(g->dbias, 0, out * sizeof(float));
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t o = 0; o < out; o++) {
            float d = dy[r * out + o];
            g->dbias[o] += d;
            for (size_t i = 0; i < in; i++)
                g->dweight[o * in + i] += d * x[r * in + i];
        }
    }
    if (dx == NULL)
        return FT_OK;
    if (!g->add_to_dx)
        memset(dx, 0, rows * in * sizeof(float));
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < out; o++)
            for (size_t i = 0; i < in; i++)
                dx[r * in + i] += dy[r * out + o] * weight[o * in + i];
    return FT_OK;
}
