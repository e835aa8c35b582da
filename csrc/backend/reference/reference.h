/* The operations of the reference backend; each is declared as backend.h describes it. */
#ifndef FT_BACKEND_REFERENCE_REFERENCE_H
#define FT_BACKEND_REFERENCE_REFERENCE_H

#include "backend/backend.h"

ft_status ft_reference_embedding_forward(ft_backend *, const ft_embedding *);
ft_status ft_reference_embedding_backward(ft_backend *, const ft_embedding *,
                                          const ft_embedding_gradient *);
ft_status ft_reference_linear_forward(ft_backend *, const ft_linear *);
ft_status ft_reference_linear_backward(ft_backend *, const ft_linear_gradient *);
ft_status ft_reference_attention_forward(ft_backend *, const ft_attention *);
ft_status ft_reference_attention_backward(ft_backend *, const ft_attention *,
                                          const ft_attention_gradient *);
ft_status ft_reference_residual_norm_forward(ft_backend *, const ft_residual_norm *);
ft_status ft_reference_residual_norm_backward(ft_backend *, const ft_residual_norm *,
                                              const ft_residual_norm_gradient *);
ft_status ft_reference_first_rows_gather(ft_backend *, const ft_layout *, ft_precision,
                                         int32_t hidden, const void *x, void *first);
ft_status ft_reference_first_rows_scatter(ft_backend *, const ft_layout *, int32_t hidden,
                                          const float *dfirst, float *dx);
ft_status ft_reference_dropout(ft_backend *, const ft_dropout *, size_t count, const float *x,
                               float *y);
ft_status ft_reference_loss(ft_backend *, const ft_loss *);
ft_status ft_reference_scale_add(ft_backend *, size_t count, float scale, const float *y, float *x);
ft_status ft_reference_scale_by(ft_backend *, size_t count, const float *scale, const float *y,
                                float *x);
ft_status ft_reference_padded_lengths(ft_backend *, const ft_padded_arrays *, int32_t *lengths);
ft_status ft_reference_pack(ft_backend *, const ft_padded_arrays *, const ft_packed_arrays *);
ft_status ft_reference_sum_of_squares(ft_backend *, const float *x, size_t count, ft_rows,
                                      double *out);
ft_status ft_reference_clip(ft_backend *, const double *squares, int32_t count, float loss_scale,
                            float max_norm, float *norm_and_scale);
ft_status ft_reference_adamw(ft_backend *, const ft_adamw *, const ft_adamw_operands *);
ft_status ft_reference_cast(ft_backend *, ft_precision, size_t count, const float *x, void *y);
ft_status ft_reference_zero_rows(ft_backend *, float *x, size_t count, ft_rows);
ft_status ft_reference_add_flags(ft_backend *, size_t count, const uint8_t *from, uint8_t *to);

#endif
