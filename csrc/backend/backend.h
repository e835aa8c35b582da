/* The table of operations in terms of which the model's step is written. A backend is one
 * implementation of it: reference/ defines what every operation means in plain loops; the others
 * are tested against it, operation by operation.
 *
 * Conventions
 *   - A `void *` operand is of the structure's precision; a `float *` operand is float32 always.
 *     All but those of `upload`, `download` and `padded_lengths` that say so, and the scalars in
 *     the structures, are memory of the backend (host memory on CPU backends).
 *   - Whatever the precision, operations compute in float32 and round what they write, once, at
 *     the end; where something is rounded sooner, the operation says so. Products take rounded
 *     operands and sum in float32. The residual stream, which every layer adds to, and its
 *     gradient stay float32, as under PyTorch's autocast.
 *   - Matrices are row-major and contiguous unless a stride (in elements) is given.
 *   - `rows` counts the packed tokens rounded up to a bucket; rows from `tokens` on belong to no
 *     sequence. Operations leave finite values in them going forward and zeros in every gradient
 *     that they write going backward, so that products may run over all `rows`.
 *   - Gradients of parameters are written where `accumulate` is false and added to where it is
 * true.
 *   - Sums have a fixed order: the same input and thread count give the same bits. Those of cuDNN's
 *     attention, backward, have none.
 *   - The mask of ft_dropout keeps element e where philox(key = seed, counter = (e / 4, site and
 *     micro_step, step))'s lane e % 4, over 2^32, is at least p; see backend/dropout.h.
 */
#ifndef FT_BACKEND_BACKEND_H
#define FT_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef enum ft_activation {
    FT_ACTIVATION_NONE = 0,
    FT_ACTIVATION_GELU, /* x * Phi(x) through erf, not the tanh approximation */
    FT_ACTIVATION_TANH,
    FT_ACTIVATION_RELU,
} ft_activation;

typedef enum ft_problem {
    FT_PROBLEM_SINGLE_LABEL = 0, /* cross-entropy over the labels */
    FT_PROBLEM_REGRESSION,       /* mean squared error */
    FT_PROBLEM_MULTI_LABEL,      /* binary cross-entropy with logits */
} ft_problem;

typedef enum ft_precision {
    FT_FLOAT32 = 0,
    FT_BFLOAT16, /* float32's upper half: rounded to nearest, ties to even */
    FT_FLOAT16,  /* IEEE 754 binary16, rounded likewise; what is too large becomes infinity */
} ft_precision;

/* Dropout of probability p: kept elements are scaled by 1 / (1 - p). p = 0 is the identity. */
typedef struct ft_dropout {
    float p;
    uint64_t seed;
    uint32_t step;       /* optimizer step */
    uint16_t micro_step; /* forward pass within the step */
    uint16_t site;       /* which dropout of the model */
} ft_dropout;

/* Where each sequence lies among the packed rows. */
typedef struct ft_layout {
    int32_t sequences;
    int32_t tokens;
    int32_t rows; /* tokens rounded up to a bucket */
    int32_t max_length;
    const int32_t *cu_seqlens; /* [sequences + 1] */
    const int32_t *key_starts; /* [sequences], see ft_batch; never NULL */
    bool first_masked;         /* some sequence's first key is masked: its key_starts says so */
} ft_layout;

/* LayerNorm(word[id] + position[p] + type[t]), then dropout: element index = row * hidden + column.
 * Rows are `layout.tokens` and, up to `rows`, zeros in `sum`, `out` and `stream`. */
typedef struct ft_embedding {
    ft_precision precision; /* of out */
    int32_t tokens, rows, hidden;
    const int32_t *input_ids;      /* [tokens] */
    const int32_t *position_ids;   /* [tokens] */
    const int32_t *token_type_ids; /* [tokens]; unused where type is NULL */
    const float *word;             /* [vocab, hidden] */
    const float *position;         /* [positions, hidden] */
    const float *type;             /* [types, hidden] or NULL: the model has none */
    const float *gamma, *beta;     /* [hidden] */
    float eps;
    ft_dropout dropout;
    float *sum;         /* [rows, hidden]: kept for backward */
    float *mean, *rstd; /* [rows]: kept for backward; rstd = 1 / sqrt(variance + eps) */
    void *out;          /* [rows, hidden] */
    float *stream;      /* [rows, hidden]: out before it was rounded, or NULL: not wanted */
} ft_embedding;

