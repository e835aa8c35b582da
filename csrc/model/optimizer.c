/* What happens to gradients after backward: their norm, clipping, AdamW; and the whole train step.
 */
#include <math.h>
#include <string.h>

#include "model/state.h"

static size_t word_elements(const ft_model *m)
{
    return (size_t)m->config.vocab_size * m->config.hidden_size;
}

ft_status ft_model_zero_gradients(ft_model *m)
{
    /* The next backward overwrites what was there. */
    m->accumulated = false;
    return FT_OK;
}

void ft_model_share_word_gradient(ft_model *m)
{
    m->word_gradient_shared = true;
}

/* Copies a buffer of the backend and flags each row of the word embedding that is not all zero. */
static ft_status flag_rows(ft_model *m, const float *table, uint8_t *flags)
{
    size_t h = m->config.hidden_size;
    float row[256];
    for (int32_t r = 0; r < m->config.vocab_size; r++) {
        for (size_t from = 0; from < h && !flags[r]; from += 256) {
            size_t count = h - from < 256 ? h - from : 256;
            FT_FORWARD(m->backend->operations->download(m->backend, row, table + r * h + from,
                                                        count * sizeof(float)));
            for (size_t i = 0; i < count; i++)
                flags[r] |= row[i] != 0;
        }
    }
    return FT_OK;
}

ft_status ft_model_moments_changed(ft_model *m)
{
    /* Rows are only added: those of a gradient that waits for its update must stay, and one too
     * many is harmless. */
    m->active_rows_changed = true;
    if (m->moment1 == NULL)
        return FT_OK;
    FT_FORWARD(flag_rows(m, m->moment1, m->active_rows_host));
    return flag_rows(m, m->moment2, m->active_rows_host);
}

ft_status ft_model_finish_gradient(ft_model *m, const float *gradient, size_t count, ft_rows rows)
{
    if (!m->wants_squares)
        return FT_OK;
    FT_RETURN_IF(m->square_count == m->square_capacity, FT_ERROR_RUNTIME,
                 "more pieces of the gradient than were counted on");
    return m->backend->operations->sum_of_squares(m->backend, gradient, count, rows,
                                                  &m->squares[m->square_count++]);
}

/* norm_and_scale from the squares that a backward left, or from a pass over all gradients. */
static ft_status compute_norm(ft_model *m, bool have_squares, float max_norm)
{
    if (!have_squares) {
        m->square_count = 1;
        FT_FORWARD(m->backend->operations->sum_of_squares(
            m->backend, m->gradients, m->table.elements, (ft_rows){0}, m->squares));
    }
    return m->backend->operations->clip(m->backend, m->squares, m->square_count, 1, max_norm,
                                        m->norm_and_scale);
}

static ft_status need_gradients(const ft_model *m)
{
    FT_RETURN_IF(!m->accumulated, FT_ERROR_RUNTIME,
                 "there are no gradients: run a forward and a backward first");
    return FT_OK;
}

ft_status ft_model_gradient_norm(ft_model *m, float *norm)
{
    FT_FORWARD(need_gradients(m));
    FT_FORWARD(compute_norm(m, false, 0));
    return m->backend->operations->download(m->backend, norm, m->norm_and_scale, sizeof *norm);
}

ft_status ft_model_scale_gradients(ft_model *m, float factor)
{
    FT_FORWARD(need_gradients(m));
    /* 0 times NaN would stay in the gaps of the arena, which nothing writes. */
    FT_RETURN_IF(!isfinite(factor), FT_ERROR_VALUE, "the factor must be finite, got %g", factor);
    return m->backend->operations->scale_add(m->backend, m->table.elements, factor, NULL,
                                             m->gradients);
}

static ft_status refresh_active_rows(ft_model *m)
{
    if (m->word_gradient_shared) {
        FT_FORWARD(flag_rows(m, m->g.word, m->active_rows_host));
        m->active_rows_changed = true;
    }
    if (!m->active_rows_changed)
        return FT_OK;
    FT_FORWARD(m->backend->operations->upload(m->backend, m->active_rows, m->active_rows_host,
                                              m->config.vocab_size));
    m->active_rows_changed = false;
    return FT_OK;
}

