#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "model/state.h"

static ft_status allocate(ft_model *m, size_t bytes, void *out)
{
    void *memory = NULL;
    FT_FORWARD(m->backend->operations->allocate(m->backend, bytes, &memory));
    memcpy(out, &memory, sizeof memory);
    return FT_OK;
}

static ft_status create(ft_model *m)
{
    const ft_model_config *c = &m->config;
    FT_FORWARD(ft_model_config_check(c));
    m->problem = c->num_labels == 1 ? FT_PROBLEM_REGRESSION : FT_PROBLEM_SINGLE_LABEL;
    FT_FORWARD(ft_parameter_table_create(c, &m->table));
    FT_FORWARD(ft_error_within(allocate(m, m->table.elements * sizeof(float), &m->parameters),
                               "the model's parameters do not fit in memory"));
    FT_FORWARD(ft_tensors_create(c, &m->table, m->parameters, &m->p));
    FT_FORWARD(allocate(m, c->vocab_size, &m->touched_rows));
    FT_FORWARD(allocate(m, c->vocab_size, &m->active_rows));
    m->rows_written = calloc(c->vocab_size, 1);
    FT_RETURN_IF(m->rows_written == NULL, FT_ERROR_MEMORY, "cannot allocate the row flags");
    /* Embedding 4, head 2, a layer's 4 products and 2 norms, and a train step's faults. */
    m->square_capacity = 7 + 6 * c->layers;
    FT_FORWARD(allocate(m, m->square_capacity * sizeof(double), &m->squares));
    FT_FORWARD(allocate(m, FT_OUTCOME_COUNT * sizeof(float), &m->outcome));
    m->results.norm = NAN;
    return ft_activations_create(c, &m->activations);
}

ft_status ft_model_create(const ft_model_config *config, ft_backend *backend, ft_model **out)
{
    *out = NULL;
    ft_model *m = calloc(1, sizeof *m);
    if (m == NULL) {
        backend->operations->destroy(backend);
        return ft_error(FT_ERROR_MEMORY, "cannot allocate a model");
    }
    m->config = *config;
    m->backend = backend;
    ft_status status = create(m);
    if (status != FT_OK) {
        ft_model_destroy(m);
        return status;
    }
    *out = m;
    return FT_OK;
}

void ft_model_destroy(ft_model *m)
{
    if (m == NULL)
        return;
    void *buffers[] = {m->parameters,  m->gradients, m->moment1, m->touched_rows,
                       m->active_rows, m->squares,   m->outcome, m->shadow};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (buffers[i])
            m->backend->operations->release(m->backend, buffers[i]);
    ft_activations_destroy(m->backend, &m->activations);
    ft_tensors_destroy(&m->p);
    ft_tensors_destroy(&m->g);
    ft_parameter_table_destroy(&m->table);
    free(m->rows_written);
    m->backend->operations->destroy(m->backend);
    free(m);
}

const ft_model_config *ft_model_get_config(const ft_model *m)
{
    return &m->config;
}

const char *ft_model_backend_name(const ft_model *m)
{
    return m->backend->operations->name;
}

bool ft_model_host_memory(const ft_model *m)
{
    return m->backend->operations->host_memory;
}

int ft_model_device(const ft_model *m)
{
    return m->backend->device;
}

ft_status ft_model_submit(ft_model *m)
{
    return m->backend->operations->submit(m->backend);
}

ft_status ft_model_synchronize(ft_model *m)
{
    return m->backend->operations->synchronize(m->backend);
}

ft_status ft_model_follow(ft_model *m, void *stream)
{
    return m->backend->operations->follow(m->backend, stream);
}

ft_status ft_model_lead(ft_model *m, void *stream)
{
    return m->backend->operations->lead(m->backend, stream);
}

int ft_model_threads(const ft_model *m)
{
    return m->backend->operations->threads(m->backend);
}

ft_status ft_model_set_threads(ft_model *m, int threads)
{
    return m->backend->operations->set_threads(m->backend, threads);
}

const ft_parameter_table *ft_model_table(const ft_model *m)
{
    return &m->table;
}

ft_problem ft_model_problem(const ft_model *m)
{
    return m->problem;
}

void ft_model_set_problem(ft_model *m, ft_problem problem)
{
    m->problem = problem;
}

