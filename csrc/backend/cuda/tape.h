/* What is recorded by ft_cuda_launch, ft_cuda_record_call and the operations on memory, and played
 * by ft_cuda_submit. A tape that is seen for the second time is made into a CUDA graph. */
#ifndef FT_BACKEND_CUDA_TAPE_H
#define FT_BACKEND_CUDA_TAPE_H

#include "backend/cuda/cuda.h"

/* For a backend with its driver, context, stream and modules; the context is current, here and in
 * all that follows. */
ft_status ft_cuda_tape_create(ft_cuda *, ft_cuda_tape **out);
void ft_cuda_tape_destroy(ft_cuda *, ft_cuda_tape *);

/* Lets go of the graphs, which must not outlive the libraries' kernels that are in them. */
void ft_cuda_tape_forget(ft_cuda *, ft_cuda_tape *);

typedef enum ft_cuda_kind {
    FT_CUDA_ANY,
    FT_CUDA_BACKWARD,        /* a backward's: it reads no gradient of a bias or of a norm */
    FT_CUDA_LINEAR_BACKWARD, /* a linear layer's, which sees to rows behind the tokens itself */
} ft_cuda_kind;

/* At the start of each operation: records what was put off and such an operation may need, and
 * submits what has become long. Within an operation nothing does, because its variables would be
 * overwritten. */
ft_status ft_cuda_begin(ft_cuda *, ft_cuda_kind);

/* Memory that grows as it is needed. */
typedef struct ft_cuda_memory {
    void *memory;
    size_t bytes;
} ft_cuda_memory;

/* To at least so many bytes, without what it held. What is recorded keeps the memory that it has
 * been given. */
ft_status ft_cuda_grow(ft_cuda *, size_t bytes, ft_cuda_memory *);

/* What operations have put off. */
struct ft_cuda_sums *ft_cuda_tape_sums(ft_cuda_tape *);     /* sums.h */
struct ft_cuda_behind *ft_cuda_tape_behind(ft_cuda_tape *); /* behind.h */

/* Starts what was recorded. In failure too the tape is empty afterwards. */
ft_status ft_cuda_submit(ft_cuda *);
/* Submits, and waits until all is done. */
ft_status ft_cuda_synchronize(ft_cuda *);

/* Small uploads travel with the variables; others, and downloads, submit and wait. */
ft_status ft_cuda_upload(ft_cuda *, void *to, const void *from_host, size_t bytes);
ft_status ft_cuda_download(ft_cuda *, void *to_host, const void *from, size_t bytes);
ft_status ft_cuda_zero(ft_cuda *, void *memory, size_t bytes);

#endif
