/* What kind of BERT a model is. The fields are those of Hugging Face's BertConfig; DistilBERT's
 * differences are fields of their own, so that the step asks about facts, not about names. */
#ifndef FT_MODEL_CONFIG_H
#define FT_MODEL_CONFIG_H

#include <stdint.h>

#include "backend/backend.h"

typedef enum ft_architecture {
    FT_ARCHITECTURE_BERT = 0,   /* Devlin et al. 2018; pooler with tanh before the classifier */
    FT_ARCHITECTURE_DISTILBERT, /* Sanh et al. 2019; no token types, pre-classifier with ReLU */
} ft_architecture;

typedef struct ft_model_config {
    ft_architecture architecture;
    int32_t vocab_size;
    int32_t hidden_size;
    int32_t layers;
    int32_t heads;
    int32_t intermediate_size;
    int32_t max_positions;
    int32_t type_vocab_size; /* 0: no token types */
    int32_t pad_token_id;    /* its word embedding gets no gradient; -1: none */
    int32_t num_labels;
    float layer_norm_eps;
    float hidden_dropout;           /* embedding and feed-forward output */
    float attention_dropout;        /* attention probabilities */
    float attention_output_dropout; /* after attention's output product; 0 in DistilBERT */
    float classifier_dropout;
} ft_model_config;

/* Refuses sizes and probabilities that no model has, naming the field. */
ft_status ft_model_config_check(const ft_model_config *config);

#endif
