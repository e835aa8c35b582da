/* BERT's forward and backward, once for all backends, in the order of the paper (Devlin et al.,
 * "BERT: Pre-training of deep bidirectional transformers", 2018; the encoder is that of Vaswani et
 * al., "Attention is all you need", 2017, with the norm after each residual).
 *
 * Rows are packed tokens. Only the first row of each sequence ([CLS]) reaches the classifier, so
 * the last layer computes keys and values for all rows but everything else for first rows alone;
 * the results are the same, and so are the gradients. */
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

/* ---- the operations, with the operands that forward and backward share ---- */

static ft_embedding embedding_operands(const ft_model *m)
{
    const ft_activations *a = &m->activations;
    return (ft_embedding){
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
    };
}

static ft_attention attention_operands(const ft_model *m, int32_t layer)
{
    const ft_layer_activations *a = &m->activations.layers[layer];
    return (ft_attention){
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
        .tokens = layer_tokens(m, layer),
        .rows = layer_rows(m, layer),
        .hidden = m->config.hidden_size,
        .x = a->attention_sum,
        .residual = is_last(m, layer) ? a->first : a->in,
        .gamma = p->attention_gamma,
        .beta = p->attention_beta,
        .eps = m->config.layer_norm_eps,
        .dropout = dropout_at(m, layer, SITE_ATTENTION_OUTPUT, m->config.attention_output_dropout),
        .sum = a->attention_sum,
        .mean = a->attention_mean,
        .rstd = a->attention_rstd,
        .y = a->attention_out,
    };
}

/* The norm after the feed-forward network. */
static ft_residual_norm output_norm_operands(const ft_model *m, int32_t layer)
{
    const ft_layer_activations *a = &m->activations.layers[layer];
    const ft_layer_tensors *p = &m->p.layers[layer];
    return (ft_residual_norm){
        .tokens = layer_tokens(m, layer),
        .rows = layer_rows(m, layer),
        .hidden = m->config.hidden_size,
        .x = a->sum,
        .residual = a->attention_out,
        .gamma = p->gamma,
        .beta = p->beta,
        .eps = m->config.layer_norm_eps,
        .dropout = dropout_at(m, layer, SITE_DOWN, m->config.hidden_dropout),
        .sum = a->sum,
        .mean = a->mean,
        .rstd = a->rstd,
        .y = a->out,
    };
}

static ft_activation head_activation(const ft_model *m)
{
    return m->config.architecture == FT_ARCHITECTURE_BERT ? FT_ACTIVATION_TANH : FT_ACTIVATION_RELU;
}

/* ---- forward ---- */

static ft_status linear_forward(ft_model *m, int32_t rows, int32_t in, int32_t out, const void *x,
                                const float *weight, const float *bias, ft_activation activation,
                                void *kept, void *y)
{
    return m->backend->operations->linear_forward(m->backend, &(ft_linear){
                                                                  .rows = rows,
                                                                  .in = in,
                                                                  .out = out,
                                                                  .x = x,
                                                                  .weight = weight,
                                                                  .bias = bias,
                                                                  .activation = activation,
                                                                  .kept = kept,
                                                                  .y = y,
                                                              });
}

