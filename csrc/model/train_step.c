/* The whole train step, and what comes of it.
 *
 * Where memory is the host's, each number is looked at as soon as it is there. Elsewhere looking
 * would be waiting: losses and norms are summed up in the backend's memory until they are asked
 * for, and AdamW changes nothing from the first on that is not finite, so that by then the
 * parameters are what they were before it. */
#include <math.h>
#include <stdint.h>

#include "model/state.h"

static bool all_ignored(const ft_batch *batch)
{
    for (int32_t s = 0; s < batch->sequences; s++)
        if (batch->class_labels == NULL || batch->class_labels[s] != FT_IGNORE_LABEL)
            return false;
    return true;
}

static ft_status check_labels(const ft_train_step *step)
{
    for (int32_t i = 0; i < step->batch_count; i++) {
        const ft_batch *batch = step->batches[i];
        FT_RETURN_IF(batch->class_labels == NULL && batch->target_labels == NULL, FT_ERROR_VALUE,
                     "the batch has no labels: training needs a 'label' or 'labels' column");
        FT_RETURN_IF(
            all_ignored(batch), FT_ERROR_ARITHMETIC,
            "every label of a batch at step %u is %d, to be ignored: its mean loss is 0 / 0",
            step->step, FT_IGNORE_LABEL);
    }
    return FT_OK;
}

static ft_status check_step(const ft_model *m, const ft_train_step *step)
{
    FT_RETURN_IF(step->batch_count < 1, FT_ERROR_VALUE, "a train step needs at least one batch");
    FT_RETURN_IF(step->batch_count > UINT16_MAX, FT_ERROR_VALUE,
                 "a train step takes at most %d batches, got %d", UINT16_MAX, step->batch_count);
    FT_RETURN_IF(!isfinite(step->loss_scale), FT_ERROR_VALUE, "loss_scale must be finite, got %g",
                 step->loss_scale);
    FT_RETURN_IF(!(step->gradient_scale >= 0 && isfinite(step->gradient_scale)), FT_ERROR_VALUE,
                 "gradient_scale must be a positive number, got %g", step->gradient_scale);
    FT_RETURN_IF(m->results.steps > 0 && (m->scaled || step->gradient_scale > 0), FT_ERROR_RUNTIME,
                 "the results of a step with scaled gradients must be taken before the next step");
    FT_FORWARD(ft_model_check_update(m, &step->update));
    return check_labels(step);
}

/* What gradients are times the true ones. */
static float scale_of(const ft_train_step *step)
{
    return step->gradient_scale > 0 ? step->gradient_scale : 1;
}

static ft_status forward(ft_model *m, const ft_train_step *step, int32_t i, float *loss)
{
    const ft_pass pass = {
        .training = true,
        .keep = true,
        .seed = step->seed,
        .step = step->step,
        .micro_step = (uint16_t)i,
    };
    return ft_model_record_forward(m, step->batches[i], &pass, loss, NULL);
}

/* The last backward of a step leaves the squares of its gradients, if wanted. */
static ft_status backward(ft_model *m, const ft_train_step *step, int32_t i, bool wants_norm)
{
    m->wants_squares = wants_norm && i == step->batch_count - 1;
    m->square_count = 0;
    ft_status status = ft_model_record_backward(m, step->loss_scale * scale_of(step), NULL);
    m->wants_squares = false;
    return status;
}

/* ---- in the host's memory ---- */

static ft_status accumulate_on_host(ft_model *m, const ft_train_step *step, bool wants_norm,
                                    float *loss)
{
    for (int32_t i = 0; i < step->batch_count; i++) {
        float batch_loss = NAN;
        FT_FORWARD(forward(m, step, i, &batch_loss));
        FT_RETURN_IF(!isfinite(batch_loss), FT_ERROR_ARITHMETIC,
                     "the loss is %g at step %u: " FT_NOT_FINITE_ADVICE, batch_loss, step->step);
        FT_FORWARD(backward(m, step, i, wants_norm));
        *loss += batch_loss * step->loss_scale;
    }
    return FT_OK;
}

