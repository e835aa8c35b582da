#include "backend/cuda/cudnn/attention_graph.h"

bool ft_cudnn_attends(int capability)
{
    return capability >= 80;
}

bool ft_cudnn_attends_surely(int capability)
{
    switch (capability) {
    case 80:
    case 86:
    case 89:
    case 90:
        return true;
    default:
        return false;
    }
}

bool ft_cudnn_attends_ragged(int capability, int version, bool spread)
{
    switch (capability) {
    case 90:
    case 100:
        return version >= 91002;
    case 80:
    case 86:
    case 89:
    case 103:
        return version >= 91801;
    case 120:
        return version >= 91801 && !spread;
    default:
        return false;
    }
}

static int type_of(int32_t precision)
{
    return precision == FT_BFLOAT16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF;
}

typedef struct builder {
    ft_cudnn_graph *graph;
    const ft_cudnn_attention_shape *shape;
    int type; /* of q, k, v, out */
    ft_cudnn_tensor q_lengths, kv_lengths;
    ft_cudnn_tensor q_offsets, kv_offsets, out_offsets; /* NULL where not ragged */
    ft_cudnn_tensor scale, keep, keep_scale;            /* NULL where they are not needed */
} builder;

/* ---- tensors ---- */

static ft_cudnn_tensor per_sequence(builder *b, int64_t id, int64_t count)
{
    return ft_cudnn_tensor_add(b->graph, &(ft_cudnn_tensor_form){.id = id,
                                                                 .type = CUDNN_DATA_INT32,
                                                                 .rank = 4,
                                                                 .sizes = {count, 1, 1, 1},
                                                                 .strides = {1, 1, 1, 1}});
}

static ft_cudnn_tensor scalar(builder *b, int64_t id, int type, bool by_value)
{
    return ft_cudnn_tensor_add(b->graph, &(ft_cudnn_tensor_form){.id = id,
                                                                 .type = type,
                                                                 .by_value = by_value,
                                                                 .rank = 4,
                                                                 .sizes = {1, 1, 1, 1},
                                                                 .strides = {1, 1, 1, 1}});
}

/* Rows of heads * head_dim elements, `stride` apart, as [sequences, heads, length, head_dim]. */
static ft_cudnn_tensor rows(builder *b, int64_t id, int type, int64_t stride,
                            ft_cudnn_tensor offsets)
{
    const ft_cudnn_attention_shape *s = b->shape;
    return ft_cudnn_tensor_add(
        b->graph, &(ft_cudnn_tensor_form){.id = id,
                                          .type = type,
                                          .rank = 4,
                                          .sizes = {s->sequences, s->heads, s->length, s->head_dim},
                                          .strides = {s->length * stride, s->head_dim, stride, 1},
                                          .ragged = offsets});
}

/* The same with the last two axes exchanged: what scores are a product with. */
static ft_cudnn_tensor columns(builder *b, int64_t id)
{
    const ft_cudnn_attention_shape *s = b->shape;
    int64_t stride = s->kv_stride;
    return ft_cudnn_tensor_add(
        b->graph, &(ft_cudnn_tensor_form){.id = id,
                                          .type = b->type,
                                          .rank = 4,
                                          .sizes = {s->sequences, s->heads, s->head_dim, s->length},
                                          .strides = {s->length * stride, s->head_dim, 1, stride},
                                          .ragged = b->kv_offsets});
}

static ft_cudnn_tensor q_rows(builder *b, int64_t id)
{
    return rows(b, id, b->type, b->shape->q_stride, b->q_offsets);
}

static ft_cudnn_tensor kv_rows(builder *b, int64_t id)
{
    return rows(b, id, b->type, b->shape->kv_stride, b->kv_offsets);
}

static ft_cudnn_tensor out_rows(builder *b, int64_t id)
{
    return rows(b, id, b->type, (int64_t)b->shape->heads * b->shape->head_dim, b->out_offsets);
}

/* A number a query and a head, float32; id 0: virtual. */
static ft_cudnn_tensor per_query(builder *b, int64_t id)
{
    const ft_cudnn_attention_shape *s = b->shape;
    int64_t length = s->length;
    return ft_cudnn_tensor_add(
        b->graph, &(ft_cudnn_tensor_form){.id = id,
                                          .type = CUDNN_DATA_FLOAT,
                                          .rank = 4,
                                          .sizes = {s->sequences, s->heads, length, 1},
                                          .strides = {s->heads * length, length, 1, 1}});
}

