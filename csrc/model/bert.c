/* BERT's forward and backward, once for all backends, in the order of the paper (Devlin et al.,
 * "BERT: Pre-training of deep bidirectional transformers", 2018; the encoder is that of Vaswani et
 * al., "Attention is all you need", 2017, with the norm after each residual).
 *
 * Rows are packed tokens. Only the first row of each sequence ([CLS]) reaches the classifier, so
 * the last layer computes keys and values for all rows but everything else for first rows alone;
 * the results are the same, and so are the gradients. */
#include "backend/precision.h"
#include "model/state.h"

/* The model's dropouts are told apart by number: one for the embedding, three a layer, the head. */
typedef enum dropout_site {
    SITE_EMBEDDING = 0,
    SITE_ATTENTION,
    SITE_ATTENTION_OUTPUT,
    SITE_DOWN,
    SITES_PER_LAYER = 3,
    SITE_CLASSIFIER = 0xFFFF,
} dropout_site;

static ft_dropout dropout_at(const ft_model *m, int32_t layer, dropout_site site, float p)
{
    if (site != SITE_EMBEDDING && site != SITE_CLASSIFIER)
        site += SITES_PER_LAYER * layer;
    return (ft_dropout){
        .p = m->pass.training ? p : 0.0f,
        .seed = m->pass.seed,
        .step = m->pass.step,
        .micro_step = m->pass.micro_step,
        .site = (uint16_t)site,
    };
}

static bool is_last(const ft_model *m, int32_t layer)
{
    return layer == m->config.layers - 1;
}

/* The rows that a layer's second half has. */
static int32_t layer_rows(const ft_model *m, int32_t layer)
{
    const ft_layout *l = &m->activations.layout;
    return is_last(m, layer) ? l->sequences : l->rows;
}

static int32_t layer_tokens(const ft_model *m, int32_t layer)
{
    const ft_layout *l = &m->activations.layout;
    return is_last(m, layer) ? l->sequences : l->tokens;
}

/* Where an operation is to write its result's part of the residual stream, if it has one of its
 * own. */
static float *stream_of(const void *result, float *stream)
{
    return stream == result ? NULL : stream;
}

/* ---- the operations, with the operands that forward and backward share ---- */

static ft_embedding embedding_operands(const ft_model *m)
{
    const ft_activations *a = &m->activations;
    return (ft_embedding){
        .precision = m->precision,
        .tokens = a->layout.tokens,
        .rows = a->layout.rows,
        .hidden = m->config.hidden_size,
        .input_ids = a->inputs.input_ids,
        .position_ids = a->inputs.position_ids,
        .token_type_ids = a->inputs.token_type_ids,
        .word = m->p.word,
        .position = m->p.position,
        .type = m->p.type,
        .gamma = m->p.gamma,
        .beta = m->p.beta,
        .eps = m->config.layer_norm_eps,
        .dropout = dropout_at(m, 0, SITE_EMBEDDING, m->config.hidden_dropout),
        .sum = a->embedding_sum,
        .mean = a->embedding_mean,
        .rstd = a->embedding_rstd,
        .out = a->embedding_out,
        .stream = stream_of(a->embedding_out, a->embedding_stream),
    };
}

static ft_attention attention_operands(const ft_model *m, int32_t layer)
{
    const ft_layer_activations *a = &m->activations.layers[layer];
    return (ft_attention){
        .precision = m->precision,
        .layout = &m->activations.layout,
        .heads = m->config.heads,
        .head_dim = m->config.hidden_size / m->config.heads,
        .first_only = is_last(m, layer),
        .q = a->q,
        .k = a->k,
        .v = a->v,
        .q_stride = a->q_stride,
        .kv_stride = a->kv_stride,
        .dropout = dropout_at(m, layer, SITE_ATTENTION, m->config.attention_dropout),
        .out = a->context,
        .lse = a->lse,
    };
}

