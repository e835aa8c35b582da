/* Small uploads: from the block that variables travel in to where they belong. */
#ifndef FT_BACKEND_CUDA_KERNELS_UPLOAD_H
#define FT_BACKEND_CUDA_KERNELS_UPLOAD_H

enum { FT_UPLOAD_THREADS = 256, FT_UPLOADS = 8 };

/* `bytes` is read there, so that batches of one shape and different counts of tokens are the same
 * launch. */
typedef struct ft_upload {
    void *to;
    const void *from; /* 4-byte aligned */
    const int *bytes;
} ft_upload;

/* Grid (any number, uploads), blocks of FT_UPLOAD_THREADS. */
typedef struct ft_upload_arguments {
    ft_upload uploads[FT_UPLOADS];
} ft_upload_arguments;

#endif
