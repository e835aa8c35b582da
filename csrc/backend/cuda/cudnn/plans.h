/* From an operation graph to an execution plan. */
#ifndef FT_BACKEND_CUDA_CUDNN_PLANS_H
#define FT_BACKEND_CUDA_CUDNN_PLANS_H

#include "backend/cuda/cudnn/graph.h"

/* What plans are built for: the device of a handle; or, where there is no handle, a device that
 * need not be at hand, which device_properties describe. */
typedef struct ft_cudnn_target {
    const ft_cudnn_library *library;
    ft_cudnn_handle handle;
    ft_cudnn_descriptor device_properties;
} ft_cudnn_target;

typedef struct ft_cudnn_plan {
    ft_cudnn_descriptor descriptor;
    ft_cudnn_descriptor configuration; /* of the engine; kept as long as the plan; or NULL */
    int64_t workspace;                 /* bytes */
    int64_t engine;                    /* cuDNN's number of it; -1: the plan was loaded */
} ft_cudnn_plan;

/* The best engine of those that cuDNN proposes which can be made ready, which takes a second or
 * so where it has to be compiled. */
ft_status ft_cudnn_plan_build(const ft_cudnn_target *, ft_cudnn_graph *, ft_cudnn_plan *out);

/* A plan as text, compiled kernel and all, which ft_release frees, and back, which takes a
 * millisecond. cuDNN refuses text of another version or GPU. */
ft_status ft_cudnn_plan_save(const ft_cudnn_library *, const ft_cudnn_plan *, char **text,
                             size_t *length);
ft_status ft_cudnn_plan_load(const ft_cudnn_target *, const char *text, size_t length,
                             ft_cudnn_plan *out);

void ft_cudnn_plan_free(const ft_cudnn_library *, ft_cudnn_plan *);

#endif