float *ft_model_parameters(ft_model *m)
{
    return m->parameters;
}

ft_status ft_model_gradients(ft_model *m, float **out)
{
    if (m->gradients == NULL) {
        float *arena = NULL;
        FT_FORWARD(ft_error_within(allocate(m, m->table.elements * sizeof(float), &arena),
                                   "the gradients do not fit in memory"));
        ft_status status = ft_tensors_create(&m->config, &m->table, arena, &m->g);
        if (status != FT_OK) {
            m->backend->operations->release(m->backend, arena);
            return status;
        }
        m->gradients = arena;
    }
    *out = m->gradients;
    return FT_OK;
}

ft_status ft_model_moments(ft_model *m, float **moment1, float **moment2)
{
    /* One piece, so that what is free is compared with both. */
    size_t elements = ft_align(m->table.elements * sizeof(float)) / sizeof(float);
    if (m->moment1 == NULL) {
        FT_FORWARD(ft_error_within(allocate(m, 2 * elements * sizeof(float), &m->moment1),
                                   "the optimizer's moments do not fit in memory"));
        m->moment2 = m->moment1 + elements;
    }
    *moment1 = m->moment1;
    *moment2 = m->moment2;
    return FT_OK;
}

bool ft_model_has_gradients(const ft_model *m)
{
    return m->accumulated;
}

size_t ft_model_logit_count(const ft_model *m)
{
    return (size_t)m->activations.layout.sequences * m->config.num_labels;
}

static ft_status check_range(const char *name, const char *limit_name, const int32_t *values,
                             int32_t count, int32_t limit)
{
    for (int32_t i = 0; i < count; i++)
        FT_RETURN_IF(values[i] < 0 || values[i] >= limit, FT_ERROR_INDEX,
                     "%s %d at packed position %d is out of range: %s is %d", name, values[i], i,
                     limit_name, limit);
    return FT_OK;
}

static ft_status check_labels(const ft_model *m, const ft_batch *batch)
{
    const int32_t labels = m->config.num_labels;
    if (m->problem == FT_PROBLEM_SINGLE_LABEL) {
        FT_RETURN_IF(batch->class_labels == NULL, FT_ERROR_VALUE,
                     "single-label classification needs one integer label a sequence, got "
                     "real-valued labels");
        for (int32_t s = 0; s < batch->sequences; s++) {
            int64_t label = batch->class_labels[s];
            FT_RETURN_IF(label != FT_IGNORE_LABEL && (label < 0 || label >= labels), FT_ERROR_INDEX,
                         "label %lld of sequence %d is out of range: num_labels is %d",
                         (long long)label, s, labels);
        }
        return FT_OK;
    }
    FT_RETURN_IF(batch->target_labels == NULL, FT_ERROR_VALUE,
                 "%s needs float labels, got integer labels",
                 m->problem == FT_PROBLEM_REGRESSION ? "regression" : "multi-label classification");
    FT_RETURN_IF(batch->label_width != labels, FT_ERROR_VALUE,
                 "labels have %d columns, num_labels is %d", batch->label_width, labels);
    return FT_OK;
}

static bool has_labels(const ft_batch *batch)
{
    return batch->class_labels || batch->target_labels;
}

static ft_status check_batch(const ft_model *m, const ft_batch *batch)
{
    const ft_model_config *c = &m->config;
    FT_RETURN_IF(batch->sequences < 1, FT_ERROR_VALUE, "the batch is empty");
    FT_RETURN_IF(batch->tokens > 1 << 30, FT_ERROR_VALUE, "a batch of %d tokens is too large",
                 batch->tokens);
    FT_RETURN_IF(batch->max_length > c->max_positions, FT_ERROR_VALUE,
                 "a sequence of %d tokens is longer than max_position_embeddings (%d): truncate it "
                 "when tokenizing (truncation=True, max_length=%d)",
                 batch->max_length, c->max_positions, c->max_positions);
    FT_FORWARD(
        check_range("input id", "vocab_size", batch->input_ids, batch->tokens, c->vocab_size));
    FT_FORWARD(check_range("position id", "max_position_embeddings", batch->position_ids,
                           batch->tokens, c->max_positions));
    if (c->type_vocab_size)
        FT_FORWARD(check_range("token type id", "type_vocab_size", batch->token_type_ids,
                               batch->tokens, c->type_vocab_size));
    return has_labels(batch) ? check_labels(m, batch) : FT_OK;
}

