/* What runs over whole buffers: gathers, dropout, and the optimizer's passes. */
#include <math.h>
#include <string.h>

#include "backend/dropout.h"
#include "backend/reference/reference.h"

ft_status ft_reference_first_rows_gather(ft_backend *backend, const ft_layout *l, int32_t hidden,
                                         const void *x, void *first)
{
    (void)backend;
    for (size_t s = 0; s < (size_t)l->sequences; s++)
        memcpy((float *)first + s * hidden, (const float *)x + (size_t)l->cu_seqlens[s] * hidden,
               hidden * sizeof(float));
    return FT_OK;
}

ft_status ft_reference_first_rows_scatter(ft_backend *backend, const ft_layout *l, int32_t hidden,
                                          const void *dfirst, void *dx)
{
    (void)backend;
    for (size_t s = 0; s < (size_t)l->sequences; s++)
        for (int32_t i = 0; i < hidden; i++)
            ((float *)dx)[(size_t)l->cu_seqlens[s] * hidden + i] +=
                ((const float *)dfirst)[s * hidden + i];
    return FT_OK;
}

ft_status ft_reference_dropout(ft_backend *backend, const ft_dropout *dropout, size_t count,
                               const void *x, void *y)
{
    (void)backend;
    for (size_t e = 0; e < count; e++)
        ((float *)y)[e] = ((const float *)x)[e] * ft_dropout_factor(dropout, e);
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
                            float max_norm, float *norm_and_scale)
{
    (void)backend;
    double sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += squares[i];
    float norm = (float)sqrt(sum);
    norm_and_scale[0] = norm;
    norm_and_scale[1] = max_norm > 0 ? fminf(1.0f, max_norm / (norm + 1e-6f)) : 1.0f;
    return FT_OK;
}

ft_status ft_reference_adamw(ft_backend *backend, const ft_adamw *a, size_t count, float *parameter,
                             const float *gradient, float *moment1, float *moment2,
                             const float *scale, ft_rows rows)
{
    (void)backend;
    float decay = (float)(1.0 - a->lr * a->weight_decay);
    float beta2 = (float)a->beta2, eps = (float)a->eps;
    /* Subtracted in float64: 1 - 0.999f is off by 5e-5 of itself. */
    float rest1 = (float)(1.0 - a->beta1), rest2 = (float)(1.0 - a->beta2);
    float step_size = (float)(a->lr / (1.0 - pow(a->beta1, (double)a->step)));
    float correction2 = (float)sqrt(1.0 - pow(a->beta2, (double)a->step));
    for (size_t e = 0; e < count; e++) {
        parameter[e] *= decay;
        if (!row_matters(rows, e))
            continue;
        float g = gradient[e] * (scale ? *scale : 1.0f);
        moment1[e] += rest1 * (g - moment1[e]);
        moment2[e] = beta2 * moment2[e] + rest2 * g * g;
        parameter[e] -= step_size * moment1[e] / (sqrtf(moment2[e]) / correction2 + eps);
    }
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
