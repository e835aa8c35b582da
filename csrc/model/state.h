/* What a model is made of; for this folder alone. */
#ifndef FT_MODEL_STATE_H
#define FT_MODEL_STATE_H

#include <stdatomic.h>

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

    ft_precision precision; /* of the layers' products; the embedding and the head are float32 */
    bool tf32;              /* where those, or the head's, take float32: see ft_linear */
    uint16_t *shadow;       /* the layers' parameters in a 16-bit precision, or NULL */
    /* Parameters may be written from outside while an array shows them, so the shadow is made anew
     * for each forward; once no array does, for one more. */
    atomic_int parameter_views;
    atomic_bool shadow_stale;

    /* Rows of the word embedding: `touched` had a gradient since gradients were zeroed; `active`
     * has moments that may not be zero, but for those that the host has `written` since the last
     * update. */
    uint8_t *touched_rows, *active_rows; /* [vocab] */
    uint8_t *rows_written;               /* [vocab], in host memory */
    bool any_rows_written;
    bool word_gradient_shared; /* perhaps written from outside: touched_rows may lack some */

    ft_activations activations;
    ft_pass pass;            /* the last forward */
    bool kept;               /* its activations wait for a backward */
    bool has_loss;           /* its batch had labels */
    atomic_bool accumulated; /* gradients hold something: a backward adds to them */

    /* Sums of squares of gradients, one slot for each piece of the arena that backward finishes. */
    double *squares;
    int32_t square_count, square_capacity;
    bool wants_squares;
    float *outcome;       /* [FT_OUTCOME_COUNT]: of the last update or train step */
    bool outcome_unknown; /* a step failed that may have written to it */

    ft_results results;             /* to be taken; where memory is the host's, all of them; else of
                                       losses those that moved here */
    uint32_t first_step, last_step; /* of those */
    bool scaled;                    /* their gradients were */
};

/* What the backend keeps of steps, in its memory. */
enum {
    FT_OUTCOME_NORM = 0, /* what clip writes: the norm, and the factor of gradients */
    FT_OUTCOME_FACTOR,
    FT_OUTCOME_LOSS,   /* of this step */
    FT_OUTCOME_LOSSES, /* of the steps since results were taken: the sum of their losses */
    FT_OUTCOME_NORMS,  /* and of their norms */
    FT_OUTCOME_FAULTS, /* 0 where that sum is finite, else NaN: two, of losses and of norms */
    FT_OUTCOME_COUNT = FT_OUTCOME_FAULTS + 2,
};

/* model.c: ft_model_forward and ft_model_backward, which may yet have to be submitted. */
ft_status ft_model_record_forward(ft_model *model, const ft_batch *batch, const ft_pass *pass,
                                  float *loss, float *logits);
ft_status ft_model_record_backward(ft_model *model, float loss_scale, const float *dlogits);
/* The parts of a backward: refuses where there is nothing to go back through, and allocates the
 * gradients; goes back from the logits' gradient, once it is in place. */
ft_status ft_model_prepare_backward(ft_model *model, bool wants_dlogits);
ft_status ft_model_backward_of_dlogits(ft_model *model);

/* optimizer.c: the parts of an update. */
ft_status ft_model_check_update(const ft_model *model, const ft_update *update);
/* After the last backward: allocates moments, and says which rows of the word embedding will have
 * any. */
ft_status ft_model_prepare_update(ft_model *model);
/* Writes the norm and the gradients' factor to outcome; from the squares that the last backward
 * left, or from a pass over all gradients. */
ft_status ft_model_compute_norm(ft_model *model, bool have_squares, float gradient_scale,
                                float max_norm);
/* Writes to outcome that gradients are taken as they are, and no norm. */
ft_status ft_model_leave_gradients(ft_model *model);
ft_status ft_model_check_norm(float norm, int64_t step);
/* AdamW, with the factor that outcome holds. */
ft_status ft_model_adamw(ft_model *model, const ft_update *update);

/* memory.c */
ft_status ft_model_refresh_active_rows(ft_model *model);

/* train_step.c: the results that are to be taken of `from` are to be taken of this model. Fails as
 * ft_model_take_results does. */
ft_status ft_model_move_results(ft_model *model, ft_model *from);

/* Ends the message that says what is not finite. */
#define FT_NOT_FINITE_ADVICE                                                                       \
    "the parameters are left as they were before it; a lower learning rate may help, if the data " \
    "and the labels are sound"

/* bert.c: the passes themselves, over the batch that activations hold. */
ft_status ft_bert_forward(ft_model *model, const ft_pass *pass);
ft_status ft_bert_backward(ft_model *model);

/* precision.c: the layers' parameters as products read them. Makes the shadow current, if there is
 * one. */
ft_status ft_model_refresh_shadow(ft_model *model);
/* A layer's weight or bias in the model's precision. */
const void *ft_model_weight(const ft_model *model, const float *weight);
/* The shadow of the parameters from `offset` on, or NULL: they have none. */
uint16_t *ft_model_shadow(const ft_model *model, size_t offset);
/* Whether parameters before and from `offset` on are not alike in having a shadow. */
bool ft_model_shadow_starts_or_ends(const ft_model *model, size_t offset);

/* Squares of a finished piece of the gradient arena, where this backward is to give the norm. */
ft_status ft_model_finish_gradient(ft_model *model, const float *gradient, size_t count,
                                   ft_rows rows);

#endif
