/* Tapes that were played, and the CUDA graphs that were made of those that came again. */
#ifndef FT_BACKEND_CUDA_GRAPHS_H
#define FT_BACKEND_CUDA_GRAPHS_H

#include "backend/cuda/cuda.h"

enum { FT_CUDA_GRAPHS = 64 };

typedef struct ft_cuda_graph {
    uint64_t hash;
    void *tape; /* its bytes; NULL: a free place */
    size_t size;
    void *executable; /* CUgraphExec, or NULL: not made */
    bool refused;     /* it cannot be made into a graph */
    uint64_t used;    /* when */
} ft_cuda_graph;

typedef struct ft_cuda_graphs {
    ft_cuda_graph places[FT_CUDA_GRAPHS];
    uint64_t time;
} ft_cuda_graphs;

/* The place of a tape that was seen before, or NULL: it was not, and is from now on, where there is
 * memory for it; the one that was not used for longest makes way. */
ft_cuda_graph *ft_cuda_graphs_find(ft_cuda *, ft_cuda_graphs *, const void *tape, size_t size);

void ft_cuda_graphs_destroy(ft_cuda *, ft_cuda_graphs *);

#endif
