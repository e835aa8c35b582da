#include "model/parameters.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

enum {
    PER_LAYER = 16,
    EMBEDDING_AND_HEAD = 9, /* of BERT; DistilBERT has one less */
    ALIGNED = FT_ALIGNMENT / sizeof(float),
};

/* Far more than any machine holds, and few enough that no size computed from it overflows. */
static const size_t MOST_ELEMENTS = (size_t)1 << 40;

/* What each architecture calls its tensors: the same tensors, in the same order. */
typedef struct names {
    const char *word, *position, *type, *embedding_norm;
    const char *layer;
    const char *query, *key, *value, *output, *attention_norm, *up, *down, *norm;
    const char *dense;
} names;

static const names architecture_names[] = {
    [FT_ARCHITECTURE_BERT] =
        {
            .word = "bert.embeddings.word_embeddings",
            .position = "bert.embeddings.position_embeddings",
            .type = "bert.embeddings.token_type_embeddings",
            .embedding_norm = "bert.embeddings.LayerNorm",
            .layer = "bert.encoder.layer",
            .query = "attention.self.query",
            .key = "attention.self.key",
            .value = "attention.self.value",
            .output = "attention.output.dense",
            .attention_norm = "attention.output.LayerNorm",
            .up = "intermediate.dense",
            .down = "output.dense",
            .norm = "output.LayerNorm",
            .dense = "bert.pooler.dense",
        },
    [FT_ARCHITECTURE_DISTILBERT] =
        {
            .word = "distilbert.embeddings.word_embeddings",
            .position = "distilbert.embeddings.position_embeddings",
            .type = NULL,
            .embedding_norm = "distilbert.embeddings.LayerNorm",
            .layer = "distilbert.transformer.layer",
            .query = "attention.q_lin",
            .key = "attention.k_lin",
            .value = "attention.v_lin",
            .output = "attention.out_lin",
            .attention_norm = "sa_layer_norm",
            .up = "ffn.lin1",
            .down = "ffn.lin2",
            .norm = "output_layer_norm",
            .dense = "pre_classifier",
        },
};

/* Adds an entry right after the one before it. */
__attribute__((format(printf, 5, 6))) static void
add(ft_parameter_table *table, int32_t rows, int32_t columns, bool decays, const char *format, ...)
{
    ft_parameter *p = &table->entries[table->count++];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->name, sizeof p->name, format, arguments);
    va_end(arguments);
    p->offset = table->elements;
    p->shape[0] = rows;
    p->shape[1] = columns;
    p->count = (size_t)rows * (columns ? columns : 1);
    p->decays = decays;
    table->elements += p->count;
}

static void align(ft_parameter_table *table)
{
    table->elements = (table->elements + ALIGNED - 1) / ALIGNED * ALIGNED;
}

static void add_linear(ft_parameter_table *table, int32_t out, int32_t in, const char *name)
{
    align(table);
    add(table, out, in, true, "%s.weight", name);
    add(table, out, 0, false, "%s.bias", name);
}

static void add_norm(ft_parameter_table *table, int32_t hidden, const char *name)
{
    align(table);
    add(table, hidden, 0, false, "%s.weight", name);
    add(table, hidden, 0, false, "%s.bias", name);
}

static void add_layer(ft_parameter_table *table, const ft_model_config *c, const names *n,
                      int32_t layer)
{
    int32_t h = c->hidden_size, f = c->intermediate_size;
    const char *const qkv[] = {n->query, n->key, n->value};
    char name[80];
    align(table);
    for (int i = 0; i < 3; i++)
        add(table, h, h, true, "%s.%d.%s.weight", n->layer, layer, qkv[i]);
    for (int i = 0; i < 3; i++)
        add(table, h, 0, false, "%s.%d.%s.bias", n->layer, layer, qkv[i]);
    snprintf(name, sizeof name, "%s.%d.%s", n->layer, layer, n->output);
    add_linear(table, h, h, name);
    snprintf(name, sizeof name, "%s.%d.%s", n->layer, layer, n->attention_norm);
    add_norm(table, h, name);
    snprintf(name, sizeof name, "%s.%d.%s", n->layer, layer, n->up);
    add_linear(table, f, h, name);
    snprintf(name, sizeof name, "%s.%d.%s", n->layer, layer, n->down);
    add_linear(table, h, f, name);
    snprintf(name, sizeof name, "%s.%d.%s", n->layer, layer, n->norm);
    add_norm(table, h, name);
}

