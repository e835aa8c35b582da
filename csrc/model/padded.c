/* Passes over arrays of others in the backend's memory. What reads or writes those is submitted by
 * itself: their addresses change from step to step, and the tapes of steps are to be equal. */
#include <stdlib.h>

#include "model/state.h"

/* What is told of a batch by its rows' lengths, which become its cu_seqlens in place, and whether
 * the model takes it. lengths [rows + 1]: those of the rows are from the second on; key_starts
 * [rows]. */
static bool describe(const ft_model *m, const ft_padded_arrays *padded, int32_t *lengths,
                     int32_t *key_starts, ft_batch *batch)
{
    int64_t tokens = 0;
    bool first_masked = false;
    *batch = (ft_batch){.sequences = padded->rows, .cu_seqlens = lengths};
    lengths[0] = 0;
    for (int32_t row = 0; row < padded->rows; row++) {
        int32_t length = abs(lengths[row + 1]);
        if (length == 0 || tokens + length > 1 << 30)
            return false;
        key_starts[row] = (int32_t)tokens + (lengths[row + 1] < 0);
        first_masked |= lengths[row + 1] < 0;
        tokens += length;
        lengths[row + 1] = (int32_t)tokens;
        if (length > batch->max_length)
            batch->max_length = length;
    }
    batch->tokens = (int32_t)tokens;
    batch->key_starts = first_masked ? key_starts : NULL;
    return batch->max_length <= m->config.max_positions;
}

static ft_status forward(ft_model *m, const ft_padded_arrays *padded, const ft_pass *pass,
                         int32_t *host, bool *taken)
{
    const ft_backend_operations *op = m->backend->operations;
    ft_batch batch;
    int32_t *key_starts = host + padded->rows + 1;
    FT_FORWARD(op->padded_lengths(m->backend, padded, host + 1));
    *taken = describe(m, padded, host, key_starts, &batch);
    if (!*taken)
        return FT_OK;
    m->kept = false;
    m->has_loss = padded->labels.data != NULL;
    FT_FORWARD(ft_activations_pack(m->backend, &m->config, m->precision, &batch, padded, pass->keep,
                                   &m->activations));
    FT_FORWARD(op->submit(m->backend));
    FT_FORWARD(ft_model_refresh_shadow(m));
    FT_FORWARD(ft_bert_forward(m, pass));
    FT_FORWARD(op->submit(m->backend));
    m->kept = pass->keep;
    return FT_OK;
}

ft_status ft_model_forward_padded(ft_model *m, const ft_padded_arrays *given, const ft_pass *pass,
                                  bool *taken)
{
    const ft_model_config *c = &m->config;
    ft_padded_arrays padded = *given;
    padded.class_labels = m->problem == FT_PROBLEM_SINGLE_LABEL;
    padded.vocabulary = c->vocab_size;
    padded.positions = c->max_positions;
    padded.types = c->type_vocab_size > 0 ? c->type_vocab_size : 1; /* without types: all are 0 */
    padded.classes = c->num_labels;
    *taken = false;
    if (padded.labels.data && padded.label_width != (padded.class_labels ? 1 : c->num_labels))
        return FT_OK;
    int32_t *host = malloc((2 * (size_t)padded.rows + 1) * sizeof *host);
    FT_RETURN_IF(host == NULL, FT_ERROR_MEMORY, "cannot allocate the lengths of %d rows",
                 padded.rows);
    ft_status status = forward(m, &padded, pass, host, taken);
    free(host);
    return status;
}

bool ft_model_has_loss(const ft_model *m)
{
    return m->has_loss;
}

static ft_status outputs(ft_model *m, ft_status (*copy)(ft_backend *, void *, const void *, size_t),
                         float *loss, float *logits)
{
    const ft_activations *a = &m->activations;
    FT_FORWARD(copy(m->backend, logits, a->logits, ft_model_logit_count(m) * sizeof *logits));
    return m->has_loss ? copy(m->backend, loss, a->losses, sizeof *loss) : FT_OK;
}

ft_status ft_model_copy_outputs(ft_model *m, float *loss, float *logits)
{
    ft_status status = outputs(m, m->backend->operations->copy, loss, logits);
    /* After a failure too: a later pass must not write to what is no longer the caller's. */
    ft_status submitted = ft_model_submit(m);
    return status != FT_OK ? status : submitted;
}

ft_status ft_model_download_outputs(ft_model *m, float *loss, float *logits)
{
    return outputs(m, m->backend->operations->download, loss, logits);
}

ft_status ft_model_download(ft_model *m, void *to_host, const void *from, size_t bytes)
{
    return m->backend->operations->download(m->backend, to_host, from, bytes);
}

ft_status ft_model_backward_from(ft_model *m, const float *loss_scale, const float *dlogits)
{
    const ft_backend_operations *op = m->backend->operations;
    float *own = m->activations.dlogits;
    size_t count = ft_model_logit_count(m);
    FT_FORWARD(ft_model_prepare_backward(m, dlogits != NULL));
    if (!m->has_loss)
        FT_FORWARD(op->zero(m->backend, own, count * sizeof *own));
    if (m->has_loss && loss_scale != NULL)
        FT_FORWARD(op->scale_by(m->backend, count, loss_scale, dlogits, own));
    else
        FT_FORWARD(op->scale_add(m->backend, count, 0, dlogits, own));
    FT_FORWARD(op->submit(m->backend));
    FT_FORWARD(ft_model_backward_of_dlogits(m));
    return ft_model_submit(m);
}