static ft_status step_on_host(ft_model *m, const ft_train_step *step)
{
    bool scaled = step->gradient_scale > 0, wants_norm = step->update.max_norm > 0 || scaled;
    float loss = 0, norm = NAN;
    FT_FORWARD(accumulate_on_host(m, step, wants_norm, &loss));
    FT_FORWARD(ft_model_prepare_update(m));
    if (wants_norm)
        FT_FORWARD(ft_model_compute_norm(m, true, scale_of(step), step->update.max_norm));
    else
        FT_FORWARD(ft_model_leave_gradients(m));
    FT_FORWARD(m->backend->operations->download(m->backend, &norm, m->outcome + FT_OUTCOME_NORM,
                                                sizeof norm));
    if (wants_norm && !scaled)
        FT_FORWARD(ft_model_check_norm(norm, step->step));
    FT_FORWARD(ft_model_adamw(m, &step->update));
    m->results.losses += loss;
    m->results.norm = norm;
    return FT_OK;
}

/* ---- in memory that is not the host's ---- */

static ft_status accumulate_on_device(ft_model *m, const ft_train_step *step)
{
    const ft_backend_operations *op = m->backend->operations;
    float *loss = m->outcome + FT_OUTCOME_LOSS;
    FT_FORWARD(op->zero(m->backend, loss, sizeof *loss));
    for (int32_t i = 0; i < step->batch_count; i++) {
        FT_FORWARD(forward(m, step, i, NULL));
        float *batch_loss = m->activations.losses;
        if (step->loss_scale != 1)
            FT_FORWARD(op->scale_add(m->backend, 1, step->loss_scale, NULL, batch_loss));
        FT_FORWARD(op->scale_add(m->backend, 1, 1, batch_loss, loss));
        FT_FORWARD(backward(m, step, i, false));
        FT_FORWARD(op->submit(m->backend));
    }
    return FT_OK;
}

/* In two pieces, not a piece with each operation of backward: a launch costs more than reading a
 * layer's gradients again. */
static ft_status add_squares(ft_model *m)
{
    const ft_parameter_table *t = &m->table;
    size_t hidden = m->config.hidden_size, words = m->config.vocab_size * hidden;
    size_t rest = t->entries[1].offset; /* the word embedding is the first */
    m->square_count = 0;
    FT_FORWARD(
        ft_model_finish_gradient(m, m->gradients, words, (ft_rows){m->touched_rows, hidden}));
    return ft_model_finish_gradient(m, m->gradients + rest, t->elements - rest, (ft_rows){0});
}

/* A loss of this step or a norm of an earlier one that is not finite becomes a square that is NaN,
 * which makes the norm NaN, and with it the gradients' factor. */
static ft_status add_faults(ft_model *m)
{
    const ft_backend_operations *op = m->backend->operations;
    float *sums = m->outcome + FT_OUTCOME_LOSSES, *faults = m->outcome + FT_OUTCOME_FAULTS;
    FT_FORWARD(op->scale_add(m->backend, 1, 1, m->outcome + FT_OUTCOME_LOSS, sums));
    FT_FORWARD(op->scale_add(m->backend, 2, 1, sums, faults));
    FT_FORWARD(op->scale_add(m->backend, 2, 0, NULL, faults));
    return ft_model_finish_gradient(m, faults, 2, (ft_rows){0});
}