ft_status ft_parameter_table_create(const ft_model_config *c, ft_parameter_table *table)
{
    const names *n = &architecture_names[c->architecture];
    size_t capacity = EMBEDDING_AND_HEAD + (size_t)c->layers * PER_LAYER;
    memset(table, 0, sizeof *table);
    table->entries = calloc(capacity, sizeof *table->entries);
    FT_RETURN_IF(table->entries == NULL, FT_ERROR_MEMORY, "cannot allocate the parameter table");
    add(table, c->vocab_size, c->hidden_size, true, "%s.weight", n->word);
    align(table);
    add(table, c->max_positions, c->hidden_size, true, "%s.weight", n->position);
    align(table);
    if (c->type_vocab_size)
        add(table, c->type_vocab_size, c->hidden_size, true, "%s.weight", n->type);
    add_norm(table, c->hidden_size, n->embedding_norm);
    for (int32_t layer = 0; layer < c->layers; layer++)
        add_layer(table, c, n, layer);
    add_linear(table, c->hidden_size, c->hidden_size, n->dense);
    add_linear(table, c->num_labels, c->hidden_size, "classifier");
    align(table);
    FT_RETURN_IF(table->elements > MOST_ELEMENTS, FT_ERROR_VALUE,
                 "a model of this configuration would have %zu parameters: too many",
                 table->elements);
    return FT_OK;
}

void ft_parameter_table_destroy(ft_parameter_table *table)
{
    free(table->entries);
    table->entries = NULL;
}

/* The address of the next entry's tensor. */
static float *take(const ft_parameter_table *table, float *arena, int32_t *next)
{
    return arena + table->entries[(*next)++].offset;
}

ft_status ft_tensors_create(const ft_model_config *c, const ft_parameter_table *table, float *arena,
                            ft_tensors *t)
{
    int32_t next = 0;
    memset(t, 0, sizeof *t);
    t->layers = calloc((size_t)c->layers, sizeof *t->layers);
    FT_RETURN_IF(t->layers == NULL, FT_ERROR_MEMORY, "cannot allocate the table of tensors");
    t->word = take(table, arena, &next);
    t->position = take(table, arena, &next);
    t->type = c->type_vocab_size ? take(table, arena, &next) : NULL;
    t->gamma = take(table, arena, &next);
    t->beta = take(table, arena, &next);
    for (ft_layer_tensors *l = t->layers; l < t->layers + c->layers; l++) {
        l->qkv_weight = take(table, arena, &next);
        next += 2;
        l->qkv_bias = take(table, arena, &next);
        next += 2;
        l->output_weight = take(table, arena, &next);
        l->output_bias = take(table, arena, &next);
        l->attention_gamma = take(table, arena, &next);
        l->attention_beta = take(table, arena, &next);
        l->up_weight = take(table, arena, &next);
        l->up_bias = take(table, arena, &next);
        l->down_weight = take(table, arena, &next);
        l->down_bias = take(table, arena, &next);
        l->gamma = take(table, arena, &next);
        l->beta = take(table, arena, &next);
    }
    t->dense_weight = take(table, arena, &next);
    t->dense_bias = take(table, arena, &next);
    t->classifier_weight = take(table, arena, &next);
    t->classifier_bias = take(table, arena, &next);
    return FT_OK;
}

void ft_tensors_destroy(ft_tensors *tensors)
{
    free(tensors->layers);
    tensors->layers = NULL;
}
