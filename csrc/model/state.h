/* What a model is made of; for this folder alone. */
#ifndef FT_MODEL_STATE_H
#define FT_MODEL_STATE_H

#include "model/activations.h"
#include "model/model.h"

struct ft_model {
    ft_model_config config;
    ft_problem problem;
    ft_backend *backend;
    ft_parameter_table table;

    float *parameters, *gradients, *moment1, *moment2; /* [table.elements]; all but the first may
                                                          be NULL: not needed yet */
    ft_tensors p, g; /* parameters and gradients as tensors; g.layers is NULL without gradients */

    /* Rows of the word embedding: `touched` had a gradient since gradients were zeroed; `active`
     * has moments that may not be zero (with the host's copy of it). */
    uint8_t *touched_rows, *active_rows; /* [vocab] */
    uint8_t *active_rows_host;           /* [vocab] */
    bool active_rows_changed;
    bool word_gradient_shared; /* perhaps written from outside: touched_rows may lack some */

    ft_activations activations;
    ft_pass pass;     /* the last forward */
    bool kept;        /* its activations wait for a backward */
    bool has_loss;    /* its batch had labels */
    bool accumulated; /* gradients hold something: a backward adds to them */

    /* Sums of squares of gradients, one slot for each piece of the arena that backward finishes. */
    double *squares;
    int32_t square_count, square_capacity;
    bool wants_squares;
    float *norm_and_scale; /* [2] */
};

/* bert.c: the passes themselves, over the batch that activations hold. */
ft_status ft_bert_forward(ft_model *model, const ft_pass *pass);
ft_status ft_bert_backward(ft_model *model);

/* Squares of a finished piece of the gradient arena, where this backward is to give the norm. */
ft_status ft_model_finish_gradient(ft_model *model, const float *gradient, size_t count,
                                   ft_rows rows);

#endif