/* The norm after attention's output product; its input was written where its sum will be. */
static ft_residual_norm attention_norm_operands(const ft_model *m, int32_t layer)
{
    const ft_layer_activations *a = &m->activations.layers[layer];
    const ft_layer_tensors *p = &m->p.layers[layer];
    return (ft_residual_norm){
        .precision = m->precision,
        .tokens = layer_tokens(m, layer),
        .rows = layer_rows(m, layer),
        .hidden = m->config.hidden_size,
        .x = a->attention_sum,
        .residual = is_last(m, layer) ? a->first_stream : a->stream_in,
        .gamma = p->attention_gamma,
        .beta = p->attention_beta,
        .eps = m->config.layer_norm_eps,
        .dropout = dropout_at(m, layer, SITE_ATTENTION_OUTPUT, m->config.attention_output_dropout),
        .sum = a->attention_sum,
        .mean = a->attention_mean,
        .rstd = a->attention_rstd,
        .y = a->attention_out,
        .stream = stream_of(a->attention_out, a->attention_stream),
    };
}

/* The norm after the feed-forward network. */
static ft_residual_norm output_norm_operands(const ft_model *m, int32_t layer)
{
    const ft_layer_activations *a = &m->activations.layers[layer];
    const ft_layer_tensors *p = &m->p.layers[layer];
    return (ft_residual_norm){
        .precision = m->precision,
        .tokens = layer_tokens(m, layer),
        .rows = layer_rows(m, layer),
        .hidden = m->config.hidden_size,
        .x = a->sum,
        .residual = a->attention_stream,
        .gamma = p->gamma,
        .beta = p->beta,
        .eps = m->config.layer_norm_eps,
        .dropout = dropout_at(m, layer, SITE_DOWN, m->config.hidden_dropout),
        .sum = a->sum,
        .mean = a->mean,
        .rstd = a->rstd,
        .y = a->out,
        .stream = stream_of(a->out, a->stream),
    };
}

static ft_activation head_activation(const ft_model *m)
{
    return m->config.architecture == FT_ARCHITECTURE_BERT ? FT_ACTIVATION_TANH : FT_ACTIVATION_RELU;
}

/* ---- forward ---- */

/* y = activation(x weight^T + bias) in a layer. */
static ft_status linear_forward(ft_model *m, ft_linear l, const float *weight)
{
    l.precision = m->precision;
    l.tf32 = m->tf32;
    l.weight = ft_model_weight(m, weight);
    l.rounded_bias = m->precision == FT_FLOAT32 ? NULL : ft_model_weight(m, l.bias);
    return m->backend->operations->linear_forward(m->backend, &l);
}

/* Queries, keys and values: one product, or two in the last layer, whose queries are few. */
static ft_status qkv_forward(ft_model *m, int32_t layer)
{
    const ft_backend_operations *op = m->backend->operations;
    const ft_layout *l = &m->activations.layout;
    const ft_layer_tensors *p = &m->p.layers[layer];
    ft_layer_activations *a = &m->activations.layers[layer];
    int32_t h = m->config.hidden_size;
    ft_linear qkv = {
        .rows = l->rows, .in = h, .out = 3 * h, .x = a->in, .bias = p->qkv_bias, .y = a->q};
    if (!is_last(m, layer))
        return linear_forward(m, qkv, p->qkv_weight);
    FT_FORWARD(op->first_rows_gather(m->backend, l, m->precision, h, a->in, a->first));
    if (a->first_stream != a->first)
        FT_FORWARD(
            op->first_rows_gather(m->backend, l, FT_FLOAT32, h, a->stream_in, a->first_stream));
    ft_linear q = {
        .rows = l->sequences, .in = h, .out = h, .x = a->first, .bias = p->qkv_bias, .y = a->q};
    FT_FORWARD(linear_forward(m, q, p->qkv_weight));
    ft_linear kv = {
        .rows = l->rows, .in = h, .out = 2 * h, .x = a->in, .bias = p->qkv_bias + h, .y = a->k};
    return linear_forward(m, kv, p->qkv_weight + (size_t)h * h);
}