static ft_status step_on_device(ft_model *m, const ft_train_step *step)
{
    const ft_backend_operations *op = m->backend->operations;
    FT_FORWARD(accumulate_on_device(m, step));
    FT_FORWARD(ft_model_prepare_update(m));
    m->wants_squares = true;
    ft_status status = add_squares(m);
    if (status == FT_OK)
        status = add_faults(m);
    m->wants_squares = false;
    FT_FORWARD(status);
    FT_FORWARD(ft_model_compute_norm(m, true, scale_of(step), step->update.max_norm));
    FT_FORWARD(op->scale_add(m->backend, 1, 1, m->outcome + FT_OUTCOME_NORM,
                             m->outcome + FT_OUTCOME_NORMS));
    FT_FORWARD(ft_model_adamw(m, &step->update));
    return op->submit(m->backend);
}

/* What is wrong with the results that outcome held, if anything is. */
static ft_status check_outcome(const ft_model *m, const float *outcome)
{
    const char *what = NULL;
    float sum = outcome[FT_OUTCOME_LOSSES];
    if (!isfinite(sum)) {
        what = "loss";
    } else if (!m->scaled) {
        what = "gradient norm";
        sum = outcome[FT_OUTCOME_NORMS];
    }
    if (what == NULL || isfinite(sum))
        return FT_OK;
    if (m->first_step == m->last_step)
        return ft_error(FT_ERROR_ARITHMETIC, "the %s is %g at step %u: " FT_NOT_FINITE_ADVICE, what,
                        sum, m->last_step);
    return ft_error(FT_ERROR_ARITHMETIC,
                    "the %s is not finite at one of the steps from %u to %u: " FT_NOT_FINITE_ADVICE,
                    what, m->first_step, m->last_step);
}

/* ---- both ---- */

/* Where a step failed there is no telling what it left in the sums of results. */
static ft_status clear_outcome(ft_model *m)
{
    const ft_backend_operations *op = m->backend->operations;
    if (!m->outcome_unknown)
        return FT_OK;
    FT_FORWARD(op->zero(m->backend, m->outcome, FT_OUTCOME_COUNT * sizeof *m->outcome));
    FT_FORWARD(op->submit(m->backend));
    m->outcome_unknown = false;
    return FT_OK;
}

ft_status ft_model_train_step(ft_model *m, const ft_train_step *step)
{
    FT_FORWARD(check_step(m, step));
    FT_FORWARD(clear_outcome(m));
    FT_FORWARD(ft_model_zero_gradients(m));
    ft_status status = ft_model_host_memory(m) ? step_on_host(m, step) : step_on_device(m, step);
    if (status != FT_OK) {
        m->outcome_unknown = m->results.steps == 0;
        return status;
    }
    if (m->results.steps++ == 0)
        m->first_step = step->step;
    m->last_step = step->step;
    m->scaled = step->gradient_scale > 0;
    return FT_OK;
}

int64_t ft_model_pending_steps(const ft_model *m)
{
    return m->results.steps;
}

ft_status ft_model_take_results(ft_model *m, ft_results *results)
{
    const ft_backend_operations *op = m->backend->operations;
    *results = m->results;
    m->results = (ft_results){.norm = NAN};
    if (op->host_memory || results->steps == 0)
        return FT_OK;
    float outcome[FT_OUTCOME_COUNT];
    m->outcome_unknown = true;
    FT_FORWARD(op->download(m->backend, outcome, m->outcome, sizeof outcome));
    FT_FORWARD(op->zero(m->backend, m->outcome, sizeof outcome));
    m->outcome_unknown = false;
    FT_FORWARD(check_outcome(m, outcome));
    results->losses += outcome[FT_OUTCOME_LOSSES];
    results->norm = outcome[FT_OUTCOME_NORM];
    return FT_OK;
}

ft_status ft_model_move_results(ft_model *m, ft_model *from)
{
    const ft_backend_operations *op = m->backend->operations;
    FT_FORWARD(ft_model_take_results(from, &m->results));
    m->first_step = from->first_step;
    m->last_step = from->last_step;
    m->scaled = from->scaled;
    const float outcome[FT_OUTCOME_COUNT] = {[FT_OUTCOME_NORM] = m->results.norm};
    return op->upload(m->backend, m->outcome, outcome, sizeof outcome);
}
