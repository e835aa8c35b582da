/* Plans of attention by its shape, compared byte for byte: built when they are first needed, kept
 * in memory for the backend's life and on disk for the next process. */
#ifndef FT_BACKEND_CUDA_CUDNN_PLAN_CACHE_H
#define FT_BACKEND_CUDA_CUDNN_PLAN_CACHE_H

#include "backend/cuda/cudnn/attention_graph.h"
#include "backend/cuda/cudnn/plans.h"
#include "common/sha256.h"

enum { FT_CUDNN_PLAN_LISTS = 256 };

typedef struct ft_cudnn_plan_cache {
    const ft_cudnn_target *target;
    ft_sha256 device; /* what a plan on disk depends on besides its shape: added already */
    struct ft_cudnn_plan_entry *lists[FT_CUDNN_PLAN_LISTS];
} ft_cudnn_plan_cache;

void ft_cudnn_plan_cache_start(ft_cudnn_plan_cache *, const ft_cudnn_target *,
                               const ft_sha256 *device);
void ft_cudnn_plan_cache_end(ft_cudnn_plan_cache *);

/* Where *out points to stays as it is until the cache's end. */
ft_status ft_cudnn_plan_find(ft_cudnn_plan_cache *, const ft_cudnn_attention_shape *,
                             const ft_cudnn_plan **out);

#endif