static ft_status layer_forward(ft_model *m, int32_t layer)
{
    const ft_backend_operations *op = m->backend->operations;
    const ft_layer_tensors *p = &m->p.layers[layer];
    ft_layer_activations *a = &m->activations.layers[layer];
    int32_t h = m->config.hidden_size, f = m->config.intermediate_size;
    int32_t rows = layer_rows(m, layer);

    FT_FORWARD(qkv_forward(m, layer));
    ft_attention attention = attention_operands(m, layer);
    FT_FORWARD(op->attention_forward(m->backend, &attention));
    ft_linear output = {.rows = rows,
                        .in = h,
                        .out = h,
                        .x = a->context,
                        .bias = p->output_bias,
                        .y = a->attention_sum};
    FT_FORWARD(linear_forward(m, output, p->output_weight));
    ft_residual_norm attention_norm = attention_norm_operands(m, layer);
    FT_FORWARD(op->residual_norm_forward(m->backend, &attention_norm));

    ft_linear up = {.rows = rows,
                    .in = h,
                    .out = f,
                    .x = a->attention_out,
                    .bias = p->up_bias,
                    .activation = FT_ACTIVATION_GELU,
                    .kept = a->up_kept,
                    .y = a->up};
    FT_FORWARD(linear_forward(m, up, p->up_weight));
    ft_linear down = {
        .rows = rows, .in = f, .out = h, .x = a->up, .bias = p->down_bias, .y = a->sum};
    FT_FORWARD(linear_forward(m, down, p->down_weight));
    ft_residual_norm output_norm = output_norm_operands(m, layer);
    return op->residual_norm_forward(m->backend, &output_norm);
}

/* What the head reads: the last layer's output in the residual stream. */
static const float *head_input(const ft_model *m)
{
    return m->activations.layers[m->config.layers - 1].stream;
}

/* BERT: classifier(dropout(tanh(pooler(first)))); DistilBERT has a ReLU in tanh's place. */
static ft_status head_forward(ft_model *m)
{
    const ft_backend_operations *op = m->backend->operations;
    ft_activations *a = &m->activations;
    int32_t h = m->config.hidden_size, sequences = a->layout.sequences;
    ft_dropout dropout = dropout_at(m, 0, SITE_CLASSIFIER, m->config.classifier_dropout);
    const ft_linear dense = {.tf32 = m->tf32,
                             .rows = sequences,
                             .in = h,
                             .out = h,
                             .x = head_input(m),
                             .weight = m->p.dense_weight,
                             .bias = m->p.dense_bias,
                             .activation = head_activation(m),
                             .y = a->dense};
    FT_FORWARD(op->linear_forward(m->backend, &dense));
    FT_FORWARD(
        op->dropout(m->backend, &dropout, (size_t)sequences * h, a->dense, a->dense_dropped));
    const ft_linear classifier = {.tf32 = m->tf32,
                                  .rows = sequences,
                                  .in = h,
                                  .out = m->config.num_labels,
                                  .x = a->dense_dropped,
                                  .weight = m->p.classifier_weight,
                                  .bias = m->p.classifier_bias,
                                  .y = a->logits};
    return op->linear_forward(m->backend, &classifier);
}

static ft_status loss_forward(ft_model *m)
{
    ft_activations *a = &m->activations;
    return m->backend->operations->loss(m->backend, &(ft_loss){
                                                        .sequences = a->layout.sequences,
                                                        .labels = m->config.num_labels,
                                                        .problem = m->problem,
                                                        .logits = a->logits,
                                                        .class_labels = a->inputs.class_labels,
                                                        .target_labels = a->inputs.target_labels,
                                                        .loss = a->losses,
                                                        .dlogits = a->dlogits,
                                                    });
}

ft_status ft_bert_forward(ft_model *m, const ft_pass *pass)
{
    m->pass = *pass;
    ft_embedding embedding = embedding_operands(m);
    FT_FORWARD(m->backend->operations->embedding_forward(m->backend, &embedding));
    for (int32_t layer = 0; layer < m->config.layers; layer++)
        FT_FORWARD(layer_forward(m, layer));
    FT_FORWARD(head_forward(m));
    return m->has_loss ? loss_forward(m) : FT_OK;
}

/* ---- backward ---- */

static ft_status finish_linear(ft_model *m, const ft_linear_gradient *g)
{
    /* dbias lies behind dweight, as bias does behind weight. */
    size_t count = (size_t)g->out * g->in + g->out;
    return ft_model_finish_gradient(m, g->dweight, count, (ft_rows){0});
}

static ft_status linear_backward(ft_model *m, ft_linear_gradient *g)
{
    g->tf32 = m->tf32;
    g->accumulate = m->accumulated;
    return m->backend->operations->linear_backward(m->backend, g);
}

/* The gradients of a layer's product. What goes back to the layer's input joins the gradient of the
 * residual stream, float32; other dx are of the model's precision. */
static ft_status layer_linear_backward(ft_model *m, ft_linear_gradient *g, const float *weight)
{
    g->precision = m->precision;
    g->weight = ft_model_weight(m, weight);
    return linear_backward(m, g);
}

