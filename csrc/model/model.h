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
/* Whether the processor may read and write the arenas; if not, the GPU that they are on. */
bool ft_model_host_memory(const ft_model *model);
int ft_model_device(const ft_model *model);
int ft_model_threads(const ft_model *model);
ft_status ft_model_set_threads(ft_model *model, int threads);
/* Products of the encoder's layers take operands of this precision, and so are their activations;
 * parameters, gradients, moments, the residual stream, the head and the loss are float32 in any. To
 * be chosen between a backward and the next forward; float32 at first. */
ft_precision ft_model_precision(const ft_model *model);
ft_status ft_model_set_precision(ft_model *model, ft_precision precision);
/* Whether products of linear layers may round float32 operands to TensorFloat-32, those of the head
 * too; attention's do not. Not at first. */
bool ft_model_tf32(const ft_model *model);
ft_status ft_model_set_tf32(ft_model *model, bool tf32);
const ft_parameter_table *ft_model_table(const ft_model *model);
ft_problem ft_model_problem(const ft_model *model);
void ft_model_set_problem(ft_model *model, ft_problem problem);

/* The arenas, in the backend's memory. Gradients and moments are allocated when first asked for or
 * needed. */
float *ft_model_parameters(ft_model *model);
ft_status ft_model_gradients(ft_model *model, float **out);
ft_status ft_model_moments(ft_model *model, float **moment1, float **moment2);

typedef enum ft_arena { FT_PARAMETERS, FT_GRADIENTS, FT_MOMENTS1, FT_MOMENTS2 } ft_arena;

/* Copies what an arena holds for one parameter of the table to host memory, or from it. */
ft_status ft_model_read(ft_model *model, ft_arena arena, int32_t parameter, float *values);
ft_status ft_model_write(ft_model *model, ft_arena arena, int32_t parameter, const float *values);
ft_status ft_model_zero_moments(ft_model *model, int32_t parameter);
/* Takes over the parameters, gradients, moments, precision and problem of a model of the same
 * configuration, which may be on another backend, and the results of its steps, which it has no
 * longer. What fails leaves this model half copied; losses or norms that are not finite do. */
ft_status ft_model_copy_state(ft_model *model, ft_model *from);

/* What operations wrote is there for others that use the GPU from now on. */
ft_status ft_model_submit(ft_model *model);
ft_status ft_model_synchronize(ft_model *model);
/* `follow` and `lead` of the backend, for a stream of others. */
ft_status ft_model_follow(ft_model *model, void *stream);
ft_status ft_model_lead(ft_model *model, void *stream);

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

/* A forward of a padded batch, not empty, of arrays in the backend's memory. *taken is false, and
 * nothing was done, where something is wrong with it: packed in the host's memory it is refused
 * with a message that says what. What values must be below is set here. Waits once, for the lengths
 * of the rows: they say how much there is to compute. */
ft_status ft_model_forward_padded(ft_model *model, const ft_padded_arrays *padded,
                                  const ft_pass *pass, bool *taken);
/* Copies the last forward's logits and, where its batch had labels, its loss: in the backend's
 * memory, or to the host's, which waits. */
ft_status ft_model_copy_outputs(ft_model *model, float *loss, float *logits);
ft_status ft_model_download_outputs(ft_model *model, float *loss, float *logits);
/* ft_model_backward, loss_scale [1] and dlogits being in the backend's memory, where they must stay
 * as they are until it is done; NULL: 0. */
ft_status ft_model_backward_from(ft_model *model, const float *loss_scale, const float *dlogits);
bool ft_model_has_loss(const ft_model *model);
/* Copies from memory of others in the backend's; waits. */
ft_status ft_model_download(ft_model *model, void *to_host, const void *from, size_t bytes);

/* There is no gradient any more; the next backward overwrites what was there. */
ft_status ft_model_zero_gradients(ft_model *model);
/* Where there is a gradient, it becomes 0. */
ft_status ft_model_clear_gradients(ft_model *model);
ft_status ft_model_gradient_norm(ft_model *model, float *norm);
ft_status ft_model_scale_gradients(ft_model *model, float factor);

/* One AdamW step. group_of [table count] is each parameter's index into groups, or -1: left alone.
 * With max_norm > 0 gradients are clipped to that global norm (all of them counted) and *norm is
 * what it was; otherwise *norm is NaN. A norm that is not finite is an error that leaves parameters
 * and moments as they were. */
typedef struct ft_update {
    const ft_adamw *groups;
    int32_t group_count;
    const int32_t *group_of;
    float max_norm;
} ft_update;

ft_status ft_model_update(ft_model *model, const ft_update *update, float *norm);

/* A whole step: zero gradients; forward and backward of each batch, dropout on, its loss times
 * loss_scale; clip; update.
 *
 * A loss that is not finite is an error that leaves parameters and moments as they were. So is a
 * gradient norm that is not, unless gradients were scaled: then the step changes nothing, and the
 * norm tells so; results of such a step must be taken before the next. Where memory is not the
 * host's, the error is that of ft_model_take_results, and until then no further step changes
 * anything. */
typedef struct ft_train_step {
    const ft_batch *const *batches;
    int32_t batch_count;
    float loss_scale;
    float gradient_scale; /* backward computes gradients times this, for float16's sake; 0: they are
                             not scaled */
    uint64_t seed;
    uint32_t step;
    ft_update update;
} ft_train_step;

ft_status ft_model_train_step(ft_model *model, const ft_train_step *step);

/* What came of the train steps whose results were not yet taken. */
typedef struct ft_results {
    double losses; /* the sum, over steps, of the sum of scaled losses */
    int64_t steps; /* how many; 0: losses is 0 and norm NaN */
    float norm;    /* of the last step's gradients */
} ft_results;

/* How many steps' results there are to take. */
int64_t ft_model_pending_steps(const ft_model *model);
/* Waits for the steps; what is taken is not there any more, in success and in failure. */
ft_status ft_model_take_results(ft_model *model, ft_results *results);

#endif
