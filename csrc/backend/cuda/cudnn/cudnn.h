/* Attention by cuDNN's graphs, recorded on the tape. An execution plan is built for
 * each shape when it is first needed, and kept: in memory, and on disk for the next process. */
#ifndef FT_BACKEND_CUDA_CUDNN_CUDNN_H
#define FT_BACKEND_CUDA_CUDNN_CUDNN_H

#include "backend/cuda/cuda.h"

/* For the backend's device and stream. Refuses cuDNN before 9.10.2. */
ft_status ft_cudnn_create(ft_cuda *, ft_cudnn **out);
void ft_cudnn_destroy(ft_cudnn *);

/* Whether cuDNN has fused attention for these operands on this GPU, forward and backward. Where it
 * has not, attention is our own kernels'. */
bool ft_cudnn_takes_attention(const ft_cuda *, const ft_attention *);

/* For attention that it takes. The bytes that forward keeps in ft_attention's lse for backward: the
 * statistics of the dense layout. Dropout's mask is cuDNN's own, a function of ft_dropout's fields
 * but not that of ft_dropout_factor. */
size_t ft_cudnn_attention_state(const ft_cuda *, const ft_attention *);
ft_status ft_cudnn_attention_forward(ft_cuda *, const ft_attention *);
ft_status ft_cudnn_attention_backward(ft_cuda *, const ft_attention *,
                                      const ft_attention_gradient *);

#endif