static bool same_update(const ft_adamw *a, const ft_adamw *b)
{
    return a->lr == b->lr && a->beta1 == b->beta1 && a->beta2 == b->beta2 && a->eps == b->eps &&
           a->weight_decay == b->weight_decay && a->step == b->step;
}

static ft_status adamw(ft_model *m, const ft_adamw *how, size_t from, size_t count, ft_rows rows)
{
    const ft_adamw_operands operands = {
        .count = count,
        .parameter = m->parameters + from,
        .gradient = m->gradients + from,
        .moment1 = m->moment1 + from,
        .moment2 = m->moment2 + from,
        .shadow = ft_model_shadow(m, from),
        .shadow_precision = m->precision,
        .scale = m->norm_and_scale + 1,
        .rows = rows,
    };
    return m->backend->operations->adamw(m->backend, how, &operands);
}

/* Runs over the longest stretches of the arena whose parameters are updated alike. */
static ft_status adamw_all(ft_model *m, const ft_update *u)
{
    const ft_parameter_table *t = &m->table;
    int32_t first = 0;
    if (u->group_of[0] >= 0)
        FT_FORWARD(adamw(m, &u->groups[u->group_of[0]], 0, word_elements(m),
                         (ft_rows){m->active_rows, m->config.hidden_size}));
    for (first = 1; first < t->count;) {
        int32_t group = u->group_of[first], next = first + 1;
        while (next < t->count && !ft_model_shadow_starts_or_ends(m, t->entries[next].offset) &&
               (u->group_of[next] < 0) == (group < 0) &&
               (group < 0 || same_update(&u->groups[u->group_of[next]], &u->groups[group])))
            next++;
        size_t from = t->entries[first].offset;
        size_t end = next < t->count ? t->entries[next].offset : t->elements;
        if (group >= 0)
            FT_FORWARD(adamw(m, &u->groups[group], from, end - from, (ft_rows){0}));
        first = next;
    }
    return FT_OK;
}

static ft_status check_update(const ft_model *m, const ft_update *u)
{
    for (int32_t i = 0; i < m->table.count; i++)
        FT_RETURN_IF(u->group_of[i] < -1 || u->group_of[i] >= u->group_count, FT_ERROR_INDEX,
                     "parameter %d is in group %d: there are %d groups", i, u->group_of[i],
                     u->group_count);
    for (int32_t i = 0; i < u->group_count; i++) {
        const ft_adamw *g = &u->groups[i];
        FT_RETURN_IF(!(g->lr >= 0 && isfinite(g->lr)), FT_ERROR_VALUE, "invalid learning rate: %g",
                     g->lr);
        FT_RETURN_IF(!(g->beta1 >= 0 && g->beta1 < 1), FT_ERROR_VALUE,
                     "beta1 must be in [0, 1), got %g", g->beta1);
        FT_RETURN_IF(!(g->beta2 >= 0 && g->beta2 < 1), FT_ERROR_VALUE,
                     "beta2 must be in [0, 1), got %g", g->beta2);
        FT_RETURN_IF(!(g->eps >= 0 && isfinite(g->eps)), FT_ERROR_VALUE, "invalid epsilon: %g",
                     g->eps);
        FT_RETURN_IF(!(g->weight_decay >= 0 && isfinite(g->weight_decay)), FT_ERROR_VALUE,
                     "invalid weight_decay: %g", g->weight_decay);
        FT_RETURN_IF(g->step < 1, FT_ERROR_VALUE, "step counts from 1, got %lld",
                     (long long)g->step);
    }
    FT_RETURN_IF(!(u->max_norm >= 0), FT_ERROR_VALUE, "max_grad_norm must not be negative, got %g",
                 u->max_norm);
    return FT_OK;
}