/* dhidden [rows, hidden] becomes the gradient of the norm's residual, dbranch that of its x. */
static ft_status norm_backward(ft_model *m, const ft_residual_norm *norm, float *dhidden,
                               void *dbranch, float *dgamma, float *dbeta)
{
    ft_residual_norm_gradient gradient = {
        .dy = dhidden,
        .dresidual = dhidden,
        .dx = dbranch,
        .dgamma = dgamma,
        .dbeta = dbeta,
        .accumulate = m->accumulated,
    };
    FT_FORWARD(m->backend->operations->residual_norm_backward(m->backend, norm, &gradient));
    return ft_model_finish_gradient(m, dgamma, 2 * (size_t)m->config.hidden_size, (ft_rows){0});
}

/* From the gradient of the loss by the logits to that by the last layer's output, first rows. */
static ft_status head_backward(ft_model *m, float *dfirst)
{
    ft_activations *a = &m->activations;
    int32_t h = m->config.hidden_size, sequences = a->layout.sequences;
    ft_dropout dropout = dropout_at(m, 0, SITE_CLASSIFIER, m->config.classifier_dropout);
    float *ddense = a->gradients.dense;
    ft_linear_gradient classifier = {.rows = sequences,
                                     .in = h,
                                     .out = m->config.num_labels,
                                     .x = a->dense_dropped,
                                     .weight = m->p.classifier_weight,
                                     .dy = a->dlogits,
                                     .dx = ddense,
                                     .dweight = m->g.classifier_weight,
                                     .dbias = m->g.classifier_bias};
    FT_FORWARD(linear_backward(m, &classifier));
    FT_FORWARD(finish_linear(m, &classifier));
    FT_FORWARD(m->backend->operations->dropout(m->backend, &dropout, (size_t)sequences * h, ddense,
                                               ddense));
    ft_linear_gradient dense = {.rows = sequences,
                                .in = h,
                                .out = h,
                                .x = head_input(m),
                                .weight = m->p.dense_weight,
                                .activation = head_activation(m),
                                .kept = a->dense,
                                .dy = ddense,
                                .dx = dfirst,
                                .dweight = m->g.dense_weight,
                                .dbias = m->g.dense_bias};
    FT_FORWARD(linear_backward(m, &dense));
    return finish_linear(m, &dense);
}

/* The gradient of queries, keys and values goes back to the layer's input: dhidden. In the last
 * layer the gradient of first rows, dfirst, joins it there. */
static ft_status qkv_backward(ft_model *m, int32_t layer, const ft_attention_gradient *d)
{
    const ft_layout *l = &m->activations.layout;
    const ft_layer_tensors *p = &m->p.layers[layer], *g = &m->g.layers[layer];
    const ft_layer_activations *a = &m->activations.layers[layer];
    float *dhidden = m->activations.gradients.hidden, *dfirst = m->activations.gradients.first;
    int32_t h = m->config.hidden_size;
    size_t kv = (size_t)h * h;
    ft_linear_gradient qkv = {.rows = l->rows,
                              .in = h,
                              .out = 3 * h,
                              .x = a->in,
                              .dy = d->dq,
                              .dx = dhidden,
                              .add_to_dx = true,
                              .dweight = g->qkv_weight,
                              .dbias = g->qkv_bias};
    if (is_last(m, layer)) {
        ft_linear_gradient only_q = qkv, only_kv = qkv;
        only_q.rows = l->sequences;
        only_q.out = h;
        only_q.x = a->first;
        only_q.dx = dfirst;
        FT_FORWARD(layer_linear_backward(m, &only_q, p->qkv_weight));
        only_kv.out = 2 * h;
        only_kv.dy = d->dk;
        only_kv.add_to_dx = false;
        only_kv.dweight += kv;
        only_kv.dbias += h;
        FT_FORWARD(layer_linear_backward(m, &only_kv, p->qkv_weight + kv));
        FT_FORWARD(m->backend->operations->first_rows_scatter(m->backend, l, h, dfirst, dhidden));
    } else {
        FT_FORWARD(layer_linear_backward(m, &qkv, p->qkv_weight));
    }
    return finish_linear(m, &qkv);
}

