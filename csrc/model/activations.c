#include "model/activations.h"

#include <stdlib.h>
#include <string.h>

#include "backend/precision.h"
#include "common/memory.h"

/* Hands out pieces of a block, or, with a NULL base, only counts their bytes. */
typedef struct carver {
    const ft_backend *backend;
    char *base;
    size_t used;
    ft_precision precision;
} carver;

static void *carve(carver *c, size_t count, size_t element_size)
{
    void *piece = c->base ? c->base + c->used : NULL;
    c->used += ft_align(count * element_size);
    return piece;
}

static void *carve_floats(carver *c, size_t count)
{
    return carve(c, count, sizeof(float));
}

static void *carve_elements(carver *c, size_t count)
{
    return carve(c, count, ft_precision_bytes(c->precision));
}

/* Element `index` of a piece. */
static void *at(const carver *c, void *piece, size_t index)
{
    return (char *)piece + index * ft_precision_bytes(c->precision);
}

/* A part of the residual stream for these activations: themselves where they are float32. */
static float *carve_stream(carver *c, size_t count, void *activations)
{
    return c->precision == FT_FLOAT32 ? activations : carve_floats(c, count);
}

/* By rows, not tokens: batches of one bucket lie alike, as a backend that replays steps wants. */
static void carve_inputs(carver *c, const ft_model_config *config, const ft_layout *l,
                         ft_inputs *in)
{
    in->input_ids = carve(c, l->rows, sizeof(int32_t));
    in->token_type_ids = carve(c, l->rows, sizeof(int32_t));
    in->position_ids = carve(c, l->rows, sizeof(int32_t));
    in->cu_seqlens = carve(c, (size_t)l->sequences + 1, sizeof(int32_t));
    in->key_starts = carve(c, l->sequences, sizeof(int32_t));
    in->class_labels = carve(c, l->sequences, sizeof(int64_t));
    in->target_labels = carve_floats(c, (size_t)l->sequences * config->num_labels);
}

/* The bytes that a layer's attention keeps besides its result. */
static size_t attention_state(const carver *c, const ft_model_config *config, const ft_layout *l,
                              bool last)
{
    return c->backend->operations->attention_state(
        c->backend, &(ft_attention){.precision = c->precision,
                                    .layout = l,
                                    .heads = config->heads,
                                    .head_dim = config->hidden_size / config->heads,
                                    .first_only = last});
}

static void carve_layer(carver *c, const ft_model_config *config, const ft_layout *l, bool last,
                        bool keep, ft_layer_activations *layer)
{
    size_t h = config->hidden_size, f = config->intermediate_size;
    size_t rows = last ? l->sequences : l->rows;
    if (last) {
        layer->first = carve_elements(c, rows * h);
        layer->first_stream = carve_stream(c, rows * h, layer->first);
        layer->q = carve_elements(c, rows * h);
        layer->k = carve_elements(c, (size_t)l->rows * 2 * h);
    } else {
        layer->q = carve_elements(c, rows * 3 * h);
        layer->k = at(c, layer->q, h);
    }
    layer->v = at(c, layer->k, h);
    layer->q_stride = (int32_t)(last ? h : 3 * h);
    layer->kv_stride = (int32_t)(last ? 2 * h : 3 * h);
    layer->context = carve_elements(c, rows * h);
    layer->lse = carve(c, attention_state(c, config, l, last), 1);
    layer->attention_sum = carve_elements(c, rows * h);
    layer->attention_mean = carve_floats(c, rows);
    layer->attention_rstd = carve_floats(c, rows);
    layer->attention_out = carve_elements(c, rows * h);
    layer->up_kept = keep ? carve_elements(c, rows * f) : NULL;
    layer->up = carve_elements(c, rows * f);
    layer->sum = carve_elements(c, rows * h);
    layer->mean = carve_floats(c, rows);
    layer->rstd = carve_floats(c, rows);
    layer->out = carve_elements(c, rows * h);
}

