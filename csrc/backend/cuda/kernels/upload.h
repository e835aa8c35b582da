/* Small uploads: from the block that variables travel in to where they belong. */
#ifndef FT_BACKEND_CUDA_KERNELS_UPLOAD_H
#define FT_BACKEND_CUDA_KERNELS_UPLOAD_H

/* Blocks of FT_UPLOAD_THREADS, any number of them. `bytes` is read there, so that batches of one
 * shape and different counts of tokens are the same launch. */
typedef struct ft_upload_arguments {
    void *to;
    const void *from; /* 4-byte aligned */
    const int *bytes;
} ft_upload_arguments;

#define FT_UPLOAD_THREADS 256

#endif
