/* Builds cuDNN's operation graphs: tensors, and the operations between them in order. Nothing is
 * checked after each call: the first failure is kept, what follows it does nothing, and
 * ft_cudnn_plan_build returns it.
 *
 *     ft_cudnn_graph graph;
 *     ft_cudnn_graph_start(&graph, library);
 *     ft_cudnn_tensor a = ft_cudnn_tensor_add(&graph, &(ft_cudnn_tensor_form){...});
 *     ...
 *     ft_cudnn_multiply(&graph, a, b, product, NULL);
 *     status = ft_cudnn_plan_build(&target, &graph, true, &plan);
 *     ft_cudnn_graph_end(&graph);
 */
#ifndef FT_BACKEND_CUDA_CUDNN_GRAPH_H
#define FT_BACKEND_CUDA_CUDNN_GRAPH_H

#include <stdbool.h>

#include "backend/cuda/cudnn/library.h"

enum {
    FT_CUDNN_ALIGNMENT = 16,        /* bytes, of the memory of every tensor */
    FT_CUDNN_RANK = 4,              /* at most */
    FT_CUDNN_FIRST_VIRTUAL = 1000,  /* virtual tensors are numbered from here */
    FT_CUDNN_MOST_OPERATIONS = 32,  /* a graph */
    FT_CUDNN_MOST_DESCRIPTORS = 160 /* a graph */
};

typedef ft_cudnn_descriptor ft_cudnn_tensor; /* NULL: none */

typedef struct ft_cudnn_graph {
    const ft_cudnn_library *library;
    ft_status status;
    int64_t virtuals;
    int descriptor_count, operation_count;
    ft_cudnn_descriptor descriptors[FT_CUDNN_MOST_DESCRIPTORS]; /* all that are owned */
    ft_cudnn_descriptor operations[FT_CUDNN_MOST_OPERATIONS];   /* of them, in order */
} ft_cudnn_graph;

typedef struct ft_cudnn_tensor_form {
    int64_t id;    /* by which its memory is given; 0: a virtual tensor, which has none */
    int type;      /* CUDNN_DATA_... */
    bool by_value; /* one number in the host's memory */
    int rank;
    int64_t sizes[FT_CUDNN_RANK], strides[FT_CUDNN_RANK]; /* in elements */
    ft_cudnn_tensor ragged; /* where each entry of the first axis begins, in elements; or NULL */
} ft_cudnn_tensor_form;

void ft_cudnn_graph_start(ft_cudnn_graph *, const ft_cudnn_library *);
void ft_cudnn_graph_end(ft_cudnn_graph *);

ft_cudnn_tensor ft_cudnn_tensor_add(ft_cudnn_graph *, const ft_cudnn_tensor_form *);

/* Per batch entry, how many of c's rows, c's columns and the inner dimension count: int32 tensors,
 * or NULL: all do. */
typedef struct ft_cudnn_extent {
    ft_cudnn_tensor rows, columns, inner;
} ft_cudnn_extent;

/* c = a b, summed in float32. */
void ft_cudnn_multiply(ft_cudnn_graph *, ft_cudnn_tensor a, ft_cudnn_tensor b, ft_cudnn_tensor c,
                       const ft_cudnn_extent *);

/* y = mode(x, b); b NULL for modes of one operand. Sizes of 1 are broadcast. Computed in float32.
 */
void ft_cudnn_pointwise(ft_cudnn_graph *, int mode, ft_cudnn_tensor x, ft_cudnn_tensor b,
                        ft_cudnn_tensor y);
/* y = the position of each of x's elements along the axis, int32. */
void ft_cudnn_index(ft_cudnn_graph *, ft_cudnn_tensor x, int axis, ft_cudnn_tensor y);
/* y = mode(x, b), booleans: a comparison or a logical operation. */
void ft_cudnn_compare(ft_cudnn_graph *, int mode, ft_cudnn_tensor x, ft_cudnn_tensor b,
                      ft_cudnn_tensor y);
/* y = mask ? x : other. */
void ft_cudnn_select(ft_cudnn_graph *, ft_cudnn_tensor mask, ft_cudnn_tensor x,
                     ft_cudnn_tensor other, ft_cudnn_tensor y);
/* y = x reduced, along the axes of which y has one, with CUDNN_REDUCE_TENSOR_... */
void ft_cudnn_reduce(ft_cudnn_graph *, int operation, ft_cudnn_tensor x, ft_cudnn_tensor y);
/* y = 1 with that probability, else 0: philox of seed and offset, which are int64 in memory. */
void ft_cudnn_bernoulli(ft_cudnn_graph *, double probability, ft_cudnn_tensor seed,
                        ft_cudnn_tensor offset, ft_cudnn_tensor y);
/* y = x's elements under y's sizes and strides. */
void ft_cudnn_reshape(ft_cudnn_graph *, ft_cudnn_tensor x, ft_cudnn_tensor y);

/* For plans.c: a descriptor that the graph owns, or no longer, and one attribute of it. */
ft_cudnn_descriptor ft_cudnn_descriptor_add(ft_cudnn_graph *, int type);
ft_cudnn_descriptor ft_cudnn_descriptor_take(ft_cudnn_graph *, ft_cudnn_descriptor);
void ft_cudnn_set(ft_cudnn_graph *, ft_cudnn_descriptor, int name, int type, int64_t count,
                  const void *elements);
void ft_cudnn_finalize(ft_cudnn_graph *, ft_cudnn_descriptor, const char *what);

#endif
