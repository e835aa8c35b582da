/* The backend's stream and those of others that use the GPU; see follow and lead of the table. */
#ifndef FT_BACKEND_CUDA_STREAMS_H
#define FT_BACKEND_CUDA_STREAMS_H

#include "backend/cuda/cuda.h"

ft_status ft_cuda_follow(ft_cuda *, void *stream);
ft_status ft_cuda_lead(ft_cuda *, void *stream);

#endif