static ft_status update(ft_model *m, const ft_update *u, bool have_squares, float *norm)
{
    const ft_backend_operations *op = m->backend->operations;
    float *moment1, *moment2, norm_and_scale[2] = {NAN, 1.0f};
    FT_FORWARD(ft_model_moments(m, &moment1, &moment2));
    FT_FORWARD(refresh_active_rows(m));
    if (u->max_norm > 0) {
        FT_FORWARD(compute_norm(m, have_squares, u->max_norm));
        FT_FORWARD(
            op->download(m->backend, norm_and_scale, m->norm_and_scale, sizeof norm_and_scale));
        FT_RETURN_IF(
            !isfinite(norm_and_scale[0]), FT_ERROR_ARITHMETIC,
            "the gradient norm is %g at step %lld: the parameters are left as they were "
            "before it; a lower learning rate may help, if the data and the labels are sound",
            norm_and_scale[0], (long long)(u->group_count ? u->groups[0].step : 0));
    } else {
        FT_FORWARD(
            op->upload(m->backend, m->norm_and_scale, norm_and_scale, sizeof norm_and_scale));
    }
    *norm = norm_and_scale[0];
    return adamw_all(m, u);
}

ft_status ft_model_update(ft_model *m, const ft_update *u, float *norm)
{
    FT_FORWARD(check_update(m, u));
    FT_FORWARD(need_gradients(m));
    return update(m, u, false, norm);
}

static bool all_ignored(const ft_batch *batch)
{
    for (int32_t s = 0; s < batch->sequences; s++)
        if (batch->class_labels == NULL || batch->class_labels[s] != FT_IGNORE_LABEL)
            return false;
    return true;
}

static ft_status accumulate(ft_model *m, const ft_train_step *step, float *loss)
{
    *loss = 0;
    for (int32_t i = 0; i < step->batch_count; i++) {
        ft_pass pass = {
            .training = true,
            .keep = true,
            .seed = step->seed,
            .step = step->step,
            .micro_step = (uint16_t)i,
        };
        float batch_loss = NAN;
        FT_FORWARD(ft_model_forward(m, step->batches[i], &pass, &batch_loss, NULL));
        FT_RETURN_IF(!m->has_loss, FT_ERROR_VALUE,
                     "the batch has no labels: training needs a 'label' or 'labels' column");
        FT_RETURN_IF(
            all_ignored(step->batches[i]), FT_ERROR_ARITHMETIC,
            "every label of a batch at step %u is %d, to be ignored: its mean loss is 0 / 0",
            step->step, FT_IGNORE_LABEL);
        FT_RETURN_IF(!isfinite(batch_loss), FT_ERROR_ARITHMETIC,
                     "the loss is %g at step %u: the parameters are left as they were before it; a "
                     "lower learning rate may help, if the data and the labels are sound",
                     batch_loss, step->step);
        m->wants_squares = step->update.max_norm > 0 && i == step->batch_count - 1;
        m->square_count = 0;
        ft_status status = ft_model_backward(m, step->loss_scale, NULL);
        m->wants_squares = false;
        FT_FORWARD(status);
        *loss += batch_loss * step->loss_scale;
    }
    return FT_OK;
}

ft_status ft_model_train_step(ft_model *m, const ft_train_step *step, float *loss, float *norm)
{
    FT_RETURN_IF(step->batch_count < 1, FT_ERROR_VALUE, "a train step needs at least one batch");
    FT_RETURN_IF(step->batch_count > UINT16_MAX, FT_ERROR_VALUE,
                 "a train step takes at most %d batches, got %d", UINT16_MAX, step->batch_count);
    FT_RETURN_IF(!isfinite(step->loss_scale), FT_ERROR_VALUE, "loss_scale must be finite, got %g",
                 step->loss_scale);
    FT_FORWARD(check_update(m, &step->update));
    FT_FORWARD(ft_model_zero_gradients(m));
    FT_FORWARD(accumulate(m, step, loss));
    return update(m, &step->update, true, norm);
}
