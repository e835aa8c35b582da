/* A BERT classifier that can be trained: parameters, gradients and moments in flat arenas of one
 * layout, a backend that holds them, and the passes over them. Not safe for two threads at once. */
#ifndef FT_MODEL_MODEL_H
#define FT_MODEL_MODEL_H

#include "common/batch.h"
#include "model/config.h"
#include "model/parameters.h"

typedef struct ft_model ft_model;

/* One pass over a batch. */
typedef struct ft_pass {
    bool training; /* dropout applies */
    bool keep;     /* activations are kept for one backward */
    uint64_t seed; /* with step and micro_step, the key of the dropout masks */
    uint32_t step;
    uint16_t micro_step;
} ft_pass;

/* Takes over the backend, in success and in failure. Parameters are zero. */
ft_status ft_model_create(const ft_model_config *config, ft_backend *backend, ft_model **out);
void ft_model_destroy(ft_model *model);

const ft_model_config *ft_model_get_config(const ft_model *model);
const char *ft_model_backend_name(const ft_model *model);
int ft_model_threads(const ft_model *model);
ft_status ft_model_set_threads(ft_model *model, int threads);
/* Products of the encoder's layers take operands of this precision, and so are their activations;
 * parameters, gradients, moments, the residual stream, the head and the loss are float32 in any. To
 * be chosen between a backward and the next forward; float32 at first. */
ft_precision ft_model_precision(const ft_model *model);
ft_status ft_model_set_precision(ft_model *model, ft_precision precision);
const ft_parameter_table *ft_model_table(const ft_model *model);
ft_problem ft_model_problem(const ft_model *model);
void ft_model_set_problem(ft_model *model, ft_problem problem);

/* The arenas. Gradients and moments are allocated when first asked for or needed. */
float *ft_model_parameters(ft_model *model);
ft_status ft_model_gradients(ft_model *model, float **out);
ft_status ft_model_moments(ft_model *model, float **moment1, float **moment2);

/* From now on, and until it is unshared as often, the arena of parameters may be written from
 * outside. These two may be called while another thread is in a pass. */
void ft_model_share_parameters(ft_model *model);
void ft_model_unshare_parameters(ft_model *model);

/* After moments were written from outside: finds again which word embeddings have any. */
ft_status ft_model_moments_changed(ft_model *model);
/* The word embedding's gradient may be written from outside from now on: every update then looks
 * through all its rows. */
void ft_model_share_word_gradient(ft_model *model);
/* Elements of the last forward's logits. */
size_t ft_model_logit_count(const ft_model *model);
/* Whether there is a gradient: a backward since the last ft_model_zero_gradients. May be asked
 * while another thread is in a pass. */
bool ft_model_has_gradients(const ft_model *model);

/* Writes logits [sequences, labels] (unless NULL) and, where the batch has labels, *loss; the
 * model's problem says which kind of labels it wants. Batches that the model cannot take (ids,
 * positions, types or labels out of range) are refused before anything is computed. */
ft_status ft_model_forward(ft_model *model, const ft_batch *batch, const ft_pass *pass, float *loss,
                           float *logits);

/* A forward without dropout, of which nothing is kept. Writes logits as above, and, where the batch
 * has labels, the mean loss of every loss_rows sequences (the last may be fewer): losses
 * [ceil(sequences / loss_rows)]. Sequences do not influence each other, so batches that lie end to
 * end in one give the losses that they give alone. */
ft_status ft_model_evaluate(ft_model *model, const ft_batch *batch, int32_t loss_rows,
                            float *losses, float *logits);

/* Adds the gradient of loss_scale * loss + sum(dlogits * logits) of the last kept forward; dlogits
 * [sequences, labels] may be NULL. Takes the kept activations: one backward a forward. */
ft_status ft_model_backward(ft_model *model, float loss_scale, const float *dlogits);

ft_status ft_model_zero_gradients(ft_model *model);
ft_status ft_model_gradient_norm(ft_model *model, float *norm);
ft_status ft_model_scale_gradients(ft_model *model, float factor);

/* One AdamW step. group_of [table count] is each parameter's index into groups, or -1: left alone.
 * With max_norm > 0 gradients are clipped to that global norm (all of them counted) and *norm is
 * what it was; otherwise *norm is NaN. */
typedef struct ft_update {
    const ft_adamw *groups;
    int32_t group_count;
    const int32_t *group_of;
    float max_norm;
} ft_update;

ft_status ft_model_update(ft_model *model, const ft_update *update, float *norm);

/* A whole step: zero gradients; forward and backward of each batch, dropout on, its loss times
 * loss_scale; clip; update. *loss is the sum of the scaled losses. A loss or norm that is not
 * finite is an error that leaves parameters and moments as they were. */
typedef struct ft_train_step {
    const ft_batch *const *batches;
    int32_t batch_count;
    float loss_scale;
    uint64_t seed;
    uint32_t step;
    ft_update update;
} ft_train_step;

ft_status ft_model_train_step(ft_model *model, const ft_train_step *step, float *loss, float *norm);

#endif
