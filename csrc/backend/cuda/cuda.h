/* What the files of the CUDA backend share. Nothing of NVIDIA's is needed to build it: the driver,
 * NVRTC, cuBLASLt and cuDNN are loaded when a backend is made (driver/), our kernels are compiled
 * by NVRTC for the GPU at hand (kernels/), products are cuBLASLt's (cublaslt/) and attention is
 * cuDNN's (cudnn/).
 *
 * An operation launches nothing itself. It records what is to run on a tape: kernels with their
 * arguments, and calls that enqueue work, as those libraries' do. ft_cuda_submit plays the tape;
 * one that was seen before, equal byte for byte, is replayed as one CUDA graph. So that tapes of
 * steps of one shape are equal, what changes from step to step (learning rates, the key of dropout,
 * counts of tokens, the batch) is not among a kernel's arguments but in a block of device memory,
 * which a submit fills with one copy: see ft_cuda_variable. */
#ifndef FT_BACKEND_CUDA_CUDA_H
#define FT_BACKEND_CUDA_CUDA_H

#include "backend/backend.h"
#include "backend/cuda/kernels/types.h"

typedef struct ft_cuda_driver ft_cuda_driver;   /* driver/driver.h */
typedef struct ft_cuda_modules ft_cuda_modules; /* driver/modules.h: compiled kernels */
typedef struct ft_cuda_tape ft_cuda_tape;       /* tape.h */
typedef struct ft_cublaslt ft_cublaslt;         /* cublaslt/cublaslt.h */
typedef struct ft_cudnn ft_cudnn;               /* cudnn/cudnn.h */

typedef struct ft_cuda {
    ft_backend base;
    const ft_cuda_driver *driver;
    int device;     /* CUdevice */
    void *context;  /* CUcontext: the device's primary context, which torch uses too */
    void *stream;   /* CUstream, which waits for the legacy default stream and it for this; while a
                       graph is recorded, the one that is captured */
    void *ordering; /* CUevent, by which streams of others wait for this one, and it for them */
    int capability; /* 10 * major + minor: 75, 80, 86, 89, 90, 100, 120 */
    int multiprocessors;
    ft_cuda_modules *modules;
    ft_cuda_tape *tape;
    ft_cublaslt *cublaslt;
    ft_cudnn *cudnn;
} ft_cuda;

static inline ft_cuda *ft_cuda_of(ft_backend *backend)
{
    return (ft_cuda *)backend;
}

/* Make the GPU's context the thread's current one until ft_cuda_leave, which brings back what was
 * current before. They nest. Every operation of the table runs between the two, and so do the calls
 * that a submit plays. */
ft_status ft_cuda_enter(const ft_cuda *);
void ft_cuda_leave(const ft_cuda *);

/* ---- recording ---- */

typedef enum ft_kernel {
#define FT_KERNEL_OF(source, name) FT_KERNEL_##name,
#include "backend/cuda/kernels/list.h"
#undef FT_KERNEL_OF
    FT_KERNEL_COUNT,
} ft_kernel;

typedef struct ft_launch {
    ft_kernel kernel;
    ft_precision precision; /* each kernel is compiled for every precision */
    uint32_t grid[3], block[3];
    uint32_t shared_bytes; /* dynamic shared memory */
    const void *arguments; /* the kernel's one parameter, a structure without padding that is not
                              set: tapes are compared byte for byte */
    size_t size;           /* of it */
} ft_launch;

ft_status ft_cuda_launch(ft_cuda *, const ft_launch *);

/* A call that enqueues work on the stream, made when the tape is played; the arguments are copied.
 */
typedef ft_status (*ft_cuda_call)(ft_cuda *, const void *arguments);
ft_status ft_cuda_record_call(ft_cuda *, ft_cuda_call, const void *arguments, size_t size);

/* Where in device memory a value, which may be another in the next tape of the same shape, will be
 * when what is recorded next runs: *device is 16-byte aligned. */
ft_status ft_cuda_variable(ft_cuda *, const void *value, size_t size, const void **device);

/* Device memory for what one operation needs while it runs: its content is undefined, and lost to
 * what asks next. What an operation leaves for a later one to do is in sums.h and behind.h. */
ft_status ft_cuda_scratch(ft_cuda *, size_t bytes, void **out);

/* Dropout and layout as kernels read them. */
ft_status ft_cuda_dropout_variable(ft_cuda *, const ft_dropout *, const ft_cuda_dropout **out);
ft_status ft_cuda_layout_variable(ft_cuda *, const ft_layout *, const ft_cuda_layout **out);
ft_status ft_cuda_int_variable(ft_cuda *, int32_t, const int32_t **out);
ft_status ft_cuda_float_variable(ft_cuda *, float, const float **out);

/* ---- the operations, by file ---- */

/* embedding.c */
ft_status ft_cuda_embedding_forward(ft_backend *, const ft_embedding *);
ft_status ft_cuda_embedding_backward(ft_backend *, const ft_embedding *,
                                     const ft_embedding_gradient *);

/* linear.c */
ft_status ft_cuda_linear_forward(ft_backend *, const ft_linear *);
ft_status ft_cuda_linear_backward(ft_backend *, const ft_linear_gradient *);

/* attention.c */
size_t ft_cuda_attention_state(const ft_backend *, const ft_attention *);
ft_status ft_cuda_attention_forward(ft_backend *, const ft_attention *);
ft_status ft_cuda_attention_backward(ft_backend *, const ft_attention *,
                                     const ft_attention_gradient *);

/* norm.c */
ft_status ft_cuda_residual_norm_forward(ft_backend *, const ft_residual_norm *);
ft_status ft_cuda_residual_norm_backward(ft_backend *, const ft_residual_norm *,
                                         const ft_residual_norm_gradient *);

/* rows.c */
ft_status ft_cuda_first_rows_gather(ft_backend *, const ft_layout *, ft_precision, int32_t hidden,
                                    const void *x, void *first);
ft_status ft_cuda_first_rows_scatter(ft_backend *, const ft_layout *, int32_t hidden,
                                     const float *dfirst, float *dx);
ft_status ft_cuda_dropout_forward(ft_backend *, const ft_dropout *, size_t count, const float *x,
                                  float *y);
ft_status ft_cuda_scale_add(ft_backend *, size_t count, float scale, const float *y, float *x);
ft_status ft_cuda_scale_by(ft_backend *, size_t count, const float *scale, const float *y,
                           float *x);
ft_status ft_cuda_cast(ft_backend *, ft_precision, size_t count, const float *x, void *y);
ft_status ft_cuda_zero_rows(ft_backend *, float *x, size_t count, ft_rows);
ft_status ft_cuda_copy(ft_backend *, void *to, const void *from, size_t bytes);
ft_status ft_cuda_add_flags(ft_backend *, size_t count, const uint8_t *from, uint8_t *to);

/* pack.c */
ft_status ft_cuda_padded_lengths(ft_backend *, const ft_padded_arrays *, int32_t *lengths);
ft_status ft_cuda_pack(ft_backend *, const ft_padded_arrays *, const ft_packed_arrays *);

/* loss.c */
ft_status ft_cuda_loss(ft_backend *, const ft_loss *);

/* optimizer.c */
ft_status ft_cuda_sum_of_squares(ft_backend *, const float *x, size_t count, ft_rows, double *out);
ft_status ft_cuda_clip(ft_backend *, const double *squares, int32_t count, float loss_scale,
                       float max_norm, float *norm_and_scale);
ft_status ft_cuda_adamw(ft_backend *, const ft_adamw *, const ft_adamw_operands *);

#endif