ft_status ft_model_record_forward(ft_model *m, const ft_batch *batch, const ft_pass *pass,
                                  float *loss, float *logits)
{
    const ft_backend_operations *op = m->backend->operations;
    FT_FORWARD(check_batch(m, batch));
    m->kept = false;
    m->has_loss = has_labels(batch);
    FT_FORWARD(ft_activations_load(m->backend, &m->config, m->precision, batch, pass->keep,
                                   &m->activations));
    FT_FORWARD(ft_model_refresh_shadow(m));
    FT_FORWARD(ft_bert_forward(m, pass));
    if (logits)
        FT_FORWARD(op->download(m->backend, logits, m->activations.logits,
                                ft_model_logit_count(m) * sizeof(float)));
    if (m->has_loss && loss)
        FT_FORWARD(op->download(m->backend, loss, m->activations.losses, sizeof(float)));
    m->kept = pass->keep;
    return FT_OK;
}

ft_status ft_model_forward(ft_model *m, const ft_batch *batch, const ft_pass *pass, float *loss,
                           float *logits)
{
    FT_FORWARD(ft_model_record_forward(m, batch, pass, loss, logits));
    return ft_model_submit(m);
}

/* Clears what the first backward after zeroing adds to rather than writes. */
static ft_status clear_embedding_gradients(ft_model *m)
{
    const ft_backend_operations *op = m->backend->operations;
    const ft_model_config *c = &m->config;
    size_t h = c->hidden_size;
    if (m->word_gradient_shared)
        FT_FORWARD(op->zero(m->backend, m->g.word, c->vocab_size * h * sizeof(float)));
    else
        FT_FORWARD(
            op->zero_rows(m->backend, m->g.word, c->vocab_size * h, (ft_rows){m->touched_rows, h}));
    FT_FORWARD(op->zero(m->backend, m->touched_rows, c->vocab_size));
    /* The position embedding and, if there is one, the type embedding: gamma lies behind them. */
    return op->zero(m->backend, m->g.position,
                    (size_t)(m->g.gamma - m->g.position) * sizeof(float));
}

ft_status ft_model_prepare_backward(ft_model *m, bool wants_dlogits)
{
    float *gradients;
    FT_RETURN_IF(!m->kept, FT_ERROR_RUNTIME,
                 "backward needs a forward before it whose activations were kept: each forward "
                 "allows one backward, and a later forward drops those of an earlier one");
    FT_RETURN_IF(!m->has_loss && !wants_dlogits, FT_ERROR_RUNTIME,
                 "there is nothing to differentiate: the batch had no labels");
    return ft_model_gradients(m, &gradients);
}

ft_status ft_model_backward_of_dlogits(ft_model *m)
{
    if (!m->accumulated)
        FT_FORWARD(clear_embedding_gradients(m));
    m->kept = false;
    ft_status status = ft_bert_backward(m);
    m->accumulated = status == FT_OK;
    return status;
}

ft_status ft_model_record_backward(ft_model *m, float loss_scale, const float *dlogits)
{
    const ft_backend_operations *op = m->backend->operations;
    ft_activations *a = &m->activations;
    size_t count = ft_model_logit_count(m);
    FT_FORWARD(ft_model_prepare_backward(m, dlogits != NULL));
    if (!m->has_loss)
        loss_scale = 0;
    if (dlogits)
        FT_FORWARD(op->upload(m->backend, a->dlogits_given, dlogits, count * sizeof(float)));
    if (!m->has_loss)
        FT_FORWARD(op->zero(m->backend, a->dlogits, count * sizeof(float)));
    if (loss_scale != 1 || dlogits)
        FT_FORWARD(op->scale_add(m->backend, count, loss_scale, dlogits ? a->dlogits_given : NULL,
                                 a->dlogits));
    return ft_model_backward_of_dlogits(m);
}

ft_status ft_model_backward(ft_model *m, float loss_scale, const float *dlogits)
{
    FT_FORWARD(ft_model_record_backward(m, loss_scale, dlogits));
    return ft_model_submit(m);
}