/* A virtual number a query, a key and a head. */
static ft_cudnn_tensor per_score(builder *b, int type, bool transposed)
{
    const ft_cudnn_attention_shape *s = b->shape;
    int64_t length = s->length, square = length * length;
    return ft_cudnn_tensor_add(
        b->graph,
        &(ft_cudnn_tensor_form){.type = type,
                                .rank = 4,
                                .sizes = {s->sequences, s->heads, length, length},
                                .strides = {s->heads * square, square, transposed ? 1 : length,
                                            transposed ? length : 1}});
}

static ft_cudnn_tensor scores(builder *b)
{
    return per_score(b, CUDNN_DATA_FLOAT, false);
}

/* ---- parts ---- */

/* mode(x, y) for every score. */
static ft_cudnn_tensor apply(builder *b, int mode, ft_cudnn_tensor x, ft_cudnn_tensor y)
{
    ft_cudnn_tensor out = scores(b);
    ft_cudnn_pointwise(b->graph, mode, x, y, out);
    return out;
}

/* x where query and key are of the sequence, and minus infinity elsewhere. */
static ft_cudnn_tensor mask_padding(builder *b, ft_cudnn_tensor x)
{
    ft_cudnn_graph *g = b->graph;
    ft_cudnn_tensor query = per_score(b, CUDNN_DATA_INT32, false);
    ft_cudnn_tensor key = per_score(b, CUDNN_DATA_INT32, false);
    ft_cudnn_tensor is_query = per_score(b, CUDNN_DATA_BOOLEAN, false);
    ft_cudnn_tensor is_key = per_score(b, CUDNN_DATA_BOOLEAN, false);
    ft_cudnn_tensor both = per_score(b, CUDNN_DATA_BOOLEAN, false);
    ft_cudnn_tensor masked = scores(b);
    ft_cudnn_index(g, x, 2, query);
    ft_cudnn_index(g, x, 3, key);
    ft_cudnn_compare(g, CUDNN_POINTWISE_CMP_LT, query, b->q_lengths, is_query);
    ft_cudnn_compare(g, CUDNN_POINTWISE_CMP_LT, key, b->kv_lengths, is_key);
    ft_cudnn_compare(g, CUDNN_POINTWISE_LOGICAL_AND, is_query, is_key, both);
    ft_cudnn_select(g, both, x, scalar(b, FT_ATTENTION_MASKED, CUDNN_DATA_FLOAT, true), masked);
    return masked;
}

/* Ones and zeros for every score: which probabilities dropout keeps. */
static ft_cudnn_tensor dropout_mask(builder *b)
{
    ft_cudnn_tensor mask = scores(b);
    ft_cudnn_tensor seed = scalar(b, FT_ATTENTION_SEED, CUDNN_DATA_INT64, false);
    ft_cudnn_tensor offset = scalar(b, FT_ATTENTION_SEED_OFFSET, CUDNN_DATA_INT64, false);
    ft_cudnn_bernoulli(b->graph, 1.0 - b->shape->dropout, seed, offset, mask);
    return mask;
}

/* ---- forward ---- */

/* softmax(x), of the given type, and log(sum(exp(x))). */
static ft_cudnn_tensor softmax(builder *b, ft_cudnn_tensor x, int type, ft_cudnn_tensor statistics)
{
    ft_cudnn_graph *g = b->graph;
    ft_cudnn_tensor largest = per_query(b, 0), sum = per_query(b, 0), log_sum = per_query(b, 0);
    ft_cudnn_tensor probabilities = per_score(b, type, false);
    ft_cudnn_reduce(g, CUDNN_REDUCE_TENSOR_MAX, x, largest);
    ft_cudnn_tensor below = apply(b, CUDNN_POINTWISE_SUB, x, largest);
    ft_cudnn_tensor exponentials = apply(b, CUDNN_POINTWISE_EXP, below, NULL);
    ft_cudnn_reduce(g, CUDNN_REDUCE_TENSOR_ADD, exponentials, sum);
    ft_cudnn_pointwise(g, CUDNN_POINTWISE_LOG, sum, NULL, log_sum);
    ft_cudnn_pointwise(g, CUDNN_POINTWISE_ADD, largest, log_sum, statistics);
    ft_cudnn_pointwise(g, CUDNN_POINTWISE_DIV, exponentials, sum, probabilities);
    return probabilities;
}

