/* Layer normalisation of one row (Ba, Kiros, Hinton 2016), shared by the embedding and the residual
 * norm. With xhat = (x - mean) * rstd: y = gamma * xhat + beta. */
#ifndef FT_BACKEND_REFERENCE_NORM_H
#define FT_BACKEND_REFERENCE_NORM_H

#include <stdint.h>

/* y [hidden]; mean and rstd of x [hidden] are kept for backward. */
void ft_reference_norm_forward(int32_t hidden, const float *x, const float *gamma,
                               const float *beta, float eps, float *mean, float *rstd, float *y);

/* dx [hidden], which may be dy; dgamma and dbeta [hidden] are added to. */
void ft_reference_norm_backward(int32_t hidden, const float *x, const float *gamma, float mean,
                                float rstd, const float *dy, float *dx, float *dgamma,
                                float *dbeta);

#endif