/* Queries, keys and values: one product, or two in the last layer, whose queries are few. */
static ft_status qkv_forward(ft_model *m, int32_t layer)
{
    const ft_layout *l = &m->activations.layout;
    const ft_layer_tensors *p = &m->p.layers[layer];
    ft_layer_activations *a = &m->activations.layers[layer];
    int32_t h = m->config.hidden_size;
    if (!is_last(m, layer))
        return linear_forward(m, l->rows, h, 3 * h, a->in, p->qkv_weight, p->qkv_bias,
                              FT_ACTIVATION_NONE, NULL, a->q);
    FT_FORWARD(
        m->backend->operations->first_rows_gather(m->backend, l, FT_FLOAT32, h, a->in, a->first));
    FT_FORWARD(linear_forward(m, l->sequences, h, h, a->first, p->qkv_weight, p->qkv_bias,
                              FT_ACTIVATION_NONE, NULL, a->q));
    return linear_forward(m, l->rows, h, 2 * h, a->in, p->qkv_weight + (size_t)h * h,
                          p->qkv_bias + h, FT_ACTIVATION_NONE, NULL, a->k);
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
    FT_FORWARD(linear_forward(m, rows, h, h, a->context, p->output_weight, p->output_bias,
                              FT_ACTIVATION_NONE, NULL, a->attention_sum));
    ft_residual_norm attention_norm = attention_norm_operands(m, layer);
    FT_FORWARD(op->residual_norm_forward(m->backend, &attention_norm));

    FT_FORWARD(linear_forward(m, rows, h, f, a->attention_out, p->up_weight, p->up_bias,
                              FT_ACTIVATION_GELU, a->up_kept, a->up));
    FT_FORWARD(linear_forward(m, rows, f, h, a->up, p->down_weight, p->down_bias,
                              FT_ACTIVATION_NONE, NULL, a->sum));
    ft_residual_norm output_norm = output_norm_operands(m, layer);
    return op->residual_norm_forward(m->backend, &output_norm);
}

