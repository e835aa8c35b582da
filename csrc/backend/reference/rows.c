/* What runs over whole buffers: gathers, dropout, and the optimizer's passes. */
#include <math.h>
#include <string.h>

#include "backend/dropout.h"
#include "backend/precision.h"
#include "backend/reference/reference.h"

ft_status ft_reference_first_rows_gather(ft_backend *backend, const ft_layout *l,
                                         ft_precision precision, int32_t hidden, const void *x,
                                         void *first)
{
    (void)backend;
    size_t row = hidden * ft_precision_bytes(precision);
    for (size_t s = 0; s < (size_t)l->sequences; s++)
        memcpy((char *)first + s * row, (const char *)x + (size_t)l->cu_seqlens[s] * row, row);
    return FT_OK;
}

ft_status ft_reference_first_rows_scatter(ft_backend *backend, const ft_layout *l, int32_t hidden,
                                          const float *dfirst, float *dx)
{
    (void)backend;
    for (size_t s = 0; s < (size_t)l->sequences; s++)
        for (int32_t i = 0; i < hidden; i++)
            dx[(size_t)l->cu_seqlens[s] * hidden + i] += dfirst[s * hidden + i];
    return FT_OK;
}

ft_status ft_reference_dropout(ft_backend *backend, const ft_dropout *dropout, size_t count,
                               const float *x, float *y)
{
    (void)backend;
    for (size_t e = 0; e < count; e++)
        y[e] = x[e] * ft_dropout_factor(dropout, e);
    return FT_OK;
}

ft_status ft_reference_scale_add(ft_backend *backend, size_t count, float scale, const float *y,
                                 float *x)
{
    (void)backend;
    for (size_t e = 0; e < count; e++)
        x[e] = scale * x[e] + (y ? y[e] : 0.0f);
    return FT_OK;
}

ft_status ft_reference_scale_by(ft_backend *backend, size_t count, const float *scale,
                                const float *y, float *x)
{
    return ft_reference_scale_add(backend, count, *scale, y, x);
}

static int row_matters(ft_rows rows, size_t element)
{
    return rows.flags == NULL || rows.flags[element / rows.width];
}

ft_status ft_reference_sum_of_squares(ft_backend *backend, const float *x, size_t count,
                                      ft_rows rows, double *out)
{
    (void)backend;
    double sum = 0;
    for (size_t e = 0; e < count; e++)
        if (row_matters(rows, e))
            sum += (double)x[e] * x[e];
    *out = sum;
    return FT_OK;
}

ft_status ft_reference_clip(ft_backend *backend, const double *squares, int32_t count,
                            float loss_scale, float max_norm, float *norm_and_scale)
{
    (void)backend;
    double sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += squares[i];
    float norm = (float)sqrt(sum) / loss_scale;
    float scale = max_norm > 0 ? fminf(1.0f, max_norm / (norm + 1e-6f)) : 1.0f;
    norm_and_scale[0] = norm;
    norm_and_scale[1] = isfinite(norm) ? scale / loss_scale : NAN;
    return FT_OK;
}

ft_status ft_reference_adamw(ft_backend *backend, const ft_adamw *a, const ft_adamw_operands *o)
{
    (void)backend;
    if (o->scale && isnan(*o->scale))
        return FT_OK;
    float decay = (float)(1.0 - a->lr * a->weight_decay);
    float beta2 = (float)a->beta2, eps = (float)a->eps;
    /* Subtracted in float64: 1 - 0.999f is off by 5e-5 of itself. */
    float rest1 = (float)(1.0 - a->beta1), rest2 = (float)(1.0 - a->beta2);
    float step_size = (float)(a->lr / (1.0 - pow(a->beta1, (double)a->step)));
    float correction2 = (float)sqrt(1.0 - pow(a->beta2, (double)a->step));
    for (size_t e = 0; e < o->count; e++) {
        float p = o->parameter[e] * decay;
        if (row_matters(o->rows, e)) {
            float g = o->gradient[e] * (o->scale ? *o->scale : 1.0f);
            float m = o->moment1[e] += rest1 * (g - o->moment1[e]);
            float v = o->moment2[e] = beta2 * o->moment2[e] + rest2 * g * g;
            p -= step_size * m / (sqrtf(v) / correction2 + eps);
        }
        o->parameter[e] = p;
        if (o->shadow)
            ft_store(o->shadow_precision, o->shadow, e, p);
    }
    return FT_OK;
}

ft_status ft_reference_cast(ft_backend *backend, ft_precision precision, size_t count,
                            const float *x, void *y)
{
    (void)backend;
    for (size_t e = 0; e < count; e++)
        ft_store(precision, y, e, x[e]);
    return FT_OK;
}

ft_status ft_reference_zero_rows(ft_backend *backend, float *x, size_t count, ft_rows rows)
{
    (void)backend;
    for (size_t e = 0; e < count; e++)
        if (row_matters(rows, e))
            x[e] = 0.0f;
    return FT_OK;
}

ft_status ft_reference_add_flags(ft_backend *backend, size_t count, const uint8_t *from,
                                 uint8_t *to)
{
    (void)backend;
    for (size_t e = 0; e < count; e++)
        to[e] |= from[e];
    return FT_OK;
}
