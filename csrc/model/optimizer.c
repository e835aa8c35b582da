/* What happens to gradients after backward: their norm, clipping, AdamW. */
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

ft_status ft_model_clear_gradients(ft_model *m)
{
    const ft_backend_operations *op = m->backend->operations;
    if (!m->accumulated)
        return FT_OK;
    FT_FORWARD(op->zero(m->backend, m->gradients, m->table.elements * sizeof(float)));
    FT_FORWARD(op->zero(m->backend, m->touched_rows, m->config.vocab_size));
    return op->submit(m->backend);
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

ft_status ft_model_compute_norm(ft_model *m, bool have_squares, float gradient_scale,
                                float max_norm)
{
    const ft_backend_operations *op = m->backend->operations;
    if (!have_squares) {
        m->square_count = 1;
        FT_FORWARD(op->sum_of_squares(m->backend, m->gradients, m->table.elements, (ft_rows){0},
                                      m->squares));
    }
    return op->clip(m->backend, m->squares, m->square_count, gradient_scale, max_norm,
                    m->outcome + FT_OUTCOME_NORM);
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
    FT_FORWARD(ft_model_compute_norm(m, false, 1, 0));
    return m->backend->operations->download(m->backend, norm, m->outcome + FT_OUTCOME_NORM,
                                            sizeof *norm);
}

ft_status ft_model_scale_gradients(ft_model *m, float factor)
{
    FT_FORWARD(need_gradients(m));
    /* 0 times NaN would stay in the gaps of the arena, which nothing writes. */
    FT_RETURN_IF(!isfinite(factor), FT_ERROR_VALUE, "the factor must be finite, got %g", factor);
    FT_FORWARD(m->backend->operations->scale_add(m->backend, m->table.elements, factor, NULL,
                                                 m->gradients));
    return m->backend->operations->submit(m->backend);
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
        .scale = m->outcome + FT_OUTCOME_FACTOR,
        .rows = rows,
    };
    return m->backend->operations->adamw(m->backend, how, &operands);
}

/* Runs over the longest stretches of the arena whose parameters are updated alike. */
ft_status ft_model_adamw(ft_model *m, const ft_update *u)
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

ft_status ft_model_check_update(const ft_model *m, const ft_update *u)
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

ft_status ft_model_prepare_update(ft_model *m)
{
    float *moment1, *moment2;
    FT_FORWARD(ft_model_moments(m, &moment1, &moment2));
    return ft_model_refresh_active_rows(m);
}

ft_status ft_model_check_norm(float norm, int64_t step)
{
    FT_RETURN_IF(!isfinite(norm), FT_ERROR_ARITHMETIC,
                 "the gradient norm is %g at step %lld: " FT_NOT_FINITE_ADVICE, norm,
                 (long long)step);
    return FT_OK;
}

ft_status ft_model_leave_gradients(ft_model *m)
{
    static const float norm_and_factor[2] = {NAN, 1.0f};
    return m->backend->operations->upload(m->backend, m->outcome + FT_OUTCOME_NORM, norm_and_factor,
                                          sizeof norm_and_factor);
}

ft_status ft_model_update(ft_model *m, const ft_update *u, float *norm)
{
    *norm = NAN;
    FT_FORWARD(ft_model_check_update(m, u));
    FT_FORWARD(need_gradients(m));
    FT_FORWARD(ft_model_prepare_update(m));
    if (u->max_norm > 0) {
        FT_FORWARD(ft_model_compute_norm(m, false, 1, u->max_norm));
        FT_FORWARD(m->backend->operations->download(m->backend, norm, m->outcome + FT_OUTCOME_NORM,
                                                    sizeof *norm));
        FT_FORWARD(ft_model_check_norm(*norm, u->group_count ? u->groups[0].step : 0));
    } else {
        FT_FORWARD(ft_model_leave_gradients(m));
    }
    FT_FORWARD(ft_model_adamw(m, u));
    return ft_model_submit(m);
}