/* BERT: classifier(dropout(tanh(pooler(first)))); DistilBERT has a ReLU in tanh's place. */
static ft_status head_forward(ft_model *m)
{
    ft_activations *a = &m->activations;
    int32_t h = m->config.hidden_size, sequences = a->layout.sequences;
    ft_dropout dropout = dropout_at(m, 0, SITE_CLASSIFIER, m->config.classifier_dropout);
    FT_FORWARD(linear_forward(m, sequences, h, h, a->layers[m->config.layers - 1].out,
                              m->p.dense_weight, m->p.dense_bias, head_activation(m), NULL,
                              a->dense));
    FT_FORWARD(m->backend->operations->dropout(m->backend, &dropout, (size_t)sequences * h,
                                               a->dense, a->dense_dropped));
    return linear_forward(m, sequences, h, m->config.num_labels, a->dense_dropped,
                          m->p.classifier_weight, m->p.classifier_bias, FT_ACTIVATION_NONE, NULL,
                          a->logits);
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
                                                        .loss = a->loss,
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

/* The gradients of a product: dweight and dbias lie one behind the other, like the parameters. */
static ft_status linear_backward(ft_model *m, int32_t rows, int32_t in, int32_t out, const void *x,
                                 const float *weight, ft_activation activation, const void *kept,
                                 void *dy, void *dx, bool add_to_dx, float *dweight, float *dbias)
{
    return m->backend->operations->linear_backward(m->backend, &(ft_linear_gradient){
                                                                   .rows = rows,
                                                                   .in = in,
                                                                   .out = out,
                                                                   .x = x,
                                                                   .weight = weight,
                                                                   .activation = activation,
                                                                   .kept = kept,
                                                                   .dy = dy,
                                                                   .dx = dx,
                                                                   .add_to_dx = add_to_dx,
                                                                   .dweight = dweight,
                                                                   .dbias = dbias,
                                                                   .accumulate = m->accumulated,
                                                               });
}

static ft_status finish_linear(ft_model *m, const float *dweight, int32_t out, int32_t in)
{
    return ft_model_finish_gradient(m, dweight, (size_t)out * in + out, (ft_rows){0});
}

/* dhidden [rows, hidden] becomes the gradient of the norm's residual, dbranch that of its x. */
static ft_status norm_backward(ft_model *m, const ft_residual_norm *norm, void *dhidden,
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
static ft_status head_backward(ft_model *m, void *dfirst)
{
    ft_activations *a = &m->activations;
    int32_t h = m->config.hidden_size, sequences = a->layout.sequences;
    ft_dropout dropout = dropout_at(m, 0, SITE_CLASSIFIER, m->config.classifier_dropout);
    void *ddense = a->gradients.dense;
    FT_FORWARD(linear_backward(m, sequences, h, m->config.num_labels, a->dense_dropped,
                               m->p.classifier_weight, FT_ACTIVATION_NONE, NULL, a->dlogits, ddense,
                               false, m->g.classifier_weight, m->g.classifier_bias));
    FT_FORWARD(finish_linear(m, m->g.classifier_weight, m->config.num_labels, h));
    FT_FORWARD(m->backend->operations->dropout(m->backend, &dropout, (size_t)sequences * h, ddense,
                                               ddense));
    FT_FORWARD(linear_backward(m, sequences, h, h, a->layers[m->config.layers - 1].out,
                               m->p.dense_weight, head_activation(m), a->dense, ddense, dfirst,
                               false, m->g.dense_weight, m->g.dense_bias));
    return finish_linear(m, m->g.dense_weight, h, h);
}

/* The gradient of queries, keys and values goes back to the layer's input: dhidden. In the last
 * layer the gradient of first rows, dfirst, joins it there. */
static ft_status qkv_backward(ft_model *m, int32_t layer, void *dq, void *dk, void *dfirst,
                              void *dhidden)
{
    const ft_layout *l = &m->activations.layout;
    const ft_layer_tensors *p = &m->p.layers[layer], *g = &m->g.layers[layer];
    const ft_layer_activations *a = &m->activations.layers[layer];
    int32_t h = m->config.hidden_size;
    size_t kv = (size_t)h * h;
    if (is_last(m, layer)) {
        FT_FORWARD(linear_backward(m, l->sequences, h, h, a->first, p->qkv_weight,
                                   FT_ACTIVATION_NONE, NULL, dq, dfirst, true, g->qkv_weight,
                                   g->qkv_bias));
        FT_FORWARD(linear_backward(m, l->rows, h, 2 * h, a->in, p->qkv_weight + kv,
                                   FT_ACTIVATION_NONE, NULL, dk, dhidden, false, g->qkv_weight + kv,
                                   g->qkv_bias + h));
        FT_FORWARD(m->backend->operations->first_rows_scatter(m->backend, l, h, dfirst, dhidden));
    } else {
        FT_FORWARD(linear_backward(m, l->rows, h, 3 * h, a->in, p->qkv_weight, FT_ACTIVATION_NONE,
                                   NULL, dq, dhidden, true, g->qkv_weight, g->qkv_bias));
    }
    return finish_linear(m, g->qkv_weight, 3 * h, h);
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
    void *dresidual = last ? d->first : d->hidden;

    ft_residual_norm output_norm = output_norm_operands(m, layer);
    FT_FORWARD(norm_backward(m, &output_norm, dresidual, d->branch, g->gamma, g->beta));
    FT_FORWARD(linear_backward(m, rows, f, h, a->up, p->down_weight, FT_ACTIVATION_NONE, NULL,
                               d->branch, d->up, false, g->down_weight, g->down_bias));
    FT_FORWARD(finish_linear(m, g->down_weight, h, f));
    FT_FORWARD(linear_backward(m, rows, h, f, a->attention_out, p->up_weight, FT_ACTIVATION_GELU,
                               a->up_kept, d->up, dresidual, true, g->up_weight, g->up_bias));
    FT_FORWARD(finish_linear(m, g->up_weight, f, h));

    ft_residual_norm attention_norm = attention_norm_operands(m, layer);
    FT_FORWARD(norm_backward(m, &attention_norm, dresidual, d->branch, g->attention_gamma,
                             g->attention_beta));
    FT_FORWARD(linear_backward(m, rows, h, h, a->context, p->output_weight, FT_ACTIVATION_NONE,
                               NULL, d->branch, d->context, false, g->output_weight,
                               g->output_bias));
    FT_FORWARD(finish_linear(m, g->output_weight, h, h));

    ft_attention attention = attention_operands(m, layer);
    float *dk = (float *)d->qkv + (last ? (size_t)rows * h : (size_t)h);
    ft_attention_gradient gradient = {.dout = d->context, .dq = d->qkv, .dk = dk, .dv = dk + h};
    FT_FORWARD(op->attention_backward(m->backend, &attention, &gradient));
    return qkv_backward(m, layer, gradient.dq, gradient.dk, d->first, d->hidden);
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