static size_t layer_bytes(carver counter, const ft_model_config *config, const ft_layout *l,
                          bool last, bool keep)
{
    counter.base = NULL;
    counter.used = 0;
    ft_layer_activations layer = {0};
    carve_layer(&counter, config, l, last, keep, &layer);
    return counter.used;
}

static void carve_layers(carver *c, const ft_model_config *config, bool keep, ft_activations *a)
{
    size_t count = (size_t)a->layout.rows * config->hidden_size;
    float *stream = a->embedding_stream, *other = carve_stream(c, count, NULL);
    size_t start = c->used, inner = layer_bytes(*c, config, &a->layout, false, keep);
    size_t last = layer_bytes(*c, config, &a->layout, true, keep);
    size_t set = inner > last ? inner : last;
    const void *in = a->embedding_out;
    for (int32_t i = 0; i < config->layers; i++) {
        /* Without backward a layer needs only its own buffers and its input's. */
        if (!keep)
            c->used = start + i % 2 * set;
        ft_layer_activations *layer = &a->layers[i];
        carve_layer(c, config, &a->layout, i == config->layers - 1, keep, layer);
        layer->in = in;
        layer->stream_in = stream;
        layer->attention_stream = other ? other : layer->attention_out;
        layer->stream = other ? a->embedding_stream : layer->out;
        in = layer->out;
        stream = layer->stream;
    }
    if (!keep)
        c->used = start + 2 * set;
}

static void carve_gradients(carver *c, const ft_model_config *config, const ft_layout *l,
                            ft_scratch_gradients *g)
{
    size_t h = config->hidden_size, rows = l->rows, sequences = l->sequences;
    g->hidden = carve_floats(c, rows * h);
    g->branch = carve_elements(c, rows * h);
    g->context = carve_elements(c, rows * h);
    g->qkv = carve_elements(c, rows * 3 * h);
    g->up = carve_elements(c, rows * config->intermediate_size);
    g->first = carve_floats(c, sequences * h);
    g->dense = carve_floats(c, sequences * h);
}

static size_t carve_all(carver c, const ft_model_config *config, bool keep, ft_activations *a)
{
    const ft_layout *l = &a->layout;
    size_t h = config->hidden_size, sequences = l->sequences, labels = config->num_labels;
    carve_inputs(&c, config, l, &a->inputs);
    a->embedding_sum = carve_floats(&c, l->rows * h);
    a->embedding_mean = carve_floats(&c, l->rows);
    a->embedding_rstd = carve_floats(&c, l->rows);
    a->embedding_out = carve_elements(&c, l->rows * h);
    a->embedding_stream = carve_stream(&c, l->rows * h, a->embedding_out);
    carve_layers(&c, config, keep, a);
    a->dense = carve_floats(&c, sequences * h);
    a->dense_dropped = carve_floats(&c, sequences * h);
    a->logits = carve_floats(&c, sequences * labels);
    a->dlogits = carve_floats(&c, sequences * labels);
    a->dlogits_given = carve_floats(&c, sequences * labels);
    a->losses = carve_floats(&c, sequences);
    if (keep)
        carve_gradients(&c, config, l, &a->gradients);
    return c.used;
}

ft_status ft_activations_create(const ft_model_config *config, ft_activations *a)
{
    memset(a, 0, sizeof *a);
    a->layers = calloc(config->layers, sizeof *a->layers);
    FT_RETURN_IF(a->layers == NULL, FT_ERROR_MEMORY, "cannot allocate the table of activations");
    return FT_OK;
}

void ft_activations_destroy(ft_backend *backend, ft_activations *a)
{
    if (a->memory)
        backend->operations->release(backend, a->memory);
    free(a->layers);
    memset(a, 0, sizeof *a);
}

