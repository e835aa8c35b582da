#include "backend/reference/norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/dropout.h"
#include "backend/precision.h"
#include "backend/reference/reference.h"

void ft_reference_norm_forward(int32_t hidden, const float *x, const float *gamma,
                               const float *beta, float eps, float *mean, float *rstd, float *y)
{
    float sum = 0, squares = 0;
    for (int32_t i = 0; i < hidden; i++)
        sum += x[i];
    float m = sum / hidden;
    for (int32_t i = 0; i < hidden; i++)
        squares += (x[i] - m) * (x[i] - m);
    float r = 1.0f / sqrtf(squares / hidden + eps);
    for (int32_t i = 0; i < hidden; i++)
        y[i] = (x[i] - m) * r * gamma[i] + beta[i];
    *mean = m;
    *rstd = r;
}

/* With g = dy * gamma: dx = rstd * (g - mean(g) - xhat * mean(g * xhat)). */
void ft_reference_norm_backward(int32_t hidden, const float *x, const float *gamma, float mean,
                                float rstd, const float *dy, float *dx, float *dgamma, float *dbeta)
{
    float g_mean = 0, g_xhat_mean = 0;
    for (int32_t i = 0; i < hidden; i++) {
        float xhat = (x[i] - mean) * rstd;
        g_mean += dy[i] * gamma[i];
        g_xhat_mean += dy[i] * gamma[i] * xhat;
        dgamma[i] += dy[i] * xhat;
        dbeta[i] += dy[i];
    }
    g_mean /= hidden;
    g_xhat_mean /= hidden;
    for (int32_t i = 0; i < hidden; i++) {
        float xhat = (x[i] - mean) * rstd;
        dx[i] = rstd * (dy[i] * gamma[i] - g_mean - xhat * g_xhat_mean);
    }
}

ft_status ft_reference_residual_norm_forward(ft_backend *backend, const ft_residual_norm *n)
{
    (void)backend;
    size_t h = n->hidden, tail = (size_t)n->tokens * h, end = (size_t)n->rows * h;
    float *sum = malloc(2 * h * sizeof *sum), *y = sum + h;
    FT_RETURN_IF(sum == NULL, FT_ERROR_MEMORY, "cannot allocate the norm's scratch");
    for (size_t t = 0; t < (size_t)n->tokens; t++) {
        for (size_t i = 0, e = t * h; i < h; i++, e++)
            sum[i] =
                ft_load(n->precision, n->x, e) * ft_dropout_factor(&n->dropout, e) + n->residual[e];
        ft_reference_norm_forward(n->hidden, sum, n->gamma, n->beta, n->eps, &n->mean[t],
                                  &n->rstd[t], y);
        for (size_t i = 0, e = t * h; i < h; i++, e++) {
            ft_store(n->precision, n->sum, e, sum[i]);
            ft_store(n->precision, n->y, e, y[i]);
            if (n->stream)
                n->stream[e] = y[i];
        }
    }
    for (size_t e = tail; e < end; e++) {
        ft_store(n->precision, n->y, e, 0.0f);
        if (n->stream)
            n->stream[e] = 0.0f;
    }
    free(sum);
    return FT_OK;
}

ft_status ft_reference_residual_norm_backward(ft_backend *backend, const ft_residual_norm *n,
                                              const ft_residual_norm_gradient *g)
{
    (void)backend;
    size_t h = n->hidden, tail = (size_t)n->tokens * h, end = (size_t)n->rows * h;
    float *sum = malloc(h * sizeof *sum);
    FT_RETURN_IF(sum == NULL, FT_ERROR_MEMORY, "cannot allocate the norm's scratch");
    if (!g->accumulate) {
        memset(g->dgamma, 0, h * sizeof(float));
        memset(g->dbeta, 0, h * sizeof(float));
    }
    for (size_t t = 0; t < (size_t)n->tokens; t++) {
        for (size_t i = 0; i < h; i++)
            sum[i] = ft_load(n->precision, n->sum, t * h + i);
        ft_reference_norm_backward(n->hidden, sum, n->gamma, n->mean[t], n->rstd[t], g->dy + t * h,
                                   g->dresidual + t * h, g->dgamma, g->dbeta);
        for (size_t e = t * h; e < (t + 1) * h; e++)
            ft_store(n->precision, g->dx, e, g->dresidual[e] * ft_dropout_factor(&n->dropout, e));
    }
    for (size_t e = tail; e < end; e++) {
        g->dresidual[e] = 0.0f;
        ft_store(n->precision, g->dx, e, 0.0f);
    }
    free(sum);
    return FT_OK;
}
