#include "backend/cuda/graphs.h"

#include <stdlib.h>
#include <string.h>

#include "backend/cuda/driver/driver.h"

/* FNV-1a, eight bytes at a time: tapes' sizes are multiples of eight. */
static uint64_t hash_of(const void *tape, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u, word;
    for (size_t at = 0; at < size; at += sizeof word) {
        memcpy(&word, (const char *)tape + at, sizeof word);
        hash = (hash ^ word) * 0x100000001b3u;
        hash ^= hash >> 32;
    }
    return hash;
}

static void clear(ft_cuda *cuda, ft_cuda_graph *g)
{
    if (g->executable != NULL)
        cuda->driver->executable_destroy(g->executable);
    free(g->tape);
    memset(g, 0, sizeof *g);
}

ft_cuda_graph *ft_cuda_graphs_find(ft_cuda *cuda, ft_cuda_graphs *graphs, const void *tape,
                                   size_t size)
{
    uint64_t hash = hash_of(tape, size), now = ++graphs->time;
    ft_cuda_graph *oldest = &graphs->places[0];
    for (int i = 0; i < FT_CUDA_GRAPHS; i++) {
        ft_cuda_graph *g = &graphs->places[i];
        if (g->tape != NULL && g->hash == hash && g->size == size &&
            memcmp(g->tape, tape, size) == 0) {
            g->used = now;
            return g;
        }
        if (g->used < oldest->used)
            oldest = g;
    }
    clear(cuda, oldest);
    oldest->tape = malloc(size);
    if (oldest->tape != NULL) {
        memcpy(oldest->tape, tape, size);
        oldest->hash = hash;
        oldest->size = size;
        oldest->used = now;
    }
    return NULL;
}

void ft_cuda_graphs_destroy(ft_cuda *cuda, ft_cuda_graphs *graphs)
{
    for (int i = 0; i < FT_CUDA_GRAPHS; i++)
        clear(cuda, &graphs->places[i]);
}