typedef struct ft_embedding_gradient {
    float *dout;           /* [rows, hidden]; overwritten */
    float *dword;          /* [vocab, hidden]; always added to, in row order */
    uint8_t *word_rows;    /* [vocab]: set to 1 for each row of dword that was added to */
    float *dposition;      /* [positions, hidden]; always added to */
    float *dtype;          /* [types, hidden] or NULL; always added to */
    float *dgamma, *dbeta; /* [hidden] */
    int32_t padding_id;    /* the row of word that gets no gradient, or -1 */
    bool accumulate;       /* for dgamma and dbeta */
} ft_embedding_gradient;

/* y = activation(z), z = x weight^T + bias. The activation takes z rounded, whether it is kept or
 * not: so it does under PyTorch's autocast, and backward sees what forward saw. A backend may take
 * the bias or what it is rounded to, as autocast does.
 *
 * tf32, here and going backward: products may round float32 operands to TensorFloat-32, which has
 * float32's range and 10 bits behind the point, where there are such products; sums are float32. */
typedef struct ft_linear {
    ft_precision precision;
    bool tf32;
    int32_t rows, in, out;
    const void *x;            /* [rows, in] */
    const void *weight;       /* [out, in] */
    const float *bias;        /* [out] */
    const void *rounded_bias; /* [out], in `precision`; NULL where that is float32 */
    ft_activation activation;
    void *kept; /* [rows, out]: z, for GELU alone; NULL: not kept (evaluation) */
    void *y;    /* [rows, out] */
} ft_linear;

/* dz = dy * activation'(z); dx = dz weight; dweight = dz^T x; dbias = the sum of dz's rows. dz
 * overwrites dy, and the others are made of it as it is there: rounded. */
typedef struct ft_linear_gradient {
    ft_precision precision;
    ft_precision dx_precision; /* of dx alone: float32 where it is the residual stream's */
    bool tf32;
    int32_t rows, in, out;
    const void *x;      /* [rows, in] */
    const void *weight; /* [out, in] */
    ft_activation activation;
    const void *kept; /* [rows, out]: GELU: z; tanh, ReLU: y; none: unused */
    void *dy;         /* [rows, out]; becomes dz */
    void *dx;         /* [rows, in] or NULL: not wanted */
    bool add_to_dx;   /* dx += instead of dx =; dx is float32 */
    float *dweight;   /* [out, in] */
    float *dbias;     /* [out] */
    bool accumulate;  /* for dweight and dbias */
} ft_linear_gradient;

/* Scaled dot-product attention inside each sequence, over the keys from key_starts on:
 * out = dropout(softmax(q k^T / sqrt(head_dim))) v, head h being columns h * head_dim onward.
 * With first_only there is one query a sequence (its first row): q, out and their gradients have
 * `sequences` rows. Otherwise they have `rows`. Dropout's element index is
 * (query row * heads + head) * 65536 + (key row - cu_seqlens[s]), the query row being that among
 * the packed rows in either case. Scores, probabilities and their gradients are float32; a backend
 * may round probabilities and the scores' gradients once, as operands of products with v, dout, k
 * and q, as PyTorch does, and may take the sum of p * dp, which is that of dout * out, from out as
 * it was rounded. */
typedef struct ft_attention {
    ft_precision precision;
    const ft_layout *layout;
    int32_t heads, head_dim;
    bool first_only;
    const void *q, *k, *v; /* rows of heads * head_dim, q_stride or kv_stride apart */
    int32_t q_stride, kv_stride;
    ft_dropout dropout;
    void *out;  /* [query rows, heads * head_dim]; backward may read it */
    float *lse; /* [heads, query rows]: log(sum(exp(scaled scores))), kept for backward; or what
                   else the backend keeps, attention_state bytes of it */
} ft_attention;

