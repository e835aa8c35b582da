/* Everything a pass writes between reading the batch and changing the parameters, carved from one
 * block of the backend's memory. The block is as large as the largest batch so far needed: passes
 * after that allocate nothing. */
#ifndef FT_MODEL_ACTIVATIONS_H
#define FT_MODEL_ACTIVATIONS_H

#include "common/batch.h"
#include "model/config.h"

/* The batch, in the backend's memory. */
typedef struct ft_inputs {
    int32_t *input_ids, *token_type_ids, *position_ids; /* [tokens] */
    int32_t *cu_seqlens;                                /* [sequences + 1] */
    int32_t *key_starts;                                /* [sequences] */
    int64_t *class_labels;                              /* [sequences] */
    float *target_labels;                               /* [sequences, labels] */
} ft_inputs;

/* One encoder layer, in the order in which forward writes. `rows` is that of the batch, but in the
 * last layer all except k and v have `sequences` rows: only first rows go on from there. */
typedef struct ft_layer_activations {
    const void *in;         /* [batch rows, hidden]: the previous layer's out */
    const float *stream_in; /* [batch rows, hidden]: the same in the residual stream */
    void *first;            /* [sequences, hidden]: the first rows of in; last layer only */
    float
        *first_stream; /* [sequences, hidden]: of stream_in; last layer only; may be first itself */
    void *q, *k, *v;   /* [rows, hidden], with these strides */
    int32_t q_stride, kv_stride;
    void *context;                          /* [rows, hidden] */
    float *lse;                             /* what attention keeps: see ft_attention */
    void *attention_sum;                    /* [rows, hidden]: input of the norm after attention */
    float *attention_mean, *attention_rstd; /* [rows] */
    void *attention_out;                    /* [rows, hidden] */
    float *attention_stream; /* [rows, hidden]: attention_out in the residual stream */
    void *up_kept; /* [rows, intermediate]: GELU's argument; NULL where backward will not run */
    void *up;      /* [rows, intermediate] */
    void *sum;     /* [rows, hidden]: input of the last norm */
    float *mean, *rstd; /* [rows] */
    void *out;          /* [rows, hidden] */
    float *stream;      /* [rows, hidden]: out in the residual stream */
} ft_layer_activations;

/* The gradients that backward passes from one operation to the next. */
typedef struct ft_scratch_gradients {
    float *hidden; /* [rows, hidden]: of a layer's output, then of what flows through residuals */
    void *branch;  /* [rows, hidden]: of what a norm adds to its residual */
    void *context; /* [rows, hidden] */
    void *qkv;    /* [rows, 3 * hidden]; last layer: [sequences, hidden], then [rows, 2 * hidden] */
    void *up;     /* [rows, intermediate] */
    float *first; /* [sequences, hidden]: as `hidden`, in the last layer */
    float *dense; /* [sequences, hidden] */
} ft_scratch_gradients;

typedef struct ft_activations {
    void *memory;
    size_t capacity; /* bytes of memory */
    ft_inputs inputs;
    ft_layout layout;
    float *embedding_sum;                   /* [rows, hidden] */
    float *embedding_mean, *embedding_rstd; /* [rows] */
    void *embedding_out;                    /* [rows, hidden] */
    float *embedding_stream;                /* [rows, hidden]: the same in the residual stream */
    ft_layer_activations *layers;
    float *dense;         /* [sequences, hidden]: after the pooler or pre-classifier */
    float *dense_dropped; /* [sequences, hidden] */
    float *logits;        /* [sequences, labels] */
    float *dlogits;       /* [sequences, labels]: of the loss */
    float *dlogits_given; /* [sequences, labels]: what the caller adds to it */
    float *losses;        /* [sequences]: the batch's is the first; evaluation has several */
    ft_scratch_gradients gradients;
} ft_activations;

ft_status ft_activations_create(const ft_model_config *config, ft_activations *activations);
void ft_activations_destroy(ft_backend *backend, ft_activations *activations);

/* Lays out the buffers for a batch and copies the batch into them. With keep, each layer has
 * buffers of its own, for backward; otherwise all layers share two sets.
 *
 * The residual stream is the activations themselves where they are float32. Otherwise it has two
 * buffers: a norm reads one and writes the other, and no backward needs them. */
ft_status ft_activations_load(ft_backend *backend, const ft_model_config *config,
                              ft_precision precision, const ft_batch *batch, bool keep,
                              ft_activations *activations);
/* The same for a batch that the backend packs: `batch` has its counts and, in host memory,
 * cu_seqlens and key_starts alone. */
ft_status ft_activations_pack(ft_backend *backend, const ft_model_config *config,
                              ft_precision precision, const ft_batch *batch,
                              const ft_padded_arrays *padded, bool keep,
                              ft_activations *activations);

#endif