static ft_status reserve(ft_backend *backend, size_t bytes, ft_activations *a)
{
    if (bytes <= a->capacity)
        return FT_OK;
    if (a->memory)
        backend->operations->release(backend, a->memory);
    a->memory = NULL;
    a->capacity = 0;
    /* A quarter more than asked for, if it can be had: batches that grow little by little
     * reallocate seldom. */
    size_t capacity = bytes + bytes / 4;
    ft_status status = backend->operations->allocate(backend, capacity, &a->memory);
    if (status == FT_ERROR_MEMORY) {
        capacity = bytes;
        status = backend->operations->allocate(backend, capacity, &a->memory);
    }
    if (status != FT_OK)
        return ft_error_within(status, "a batch of %d rows (%d tokens) does not fit in memory",
                               a->layout.sequences, a->layout.tokens);
    a->capacity = capacity;
    return FT_OK;
}

static ft_status upload_boundaries(ft_backend *backend, const ft_batch *batch, ft_inputs *in)
{
    ft_status (*upload)(ft_backend *, void *, const void *, size_t) = backend->operations->upload;
    size_t sequences = batch->sequences;
    FT_FORWARD(
        upload(backend, in->cu_seqlens, batch->cu_seqlens, (sequences + 1) * sizeof(int32_t)));
    return upload(backend, in->key_starts,
                  batch->key_starts ? batch->key_starts : batch->cu_seqlens,
                  sequences * sizeof(int32_t));
}

static ft_status upload_batch(ft_backend *backend, const ft_model_config *config,
                              const ft_batch *batch, ft_inputs *in)
{
    ft_status (*upload)(ft_backend *, void *, const void *, size_t) = backend->operations->upload;
    size_t tokens = batch->tokens * sizeof(int32_t), sequences = batch->sequences;
    FT_FORWARD(upload(backend, in->input_ids, batch->input_ids, tokens));
    FT_FORWARD(upload(backend, in->token_type_ids, batch->token_type_ids, tokens));
    FT_FORWARD(upload(backend, in->position_ids, batch->position_ids, tokens));
    FT_FORWARD(upload_boundaries(backend, batch, in));
    if (batch->class_labels)
        FT_FORWARD(
            upload(backend, in->class_labels, batch->class_labels, sequences * sizeof(int64_t)));
    if (batch->target_labels)
        FT_FORWARD(upload(backend, in->target_labels, batch->target_labels,
                          sequences * config->num_labels * sizeof(float)));
    return FT_OK;
}

static ft_status lay_out(ft_backend *backend, const ft_model_config *config, ft_precision precision,
                         const ft_batch *batch, bool keep, ft_activations *a)
{
    a->layout = (ft_layout){
        .sequences = batch->sequences,
        .tokens = batch->tokens,
        .rows = backend->operations->bucket(backend, batch->tokens),
        .max_length = batch->max_length,
        .first_masked = batch->key_starts != NULL,
    };
    size_t bytes = carve_all((carver){.backend = backend, .precision = precision}, config, keep, a);
    FT_FORWARD(reserve(backend, bytes, a));
    carve_all((carver){.backend = backend, .base = a->memory, .precision = precision}, config, keep,
              a);
    a->layout.cu_seqlens = a->inputs.cu_seqlens;
    a->layout.key_starts = a->inputs.key_starts;
    return FT_OK;
}

ft_status ft_activations_load(ft_backend *backend, const ft_model_config *config,
                              ft_precision precision, const ft_batch *batch, bool keep,
                              ft_activations *a)
{
    FT_FORWARD(lay_out(backend, config, precision, batch, keep, a));
    return upload_batch(backend, config, batch, &a->inputs);
}

ft_status ft_activations_pack(ft_backend *backend, const ft_model_config *config,
                              ft_precision precision, const ft_batch *batch,
                              const ft_padded_arrays *padded, bool keep, ft_activations *a)
{
    FT_FORWARD(lay_out(backend, config, precision, batch, keep, a));
    FT_FORWARD(upload_boundaries(backend, batch, &a->inputs));
    const ft_inputs *in = &a->inputs;
    const ft_packed_arrays packed = {
        .cu_seqlens = in->cu_seqlens,
        .input_ids = in->input_ids,
        .token_type_ids = in->token_type_ids,
        .position_ids = in->position_ids,
        .class_labels = in->class_labels,
        .target_labels = in->target_labels,
    };
    return backend->operations->pack(backend, padded, &packed);
}