static void forward(builder *b)
{
    ft_cudnn_graph *g = b->graph;
    bool dropout = b->shape->dropout > 0;
    ft_cudnn_tensor q = q_rows(b, FT_ATTENTION_Q), k = columns(b, FT_ATTENTION_K);
    ft_cudnn_tensor v = kv_rows(b, FT_ATTENTION_V), out = out_rows(b, FT_ATTENTION_OUT);
    ft_cudnn_tensor x = scores(b);
    ft_cudnn_multiply(g, q, k, x,
                      &(ft_cudnn_extent){.rows = b->q_lengths, .columns = b->kv_lengths});
    x = apply(b, CUDNN_POINTWISE_MUL, x, b->scale);
    x = mask_padding(b, x);
    ft_cudnn_tensor p =
        softmax(b, x, dropout ? CUDNN_DATA_FLOAT : b->type, per_query(b, FT_ATTENTION_STATISTICS));
    if (dropout) {
        ft_cudnn_tensor kept = apply(b, CUDNN_POINTWISE_MUL, p, dropout_mask(b));
        p = per_score(b, b->type, false);
        ft_cudnn_pointwise(g, CUDNN_POINTWISE_MUL, kept, b->keep_scale, p);
    }
    ft_cudnn_multiply(g, p, v, out,
                      &(ft_cudnn_extent){.rows = b->q_lengths, .inner = b->kv_lengths});
}

/* ---- backward ---- */

/* dout . out for every query, without dropout's scale. */
static ft_cudnn_tensor row_sums(builder *b, ft_cudnn_tensor dout)
{
    const ft_cudnn_attention_shape *s = b->shape;
    ft_cudnn_graph *g = b->graph;
    ft_cudnn_tensor out = out_rows(b, FT_ATTENTION_OUT);
    int64_t row = (int64_t)s->heads * s->head_dim, head = (int64_t)s->length * s->head_dim;
    /* Virtual, so these strides, which NVIDIA's frontend gives it, place nothing. */
    ft_cudnn_tensor products = ft_cudnn_tensor_add(
        g, &(ft_cudnn_tensor_form){.type = CUDNN_DATA_FLOAT,
                                   .rank = 4,
                                   .sizes = {s->sequences, s->heads, s->length, s->head_dim},
                                   .strides = {s->length * row, head, row, 1}});
    ft_cudnn_tensor sums = per_query(b, 0), scaled = per_query(b, FT_ATTENTION_ROW_SUMS);
    ft_cudnn_pointwise(g, CUDNN_POINTWISE_MUL, dout, out, products);
    ft_cudnn_reduce(g, CUDNN_REDUCE_TENSOR_ADD, products, sums);
    ft_cudnn_pointwise(g, CUDNN_POINTWISE_MUL, sums, b->keep, scaled);
    return scaled;
}

/* The probabilities once more, from the statistics. */
static ft_cudnn_tensor probabilities_again(builder *b, ft_cudnn_tensor q, ft_cudnn_tensor k)
{
    ft_cudnn_tensor x = scores(b);
    ft_cudnn_multiply(b->graph, q, k, x,
                      &(ft_cudnn_extent){.rows = b->q_lengths, .columns = b->kv_lengths});
    x = apply(b, CUDNN_POINTWISE_MUL, x, b->scale);
    x = mask_padding(b, x);
    x = apply(b, CUDNN_POINTWISE_SUB, x, per_query(b, FT_ATTENTION_STATISTICS));
    return apply(b, CUDNN_POINTWISE_EXP, x, NULL);
}

/* out = x^T y, x being scores. */
static void multiply_transposed(builder *b, ft_cudnn_tensor x, ft_cudnn_tensor y,
                                ft_cudnn_tensor out)
{
    ft_cudnn_tensor transposed = per_score(b, b->type, true);
    ft_cudnn_reshape(b->graph, x, transposed);
    ft_cudnn_multiply(b->graph, transposed, y, out,
                      &(ft_cudnn_extent){.rows = b->kv_lengths, .inner = b->q_lengths});
}

