/* A table of which only some rows matter, as kernels take it; see table.cuh. */
#ifndef FT_BACKEND_CUDA_KERNELS_TABLE_H
#define FT_BACKEND_CUDA_KERNELS_TABLE_H

enum {
    FT_TABLE_THREADS = 256,
    FT_TABLE_WARPS = FT_TABLE_THREADS / 32,
    /* What a flat buffer is cut into. */
    FT_TABLE_FLAT_WIDTH = 1024,
};

typedef struct ft_cuda_table {
    const unsigned char *flags;      /* [rows], or NULL: all rows matter */
    unsigned long long count, width; /* of elements: all, and a row's; the last may be shorter */
    int fours; /* the width is a multiple of four, and all operands are 16-byte aligned */
    int unused;
} ft_cuda_table;

#endif