/* layer_forward, read backward. */
static ft_status layer_backward(ft_model *m, int32_t layer)
{
    const ft_backend_operations *op = m->backend->operations;
    const ft_layer_tensors *p = &m->p.layers[layer], *g = &m->g.layers[layer];
    const ft_layer_activations *a = &m->activations.layers[layer];
    const ft_scratch_gradients *d = &m->activations.gradients;
    int32_t h = m->config.hidden_size, f = m->config.intermediate_size;
    int32_t rows = layer_rows(m, layer);
    bool last = is_last(m, layer);
    float *dresidual = last ? d->first : d->hidden;

    ft_residual_norm output_norm = output_norm_operands(m, layer);
    FT_FORWARD(norm_backward(m, &output_norm, dresidual, d->branch, g->gamma, g->beta));
    ft_linear_gradient down = {.dx_precision = m->precision,
                               .rows = rows,
                               .in = f,
                               .out = h,
                               .x = a->up,
                               .dy = d->branch,
                               .dx = d->up,
                               .dweight = g->down_weight,
                               .dbias = g->down_bias};
    FT_FORWARD(layer_linear_backward(m, &down, p->down_weight));
    FT_FORWARD(finish_linear(m, &down));
    ft_linear_gradient up = {.rows = rows,
                             .in = h,
                             .out = f,
                             .x = a->attention_out,
                             .activation = FT_ACTIVATION_GELU,
                             .kept = a->up_kept,
                             .dy = d->up,
                             .dx = dresidual,
                             .add_to_dx = true,
                             .dweight = g->up_weight,
                             .dbias = g->up_bias};
    FT_FORWARD(layer_linear_backward(m, &up, p->up_weight));
    FT_FORWARD(finish_linear(m, &up));

    ft_residual_norm attention_norm = attention_norm_operands(m, layer);
    FT_FORWARD(norm_backward(m, &attention_norm, dresidual, d->branch, g->attention_gamma,
                             g->attention_beta));
    ft_linear_gradient output = {.dx_precision = m->precision,
                                 .rows = rows,
                                 .in = h,
                                 .out = h,
                                 .x = a->context,
                                 .dy = d->branch,
                                 .dx = d->context,
                                 .dweight = g->output_weight,
                                 .dbias = g->output_bias};
    FT_FORWARD(layer_linear_backward(m, &output, p->output_weight));
    FT_FORWARD(finish_linear(m, &output));

    /* Where q, k and v lie (carve_layer) their gradients lie too. */
    size_t element = ft_precision_bytes(m->precision);
    char *dk = (char *)d->qkv + (last ? (size_t)rows * h : (size_t)h) * element;
    ft_attention attention = attention_operands(m, layer);
    ft_attention_gradient gradient = {
        .dout = d->context, .dq = d->qkv, .dk = dk, .dv = dk + h * element};
    FT_FORWARD(op->attention_backward(m->backend, &attention, &gradient));
    return qkv_backward(m, layer, &gradient);
}

static ft_status embedding_backward(ft_model *m)
{
    const ft_model_config *c = &m->config;
    size_t h = c->hidden_size;
    ft_embedding embedding = embedding_operands(m);
    ft_embedding_gradient gradient = {
        .dout = m->activations.gradients.hidden,
        .dword = m->g.word,
        .word_rows = m->touched_rows,
        .dposition = m->g.position,
        .dtype = m->g.type,
        .dgamma = m->g.gamma,
        .dbeta = m->g.beta,
        .padding_id = c->pad_token_id,
        .accumulate = m->accumulated,
    };
    FT_FORWARD(m->backend->operations->embedding_backward(m->backend, &embedding, &gradient));
    FT_FORWARD(
        ft_model_finish_gradient(m, m->g.word, c->vocab_size * h, (ft_rows){m->touched_rows, h}));
    FT_FORWARD(ft_model_finish_gradient(m, m->g.position, c->max_positions * h, (ft_rows){0}));
    if (m->g.type)
        FT_FORWARD(ft_model_finish_gradient(m, m->g.type, c->type_vocab_size * h, (ft_rows){0}));
    return ft_model_finish_gradient(m, m->g.gamma, 2 * h, (ft_rows){0});
}

ft_status ft_bert_backward(ft_model *m)
{
    FT_FORWARD(head_backward(m, m->activations.gradients.first));
    for (int32_t layer = m->config.layers - 1; layer >= 0; layer--)
        FT_FORWARD(layer_backward(m, layer));
    return embedding_backward(m);
}
