/* 16-bit training: products read shadows of the weights, 16 bits each, which AdamW writes along
 * with the weights themselves. */
#include "model/state.h"

ft_precision ft_model_precision(const ft_model *m)
{
    return m->precision;
}

/* The shadow arena begins with the first layer and ends before the head, which stays float32. */
static size_t shadow_begin(const ft_model *m)
{
    return m->p.layers[0].qkv_weight - m->parameters;
}

static size_t shadow_end(const ft_model *m)
{
    return m->p.dense_weight - m->parameters;
}

ft_status ft_model_set_precision(ft_model *m, ft_precision precision)
{
    const ft_backend_operations *op = m->backend->operations;
    if (precision == m->precision)
        return FT_OK;
    FT_FORWARD(op->check_precision(m->backend, precision));
    void *shadow = NULL;
    if (precision != FT_FLOAT32)
        FT_FORWARD(ft_error_within(
            op->allocate(m->backend, (shadow_end(m) - shadow_begin(m)) * sizeof *m->shadow,
                         &shadow),
            "the weights' 16-bit copies do not fit in memory"));
    if (m->shadow)
        op->release(m->backend, m->shadow);
    m->shadow = shadow;
    m->shadow_stale = true;
    m->precision = precision;
    m->kept = false; /* the kept activations are of the other precision */
    return FT_OK;
}

bool ft_model_tf32(const ft_model *m)
{
    return m->tf32;
}

ft_status ft_model_set_tf32(ft_model *m, bool tf32)
{
    if (tf32)
        FT_FORWARD(m->backend->operations->check_tf32(m->backend));
    m->tf32 = tf32;
    return FT_OK;
}

void ft_model_share_parameters(ft_model *m)
{
    m->parameter_views++;
}

void ft_model_unshare_parameters(ft_model *m)
{
    m->shadow_stale = true;
    m->parameter_views--;
}

ft_status ft_model_refresh_shadow(ft_model *m)
{
    if (m->shadow == NULL)
        return FT_OK;
    bool shared = m->parameter_views > 0;
    if (!shared && !m->shadow_stale)
        return FT_OK;
    m->shadow_stale = false; /* first: an array that goes meanwhile may have been written to */
    ft_status status =
        m->backend->operations->cast(m->backend, m->precision, shadow_end(m) - shadow_begin(m),
                                     m->parameters + shadow_begin(m), m->shadow);
    if (status != FT_OK)
        m->shadow_stale = true;
    return status;
}

const void *ft_model_weight(const ft_model *m, const float *weight)
{
    if (m->precision == FT_FLOAT32)
        return weight;
    return m->shadow + (weight - m->parameters) - shadow_begin(m);
}

bool ft_model_shadow_starts_or_ends(const ft_model *m, size_t offset)
{
    return m->shadow != NULL && (offset == shadow_begin(m) || offset == shadow_end(m));
}

uint16_t *ft_model_shadow(const ft_model *m, size_t offset)
{
    bool inside = offset >= shadow_begin(m) && offset < shadow_end(m);
    return m->shadow != NULL && inside ? m->shadow + (offset - shadow_begin(m)) : NULL;
}
