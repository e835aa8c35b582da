/* Where what changes from one tape to the next lies: blocks of device memory, which a submit fills
 * from pinned memory before it plays the tape. Values are written to pinned memory as they come. */
#ifndef FT_BACKEND_CUDA_VARIABLES_H
#define FT_BACKEND_CUDA_VARIABLES_H

#include "backend/cuda/cuda.h"

/* Sets of pinned memory, so that the host may record while the GPU has still to fetch earlier
 * tapes' values. */
enum { FT_CUDA_SLOTS = 4, FT_CUDA_BLOCKS = 16 };

typedef struct ft_cuda_variables {
    struct {
        void *device;
        void *host[FT_CUDA_SLOTS];
        size_t capacity, used;
    } blocks[FT_CUDA_BLOCKS]; /* each twice as large as the one before, made when first needed */
    int count, filling;
    void *events[FT_CUDA_SLOTS]; /* CUevents: the slot's values were fetched */
    bool pending[FT_CUDA_SLOTS];
    int slot;
    bool open; /* the slot is this tape's */
} ft_cuda_variables;

ft_status ft_cuda_variables_create(ft_cuda *, ft_cuda_variables *);
void ft_cuda_variables_destroy(ft_cuda *, ft_cuda_variables *);

/* A variable of `size` bytes, with room for `room` so that other sizes leave the next ones' places
 * alone. */
ft_status ft_cuda_variables_add(ft_cuda *, ft_cuda_variables *, const void *value, size_t size,
                                size_t room, const void **device);

/* Enqueues the copies, and begins anew, in failure too. */
ft_status ft_cuda_variables_send(ft_cuda *, ft_cuda_variables *);

#endif
