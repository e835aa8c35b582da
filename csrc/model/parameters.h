/* The parameter table: where each named tensor lies in a flat arena of float32. Parameters,
 * gradients and both moments are four arenas of this one layout.
 *
 * A product's weight and bias are neighbours, and so are the query, key and value weights, which
 * makes them one [3 * hidden, hidden] matrix. */
#ifndef FT_MODEL_PARAMETERS_H
#define FT_MODEL_PARAMETERS_H

#include "model/config.h"

typedef struct ft_parameter {
    char name[96];    /* Hugging Face's key */
    size_t offset;    /* in the arena, in elements */
    size_t count;     /* elements */
    int32_t shape[2]; /* [rows, columns], or [rows, 0] for a vector */
    bool decays;      /* Trainer applies weight decay to it: neither a bias nor a norm's weight */
} ft_parameter;

typedef struct ft_parameter_table {
    int32_t count;
    size_t elements; /* of the whole arena */
    ft_parameter *entries;
} ft_parameter_table;

ft_status ft_parameter_table_create(const ft_model_config *config, ft_parameter_table *table);
void ft_parameter_table_destroy(ft_parameter_table *table);

/* One arena, seen as the model's tensors. */
typedef struct ft_layer_tensors {
    float *qkv_weight;                       /* [3 * hidden, hidden]: query, key, value */
    float *qkv_bias;                         /* [3 * hidden] */
    float *output_weight, *output_bias;      /* [hidden, hidden], [hidden] */
    float *attention_gamma, *attention_beta; /* [hidden] */
    float *up_weight, *up_bias;              /* [intermediate, hidden], [intermediate] */
    float *down_weight, *down_bias;          /* [hidden, intermediate], [hidden] */
    float *gamma, *beta;                     /* [hidden] */
} ft_layer_tensors;

typedef struct ft_tensors {
    float *word;         /* [vocab, hidden] */
    float *position;     /* [positions, hidden] */
    float *type;         /* [types, hidden] or NULL */
    float *gamma, *beta; /* [hidden] */
    ft_layer_tensors *layers;
    float *dense_weight, *dense_bias;           /* pooler or pre-classifier: [hidden, hidden] */
    float *classifier_weight, *classifier_bias; /* [labels, hidden] */
} ft_tensors;

/* `tensors->layers` is allocated here; release it with ft_tensors_destroy. */
ft_status ft_tensors_create(const ft_model_config *config, const ft_parameter_table *table,
                            float *arena, ft_tensors *tensors);
void ft_tensors_destroy(ft_tensors *tensors);

#endif