static void backward(builder *b)
{
    ft_cudnn_graph *g = b->graph;
    const ft_cudnn_attention_shape *s = b->shape;
    ft_cudnn_tensor q = q_rows(b, FT_ATTENTION_Q);
    ft_cudnn_tensor k = columns(b, FT_ATTENTION_K), v = columns(b, FT_ATTENTION_V);
    ft_cudnn_tensor dout = out_rows(b, FT_ATTENTION_DOUT);
    ft_cudnn_tensor mask = s->dropout > 0 ? dropout_mask(b) : NULL;

    ft_cudnn_tensor sums = row_sums(b, dout);
    ft_cudnn_tensor p = probabilities_again(b, q, k);
    ft_cudnn_tensor dropped = p;
    if (mask != NULL) {
        dropped = apply(b, CUDNN_POINTWISE_MUL, p, mask);
        dropped = apply(b, CUDNN_POINTWISE_MUL, dropped, b->keep_scale);
    }
    multiply_transposed(b, dropped, dout, kv_rows(b, FT_ATTENTION_DV));

    ft_cudnn_tensor ds = scores(b);
    ft_cudnn_multiply(g, dout, v, ds,
                      &(ft_cudnn_extent){.rows = b->q_lengths, .columns = b->kv_lengths});
    if (mask != NULL)
        ds = apply(b, CUDNN_POINTWISE_MUL, ds, mask);
    ds = apply(b, CUDNN_POINTWISE_SUB, ds, sums);
    ds = apply(b, CUDNN_POINTWISE_MUL, ds, p);
    if (mask != NULL)
        ds = apply(b, CUDNN_POINTWISE_MUL, ds, b->keep_scale);
    ds = apply(b, CUDNN_POINTWISE_MUL, ds, b->scale);
    multiply_transposed(b, ds, q, kv_rows(b, FT_ATTENTION_DK));

    ft_cudnn_tensor k_rows = rows(b, 0, CUDNN_DATA_FLOAT, s->kv_stride, b->kv_offsets);
    ft_cudnn_reshape(g, k, k_rows);
    int64_t head = (int64_t)s->length * s->head_dim;
    ft_cudnn_tensor dq_sums = ft_cudnn_tensor_add(
        g, &(ft_cudnn_tensor_form){.id = FT_ATTENTION_DQ_SUMS,
                                   .type = CUDNN_DATA_FLOAT,
                                   .rank = 4,
                                   .sizes = {s->sequences, s->heads, s->length, s->head_dim},
                                   .strides = {s->heads * head, head, s->head_dim, 1}});
    ft_cudnn_multiply(g, ds, k_rows, dq_sums,
                      &(ft_cudnn_extent){.rows = b->q_lengths, .inner = b->kv_lengths});
    ft_cudnn_pointwise(g, CUDNN_POINTWISE_IDENTITY, dq_sums, NULL, q_rows(b, FT_ATTENTION_DQ));
}

void ft_cudnn_attention_graph(ft_cudnn_graph *g, const ft_cudnn_attention_shape *s)
{
    builder b = {.graph = g, .shape = s, .type = type_of(s->precision)};
    b.q_lengths = per_sequence(&b, FT_ATTENTION_Q_LENGTHS, s->sequences);
    b.kv_lengths = per_sequence(&b, FT_ATTENTION_KV_LENGTHS, s->sequences);
    if (s->ragged) {
        b.q_offsets = per_sequence(&b, FT_ATTENTION_Q_OFFSETS, (int64_t)s->sequences + 1);
        b.kv_offsets = per_sequence(&b, FT_ATTENTION_KV_OFFSETS, (int64_t)s->sequences + 1);
        b.out_offsets = per_sequence(&b, FT_ATTENTION_OUT_OFFSETS, (int64_t)s->sequences + 1);
    }
    b.scale = scalar(&b, FT_ATTENTION_SCALE, CUDNN_DATA_FLOAT, true);
    if (s->backward)
        b.keep = scalar(&b, FT_ATTENTION_KEEP, CUDNN_DATA_FLOAT, true);
    if (s->dropout > 0)
        b.keep_scale = scalar(&b, FT_ATTENTION_KEEP_SCALE, CUDNN_DATA_FLOAT, true);
    if (s->backward)
        backward(&b);
    else
        forward(&b);
}