typedef struct ft_attention_gradient {
    const void *dout;   /* [query rows, heads * head_dim] */
    void *dq, *dk, *dv; /* written; strides as those of q, k, v */
} ft_attention_gradient;

/* y = LayerNorm(dropout(x) + residual); dropout's element index = row * hidden + column. Forward
 * over the first `tokens` rows; y and stream are zero from there to `rows`. mean, rstd, y and
 * stream are those of the sum before it was rounded; backward takes the sum as it was kept. */
typedef struct ft_residual_norm {
    ft_precision precision;
    int32_t tokens, rows, hidden;
    const void *x;         /* [rows, hidden] */
    const float *residual; /* [rows, hidden] */
    const float *gamma, *beta;
    float eps;
    ft_dropout dropout;
    void *sum;          /* [rows, hidden]: kept for backward; may be x itself */
    float *mean, *rstd; /* [rows]: kept for backward */
    void *y;            /* [rows, hidden] */
    float *stream;      /* [rows, hidden]: y before it was rounded, or NULL: not wanted */
} ft_residual_norm;

typedef struct ft_residual_norm_gradient {
    const float *dy;       /* [rows, hidden] */
    float *dresidual;      /* [rows, hidden]; may be dy itself */
    void *dx;              /* [rows, hidden] */
    float *dgamma, *dbeta; /* [hidden] */
    bool accumulate;
} ft_residual_norm_gradient;

/* Types of number that users' arrays may have. */
typedef enum ft_number {
    FT_NUMBER_INT64 = 0,
    FT_NUMBER_INT32,
    FT_NUMBER_UINT8,
    FT_NUMBER_BOOL, /* a byte: 0, or else 1 */
    FT_NUMBER_FLOAT32,
    FT_NUMBER_FLOAT64,
    FT_NUMBER_COUNT,
} ft_number;

/* A user's array [rows, columns] in the backend's memory, each of its numbers aligned. */
typedef struct ft_array {
    const void *data; /* NULL: not given */
    ft_number type;
    int64_t row_stride, column_stride; /* in bytes */
} ft_array;

/* A padded batch in the backend's memory, as ft_padded (collator/pack.h) is one in the host's, and
 * what its values must be below. Types of float are for target labels alone. */
typedef struct ft_padded_arrays {
    int32_t rows, length;
    ft_array input_ids;      /* [rows, length] */
    ft_array attention_mask; /* [rows, length] of 0 and 1; not given: all 1 */
    ft_array token_type_ids; /* [rows, length]; not given: all 0 */
    ft_array position_ids;   /* [rows, length]; not given: the column's number */
    ft_array labels;         /* [rows, label_width], or not given */
    int32_t label_width;     /* 1, for class labels */
    bool class_labels;       /* labels are those of a single-label problem */
    int32_t vocabulary, positions, types, classes; /* how many there are of each */
} ft_padded_arrays;

/* The batch that a padded one becomes: see ft_batch (common/batch.h). */
typedef struct ft_packed_arrays {
    const int32_t *cu_seqlens;                          /* [rows + 1] */
    int32_t *input_ids, *token_type_ids, *position_ids; /* [tokens] */
    int64_t *class_labels;                              /* [rows] */
    float *target_labels;                               /* [rows, label_width] */
} ft_packed_arrays;

/* The loss of a batch and its gradient. Means are taken as Hugging Face takes them: over the
 * sequences whose label is not FT_IGNORE_LABEL (single label), over all entries (otherwise). */
typedef struct ft_loss {
    int32_t sequences, labels;
    ft_problem problem;
    const float *logits;         /* [sequences, labels] */
    const int64_t *class_labels; /* [sequences], single label */
    const float *target_labels;  /* [sequences, labels], otherwise */
    float *loss;                 /* [1] */
    float *dlogits;              /* [sequences, labels]: of the mean loss */
} ft_loss;

/* A table of which only some rows matter. flags NULL: all do. */
typedef struct ft_rows {
    const uint8_t *flags; /* [count] */
    size_t width;         /* elements a row */
} ft_rows;

