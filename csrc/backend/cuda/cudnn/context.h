/* cuDNN for one backend, and its plans' execution. */
#ifndef FT_BACKEND_CUDA_CUDNN_CONTEXT_H
#define FT_BACKEND_CUDA_CUDNN_CONTEXT_H

#include "backend/cuda/cudnn/cudnn.h"
#include "backend/cuda/cudnn/plan_cache.h"

enum { FT_CUDNN_MOST_HEAD_DIM = 128 }; /* of attention */

struct ft_cudnn {
    ft_cudnn_library library;
    ft_cudnn_target target;
    ft_cudnn_plan_cache plans;
    void *stream; /* the handle's */
    /* By precision and head_dim, whether there are plans: 1, -1 where there are none, 0 where that
     * was not asked yet. */
    signed char attention[2][FT_CUDNN_MOST_HEAD_DIM / 8 + 1];
};

enum { FT_CUDNN_MOST_OPERANDS = 20, FT_CUDNN_MOST_VALUES = 4 };

/* A plan and its operands, as they lie on the tape: starts as zeros, which have no padding. */
typedef struct ft_cudnn_call {
    ft_cudnn_descriptor plan;
    void *workspace;
    int32_t operand_count, value_count;
    int64_t ids[FT_CUDNN_MOST_OPERANDS + FT_CUDNN_MOST_VALUES]; /* the operands', then values' */
    void *operands[FT_CUDNN_MOST_OPERANDS];
    float values[FT_CUDNN_MOST_VALUES];
} ft_cudnn_call;

/* All operands, then all values. */
void ft_cudnn_call_operand(ft_cudnn_call *, int64_t id, const void *memory);
void ft_cudnn_call_value(ft_cudnn_call *, int64_t id, float value);
ft_status ft_cudnn_call_record(ft_cuda *, const ft_cudnn_call *);

/* Parts of scratch memory: how many bytes one begins behind another of that many. */
static inline size_t ft_cudnn_part(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

#endif
