#include "backend/reference/norm.h"

#include <math.h>
#include <string.h>

#include "backend/dropout.h"
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
    int32_t h = n->hidden;
    const float *x = n->x, *residual = n->residual;
    float *sum = n->sum, *y = n->y;
    for (size_t t = 0; t < (size_t)n->tokens; t++) {
        for (int32_t i = 0; i < h; i++) {
            size_t e = t * h + i;
            sum[e] = x[e] * ft_dropout_factor(&n->dropout, e) + residual[e];
        }
        ft_reference_norm_forward(h, sum + t * h, n->gamma, n->beta, n->eps, &n->mean[t],
                                  &n->rstd[t], y + t * h);
    }
    memset(y + (size_t)n->tokens * h, 0, (size_t)(n->rows - n->tokens) * h * sizeof *y);
    return FT_OK;
}

ft_status ft_reference_residual_norm_backward(ft_backend *backend, const ft_residual_norm *n,
                                              const ft_residual_norm_gradient *g)
{
    (void)backend;
    int32_t h = n->hidden;
    const float *sum = n->sum, *dy = g->dy;
    float *dresidual = g->dresidual, *dx = g->dx;
    if (!g->accumulate) {
        memset(g->dgamma, 0, h * sizeof(float));
        memset(g->dbeta, 0, h * sizeof(float));
    }
    for (size_t t = 0; t < (size_t)n->tokens; t++) {
        ft_reference_norm_backward(h, sum + t * h, n->gamma, n->mean[t], n->rstd[t], dy + t * h,
                                   dresidual + t * h, g->dgamma, g->dbeta);
        for (size_t e = t * h; e < (t + 1) * h; e++)
            dx[e] = dresidual[e] * ft_dropout_factor(&n->dropout, e);
    }
    size_t tail = (size_t)n->tokens * h, bytes = (size_t)(n->rows - n->tokens) * h * sizeof(float);
    memset(dresidual + tail, 0, bytes);
    memset(dx + tail, 0, bytes);
    return FT_OK;
}