/* Decoupled weight decay Adam (Loshchilov and Hutter 2019) in torch.optim.AdamW's order:
 * p -= lr wd p; m, v updated; p -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) +
 * eps) */
typedef struct ft_adamw {
    double lr, beta1, beta2, eps, weight_decay;
    int64_t step; /* from 1 */
} ft_adamw;

typedef struct ft_adamw_operands {
    size_t count;
    float *parameter;
    const float *gradient;
    float *moment1, *moment2;
    void *shadow; /* 16-bit copy of the parameters, to be kept up to date; or NULL */
    ft_precision shadow_precision;
    const float *scale; /* [1]: the gradient is multiplied by it, or, where it is NaN, nothing is
                           changed; or NULL */
    ft_rows rows;       /* those without a flag have zero gradient and moments: only decayed */
} ft_adamw_operands;

typedef struct ft_backend ft_backend;

typedef struct ft_backend_operations {
    const char *name;
    bool host_memory; /* the processor may read and write what is allocated */
    void (*destroy)(ft_backend *);

    /* FT_OK where operands of this precision are taken; otherwise why not, and what to do. */
    ft_status (*check_precision)(ft_backend *, ft_precision);
    /* The same of products in TensorFloat-32. Where there are none, `tf32` changes nothing. */
    ft_status (*check_tf32)(ft_backend *);

    /* On how many threads operations run from now on; what was made for another number is dropped.
     * Refuses a number below 1 or beyond reason. The reference has one thread, whatever is set. */
    int (*threads)(const ft_backend *);
    ft_status (*set_threads)(ft_backend *, int threads);

    /* Operations may be carried out later than they are asked for, in the order in which they were
     * asked for; what they read is what it was when they were asked for only where it is the
     * structures themselves or `upload`'s source. `submit` starts those that were not yet started,
     * `synchronize` waits until all are done; `download` does so by itself. */
    ft_status (*submit)(ft_backend *);
    ft_status (*synchronize)(ft_backend *);

    /* How many rows a batch of `tokens` is rounded up to, so that a backend prepares its products
     * for few shapes. */
    int32_t (*bucket)(const ft_backend *, int32_t tokens);
    /* The bytes of ft_attention's lse for a batch of this layout; pointers in it are unused. */
    size_t (*attention_state)(const ft_backend *, const ft_attention *);

    /* Memory is zero-filled and FT_ALIGNMENT-aligned. */
    ft_status (*allocate)(ft_backend *, size_t bytes, void **out);
    void (*release)(ft_backend *, void *memory);
    ft_status (*upload)(ft_backend *, void *to, const void *from_host, size_t bytes);
    ft_status (*download)(ft_backend *, void *to_host, const void *from, size_t bytes);
    ft_status (*zero)(ft_backend *, void *memory, size_t bytes);
    ft_status (*copy)(ft_backend *, void *to, const void *from, size_t bytes);

    /* Streams of others that use the GPU, by their handles (NULL and 1: the legacy default stream).
     * follow: operations that are submitted from now on come after what the stream has to do.
     * lead: what the stream is given from now on comes after the operations that were asked for,
     * which this submits. Where memory is the host's there is nothing to be done. */
    ft_status (*follow)(ft_backend *, void *stream);
    ft_status (*lead)(ft_backend *, void *stream);

    /* lengths [rows], in the host's memory: how many tokens each row keeps (those whose mask is 1,
     * and its first), negated where the first is masked; 0 where something is wrong with the row: a
     * mask of other numbers or of none but 0, or a value out of range among its class label, the
     * ids and positions of the tokens it keeps and the types of all. Waits, as `download` does. */
    ft_status (*padded_lengths)(ft_backend *, const ft_padded_arrays *, int32_t *lengths);
    /* Packs what padded_lengths found nothing wrong with, cu_seqlens being made of the lengths.
     * Where the arrays have changed since, some tokens are others, but none is out of range. */
    ft_status (*pack)(ft_backend *, const ft_padded_arrays *, const ft_packed_arrays *);

    ft_status (*embedding_forward)(ft_backend *, const ft_embedding *);
    ft_status (*embedding_backward)(ft_backend *, const ft_embedding *,
                                    const ft_embedding_gradient *);
    ft_status (*linear_forward)(ft_backend *, const ft_linear *);
    ft_status (*linear_backward)(ft_backend *, const ft_linear_gradient *);
    ft_status (*attention_forward)(ft_backend *, const ft_attention *);
    ft_status (*attention_backward)(ft_backend *, const ft_attention *,
                                    const ft_attention_gradient *);
    ft_status (*residual_norm_forward)(ft_backend *, const ft_residual_norm *);
    ft_status (*residual_norm_backward)(ft_backend *, const ft_residual_norm *,
                                        const ft_residual_norm_gradient *);

    /* first[s] = x[cu_seqlens[s]], and its transpose: dx[cu_seqlens[s]] += dfirst[s]. */
    ft_status (*first_rows_gather)(ft_backend *, const ft_layout *, ft_precision, int32_t hidden,
                                   const void *x, void *first);
    ft_status (*first_rows_scatter)(ft_backend *, const ft_layout *, int32_t hidden,
                                    const float *dfirst, float *dx);

    /* y = dropout(x), element index = position; y may be x. Its backward is the same operation. */
    ft_status (*dropout)(ft_backend *, const ft_dropout *, size_t count, const float *x, float *y);
    ft_status (*loss)(ft_backend *, const ft_loss *);

    /* x = scale * x (+ y where y is not NULL). */
    ft_status (*scale_add)(ft_backend *, size_t count, float scale, const float *y, float *x);
    /* The same, the scale being in the backend's memory. */
    ft_status (*scale_by)(ft_backend *, size_t count, const float *scale, const float *y, float *x);

    /* *out = the sum of squares of x, accumulated in float64. */
    ft_status (*sum_of_squares)(ft_backend *, const float *x, size_t count, ft_rows, double *out);
    /* The gradients' norm and what they are to be multiplied by, where they are loss_scale times
     * the true ones: norm_and_scale[0] = norm = sqrt(sum of squares[0..count]) / loss_scale;
     * norm_and_scale[1] = min(1, max_norm / (norm + 1e-6)) / loss_scale, or 1 / loss_scale where
     * max_norm is 0; NaN where the norm is not finite. */
    ft_status (*clip)(ft_backend *, const double *squares, int32_t count, float loss_scale,
                      float max_norm, float *norm_and_scale);
    /* One pass over parameters, gradients, moments and shadow. */
    ft_status (*adamw)(ft_backend *, const ft_adamw *, const ft_adamw_operands *);
    /* y = x rounded to a 16-bit precision; NaN stays NaN. */
    ft_status (*cast)(ft_backend *, ft_precision, size_t count, const float *x, void *y);
    /* Zeroes the flagged rows of x. */
    ft_status (*zero_rows)(ft_backend *, float *x, size_t count, ft_rows);
    /* Sets those of `to` that are set in `from`. */
    ft_status (*add_flags)(ft_backend *, size_t count, const uint8_t *from, uint8_t *to);
} ft_backend_operations;

struct ft_backend {
    const ft_backend_operations *operations;
    int device; /* which GPU its memory is on; unused where that is the host's */
};

ft_status ft_backend_reference_create(ft_backend **out);

/* threads 0: what OpenMP chooses (OMP_NUM_THREADS, or the processors at hand). */
ft_status ft_backend_cpu_create(int threads, ft_backend **out);

/* On the GPU of that number. Refused, with what to do, where there is none that will do or where
 * one of NVIDIA's libraries is missing. */
ft_status ft_backend_cuda_create(int device, ft_backend **out);

/* More threads than this are refused: libgomp ends the process where it cannot start one. */
enum { FT_MOST_THREADS = 1024 };

/* Refuses a number of threads below 1 or above FT_MOST_THREADS. */
ft_status ft_backend_check_threads(int threads);

/* By name: "reference", "cpu", "cuda" or "cuda:<number>", or "auto": the best that was built for
 * the processor. Unknown names are refused. Threads are the processor's; a GPU has none to be set.
 */
ft_status ft_backend_create(const char *name, int threads, ft_backend **out);

#endif
