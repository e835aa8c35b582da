#include "model/state.h"

ft_status ft_model_evaluate(ft_model *m, const ft_batch *batch, int32_t loss_rows, float *losses,
                            float *logits)
{
    const ft_backend_operations *op = m->backend->operations;
    const ft_pass pass = {0};
    FT_RETURN_IF(loss_rows < 1, FT_ERROR_VALUE, "loss_rows must be at least 1, got %d", loss_rows);
    FT_FORWARD(ft_model_forward(m, batch, &pass, NULL, logits));
    if (!m->has_loss)
        return FT_OK;
    const ft_activations *a = &m->activations;
    const int32_t labels = m->config.num_labels;
    size_t count = 0;
    for (int32_t first = 0; first < batch->sequences; first += loss_rows) {
        int32_t left = batch->sequences - first;
        ft_loss loss = {
            .sequences = left < loss_rows ? left : loss_rows,
            .labels = labels,
            .problem = m->problem,
            .logits = a->logits + (size_t)first * labels,
            .class_labels = a->inputs.class_labels + first,
            .target_labels = a->inputs.target_labels + (size_t)first * labels,
            .loss = a->losses + count,
            .dlogits = a->dlogits,
        };
        FT_FORWARD(op->loss(m->backend, &loss));
        count++;
        if (left <= loss_rows)
            break;
    }
    return op->download(m->backend, losses, a->losses, count * sizeof *losses);
}
