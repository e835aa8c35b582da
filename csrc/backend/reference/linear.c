#include <math.h>
#include <string.h>

#include "backend/precision.h"
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
    size_t in = l->in, out = l->out;
    void *kept = l->activation == FT_ACTIVATION_GELU ? l->kept : NULL;
    for (size_t r = 0; r < (size_t)l->rows; r++) {
        for (size_t o = 0; o < out; o++) {
            float sum = l->bias[o];
            for (size_t i = 0; i < in; i++)
                sum += ft_load(l->precision, l->x, r * in + i) *
                       ft_load(l->precision, l->weight, o * in + i);
            float z = ft_round(l->precision, sum);
            if (kept)
                ft_store(l->precision, kept, r * out + o, z);
            ft_store(l->precision, l->y, r * out + o, activate(l->activation, z));
        }
    }
    return FT_OK;
}

ft_status ft_reference_linear_backward(ft_backend *backend, const ft_linear_gradient *g)
{
    (void)backend;
    size_t rows = g->rows, in = g->in, out = g->out;
    if (g->activation != FT_ACTIVATION_NONE) {
        for (size_t e = 0; e < rows * out; e++) {
            float slope = activate_derivative(g->activation, ft_load(g->precision, g->kept, e));
            ft_store(g->precision, g->dy, e, ft_load(g->precision, g->dy, e) * slope);
        }
    }
    if (!g->accumulate) {
        memset(g->dweight, 0, out * in * sizeof(float));
        memset(g->dbias, 0, out * sizeof(float));
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t o = 0; o < out; o++) {
            float dz = ft_load(g->precision, g->dy, r * out + o);
            g->dbias[o] += dz;
            for (size_t i = 0; i < in; i++)
                g->dweight[o * in + i] += dz * ft_load(g->precision, g->x, r * in + i);
        }
    }
    if (g->dx == NULL)
        return FT_OK;
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < in; i++) {
            float sum = g->add_to_dx ? ft_load(g->dx_precision, g->dx, r * in + i) : 0.0f;
            for (size_t o = 0; o < out; o++)
                sum += ft_load(g->precision, g->dy, r * out + o) *
                       ft_load(g->precision, g->weight, o * in + i);
            ft_store(g->dx_precision, g->dx, r * in + i, sum);
        }
    }
    return FT_OK;
}
