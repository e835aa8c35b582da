/* _core.Backend's methods for the layers: embedding, linear, attention, residual norm. */
#include "python/operations.h"

#include <string.h>

/* `into`, the gradients that accumulate=True adds to: None, or a tuple of `count` arrays. */
static int unpack_into(PyObject *into, int accumulate, int count, PyObject **items)
{
    for (int i = 0; i < count; i++)
        items[i] = Py_None;
    if (into == NULL || into == Py_None) {
        if (accumulate)
            PyErr_SetString(PyExc_ValueError, "accumulate=True needs into=, what is added to");
        return accumulate ? -1 : 0;
    }
    if (!PyTuple_Check(into) || PyTuple_Size(into) != count) {
        PyErr_Format(PyExc_TypeError, "into must be a tuple of %d arrays", count);
        return -1;
    }
    for (int i = 0; i < count; i++)
        items[i] = PyTuple_GetItem(into, i);
    return 0;
}

static int parse_activation(const char *name, ft_activation *out)
{
    static const char *const known[] = {"none", "gelu", "tanh", "relu"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, known[i])) {
            *out = (ft_activation)i;
            return 0;
        }
    PyErr_Format(PyExc_ValueError, "activation must be 'none', 'gelu', 'tanh' or 'relu', got '%s'",
                 name);
    return -1;
}

static int parse_tf32(ft_backend_object *self, int tf32, bool *out)
{
    *out = tf32;
    return tf32 ? FT_BACKEND_RUN(self, check_tf32) : 0;
}

static int check_count(npy_intp tokens, npy_intp rows)
{
    if (rows > INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%zd rows: too many", (Py_ssize_t)rows);
        return -1;
    }
    if (tokens >= 0 && tokens <= rows)
        return 0;
    PyErr_Format(PyExc_ValueError, "tokens is %zd, but must be between 0 and the %zd rows",
                 (Py_ssize_t)tokens, (Py_ssize_t)rows);
    return -1;
}

/* What embedding_forward and embedding_backward have in common: the ids, checked against tables of
 * `vocab`, `positions` and `types` rows, and rows of which the ids' are the first (FT_ANY: all). */
static int embedding_operands(ft_call *call, ft_embedding *e, PyObject *const *ids, npy_intp vocab,
                              npy_intp positions, npy_intp types, PyObject *gamma,
                              PyObject *dropout, npy_intp rows, npy_intp hidden)
{
    e->input_ids = I32(ids[0], "input_ids", FT_ANY);
    if (e->input_ids == NULL)
        return -1;
    npy_intp tokens = ft_operand_size(ids[0], 0);
    e->position_ids = I32(ids[1], "position_ids", tokens);
    if (e->position_ids == NULL || ft_operand_ids(ids[0], vocab, "input_ids") < 0 ||
        ft_operand_ids(ids[1], positions, "position_ids") < 0)
        return -1;
    if (types > 0) {
        e->token_type_ids = I32(ids[2], "token_type_ids", tokens);
        if (e->token_type_ids == NULL || ft_operand_ids(ids[2], types, "token_type_ids") < 0)
            return -1;
    }
    e->gamma = F32(gamma, "gamma", hidden);
    if (e->gamma == NULL || ft_operand_dropout(dropout, &e->dropout) < 0)
        return -1;
    rows = rows == FT_ANY ? tokens : rows;
    if (check_count(tokens, rows) < 0)
        return -1;
    e->tokens = (int32_t)tokens;
    e->rows = (int32_t)rows;
    e->hidden = (int32_t)hidden;
    return 0;
}

FT_OPERATIONS_METHOD(embedding_forward)
{
    static const char *names[] = {"input_ids", "position_ids", "token_type_ids", "word", "position",
                                  "type",      "gamma",        "beta",           "eps",  "rows",
                                  "dropout",   "precision",    "stream",         NULL};
    PyObject *ids[3], *word, *position, *type, *gamma, *beta, *dropout = NULL;
    Py_ssize_t rows = FT_ANY;
    const char *precision = "float32";
    int stream = 0;
    ft_embedding e = {0};
    if (!PARSE("OOOOOOOOf|nOsp", &ids[0], &ids[1], &ids[2], &word, &position, &type, &gamma, &beta,
               &e.eps, &rows, &dropout, &precision, &stream))
        return NULL;
    NEED(ft_operand_parse_precision(precision, &e.precision) == 0);
    NEED(ft_operations_take(call->self, e.precision) == 0);
    NEED(e.word = F32(word, "word", FT_ANY, FT_ANY));
    npy_intp hidden = ft_operand_size(word, 1), types = 0;
    NEED(e.position = F32(position, "position", FT_ANY, hidden));
    if (type != Py_None) {
        NEED(e.type = F32(type, "type", FT_ANY, hidden));
        types = ft_operand_size(type, 0);
    }
    NEED(e.beta = F32(beta, "beta", hidden));
    NEED(embedding_operands(call, &e, ids, ft_operand_size(word, 0), ft_operand_size(position, 0),
                            types, gamma, dropout, rows, hidden) == 0);
    NEED(e.out = NEW(e.precision, e.rows, hidden));
    NEED(e.sum = NEW_F32(e.rows, hidden));
    NEED(e.mean = NEW_F32(e.rows));
    NEED(e.rstd = NEW_F32(e.rows));
    if (stream)
        NEED(e.stream = NEW_F32(e.rows, hidden));
    else
        ft_call_add_none(call);
    NEED(RUN(embedding_forward, &e) == 0);
    return ft_call_results(call);
}

FT_OPERATIONS_METHOD(embedding_backward)
{
    static const char *names[] = {
        "dout",  "input_ids", "position_ids", "token_type_ids", "sum",     "mean", "rstd",
        "gamma", "into",      "padding_id",   "accumulate",     "dropout", NULL};
    PyObject *dout, *ids[3], *sum, *mean, *rstd, *gamma, *into, *dropout = NULL, *items[5];
    int accumulate = 0;
    ft_embedding e = {0};
    ft_embedding_gradient g = {.padding_id = -1};
    if (!PARSE("OOOOOOOOO|ipO", &dout, &ids[0], &ids[1], &ids[2], &sum, &mean, &rstd, &gamma, &into,
               &g.padding_id, &accumulate, &dropout))
        return NULL;
    NEED(unpack_into(into, 1, 5, items) == 0);
    NEED(CHECK(FT_FLOAT32, dout, "dout", FT_ANY, FT_ANY));
    npy_intp rows = ft_operand_size(dout, 0), hidden = ft_operand_size(dout, 1), types = 0;
    NEED(g.dout = COPY_F32(dout, "dout", rows, hidden));
    NEED(e.sum = F32(sum, "sum", rows, hidden));
    NEED(e.mean = F32(mean, "mean", rows));
    NEED(e.rstd = F32(rstd, "rstd", rows));
    NEED(CHECK(FT_FLOAT32, items[0], "dword", FT_ANY, hidden));
    npy_intp vocab = ft_operand_size(items[0], 0);
    NEED(g.word_rows = ft_call_add(call, NPY_UINT8, FT_SHAPE(vocab)));
    NEED(g.dword = COPY_F32(items[0], "dword", vocab, hidden));
    NEED(CHECK(FT_FLOAT32, items[1], "dposition", FT_ANY, hidden));
    npy_intp positions = ft_operand_size(items[1], 0);
    NEED(g.dposition = COPY_F32(items[1], "dposition", positions, hidden));
    if (items[2] != Py_None) {
        NEED(g.dtype = COPY_F32(items[2], "dtype", FT_ANY, hidden));
        types = ft_operand_size(items[2], 0);
        e.type = g.dtype; /* backward asks only whether there is one */
    } else {
        ft_call_add_none(call);
    }
    NEED(g.dgamma = COPY_F32(items[3], "dgamma", hidden));
    NEED(g.dbeta = COPY_F32(items[4], "dbeta", hidden));
    NEED(embedding_operands(call, &e, ids, vocab, positions, types, gamma, dropout, rows, hidden) ==
         0);
    g.accumulate = accumulate;
    NEED(RUN(embedding_backward, &e, &g) == 0);
    return ft_call_results(call);
}

/* As models have it beside their weights. */
static int round_bias(ft_call *call, ft_linear *l)
{
    if (l->precision == FT_FLOAT32 || l->out == 0)
        return 0;
    void *rounded = ft_call_temporary(call, (size_t)l->out * sizeof(uint16_t));
    if (rounded == NULL)
        return -1;
    l->rounded_bias = rounded;
    return FT_BACKEND_RUN(call->self, cast, l->precision, (size_t)l->out, l->bias, rounded);
}

FT_OPERATIONS_METHOD(linear_forward)
{
    static const char *names[] = {"x", "weight", "bias", "activation", "keep", "tf32", NULL};
    PyObject *x, *weight, *bias;
    const char *activation = "none";
    int keep = 1, tf32 = 0;
    ft_linear l = {0};
    if (!PARSE("OOO|spp", &x, &weight, &bias, &activation, &keep, &tf32))
        return NULL;
    NEED(parse_activation(activation, &l.activation) == 0);
    NEED(parse_tf32(call->self, tf32, &l.tf32) == 0);
    NEED(ft_operations_precision(call->self, x, "x", &l.precision) == 0);
    NEED(l.x = OPERAND(l.precision, x, "x", FT_ANY, FT_ANY));
    npy_intp rows = ft_operand_size(x, 0), in = ft_operand_size(x, 1);
    NEED(l.weight = OPERAND(l.precision, weight, "weight", FT_ANY, in));
    npy_intp out = ft_operand_size(weight, 0);
    NEED(l.bias = F32(bias, "bias", out));
    l.rows = (int32_t)rows;
    l.in = (int32_t)in;
    l.out = (int32_t)out;
    NEED(round_bias(call, &l) == 0);
    NEED(l.y = NEW(l.precision, rows, out));
    if (keep && l.activation == FT_ACTIVATION_GELU)
        NEED(l.kept = NEW(l.precision, rows, out));
    else
        ft_call_add_none(call);
    NEED(RUN(linear_forward, &l) == 0);
    return ft_call_results(call);
}

FT_OPERATIONS_METHOD(linear_backward)
{
    static const char *names[] = {"dy",   "x",          "weight",    "activation",
                                  "kept", "want_dx",    "add_to_dx", "accumulate",
                                  "into", "float32_dx", "tf32",      NULL};
    PyObject *dy, *x, *weight, *kept = Py_None, *dx = Py_None, *into = NULL, *items[2];
    const char *activation = "none";
    int want_dx = 1, accumulate = 0, float32_dx = 0, tf32 = 0;
    ft_linear_gradient g = {0};
    if (!PARSE("OOO|sOpOpOpp", &dy, &x, &weight, &activation, &kept, &want_dx, &dx, &accumulate,
               &into, &float32_dx, &tf32))
        return NULL;
    NEED(unpack_into(into, accumulate, 2, items) == 0);
    NEED(parse_activation(activation, &g.activation) == 0);
    NEED(parse_tf32(call->self, tf32, &g.tf32) == 0);
    NEED(ft_operations_precision(call->self, x, "x", &g.precision) == 0);
    NEED(g.x = OPERAND(g.precision, x, "x", FT_ANY, FT_ANY));
    npy_intp rows = ft_operand_size(x, 0), in = ft_operand_size(x, 1);
    NEED(g.weight = OPERAND(g.precision, weight, "weight", FT_ANY, in));
    npy_intp out = ft_operand_size(weight, 0);
    if (g.activation != FT_ACTIVATION_NONE)
        NEED(g.kept = OPERAND(g.precision, kept, "kept", rows, out));
    NEED(CHECK(g.precision, dy, "dy", rows, out));
    NEED(g.dy = COPY(g.precision, dy, "dy", rows, out));
    g.add_to_dx = dx != Py_None;
    g.dx_precision = g.add_to_dx || float32_dx ? FT_FLOAT32 : g.precision;
    if (want_dx)
        NEED(g.dx = COPY(g.dx_precision, dx, "add_to_dx", rows, in));
    else
        ft_call_add_none(call);
    NEED(g.dweight = COPY_F32(items[0], "dweight", out, in));
    NEED(g.dbias = COPY_F32(items[1], "dbias", out));
    g.rows = (int32_t)rows;
    g.in = (int32_t)in;
    g.out = (int32_t)out;
    g.accumulate = accumulate;
    NEED(RUN(linear_backward, &g) == 0);
    return ft_call_results(call);
}

/* What attention_forward and attention_backward have in common. */
static int attention_operands(ft_call *call, ft_attention *a, ft_layout *layout, PyObject *q,
                              PyObject *k, PyObject *v, PyObject *cu_seqlens, PyObject *key_starts,
                              PyObject *dropout)
{
    int32_t v_stride;
    if (ft_operations_precision(call->self, q, "q", &a->precision) < 0)
        return -1;
    int type = ft_operand_type(a->precision);
    a->k = ft_call_strided(call, k, "k", type, FT_ANY, FT_ANY, &a->kv_stride);
    if (a->k == NULL)
        return -1;
    npy_intp rows = ft_operand_size(k, 0), width = ft_operand_size(k, 1);
    if (a->heads < 1 || width < 1 || width % a->heads) {
        PyErr_Format(PyExc_ValueError, "heads must divide the %zd columns, got %d",
                     (Py_ssize_t)width, (int)a->heads);
        return -1;
    }
    a->head_dim = (int32_t)(width / a->heads);
    a->v = ft_call_strided(call, v, "v", type, rows, width, &v_stride);
    if (a->v == NULL)
        return -1;
    if (v_stride != a->kv_stride) {
        PyErr_SetString(PyExc_ValueError, "k and v must have the same distance between rows");
        return -1;
    }
    if (ft_call_layout(call, cu_seqlens, key_starts, rows, layout) < 0)
        return -1;
    a->layout = layout;
    a->q = ft_call_strided(call, q, "q", type, a->first_only ? layout->sequences : rows, width,
                           &a->q_stride);
    return a->q == NULL ? -1 : ft_operand_dropout(dropout, &a->dropout);
}

/* The shape of lse, [heads, rows], or flat where the backend keeps something else there. */
static int attention_state(ft_call *call, const ft_attention *a, npy_intp rows, npy_intp *shape)
{
    const ft_backend *backend = call->self->backend;
    size_t elements =
        (backend->operations->attention_state(backend, a) + sizeof(float) - 1) / sizeof(float);
    bool is_lse = elements == (size_t)a->heads * (size_t)rows;
    shape[0] = is_lse ? a->heads : (npy_intp)elements;
    shape[1] = rows;
    return is_lse ? 2 : 1;
}

FT_OPERATIONS_METHOD(attention_forward)
{
    static const char *names[] = {"q",          "k",          "v",       "cu_seqlens", "heads",
                                  "key_starts", "first_only", "dropout", NULL};
    PyObject *q, *k, *v, *cu_seqlens, *key_starts = NULL, *dropout = NULL;
    int first_only = 0;
    ft_attention a = {0};
    ft_layout layout;
    if (!PARSE("OOOOi|OpO", &q, &k, &v, &cu_seqlens, &a.heads, &key_starts, &first_only, &dropout))
        return NULL;
    a.first_only = first_only;
    NEED(attention_operands(call, &a, &layout, q, k, v, cu_seqlens, key_starts, dropout) == 0);
    npy_intp rows = ft_operand_size(q, 0);
    NEED(a.out = NEW(a.precision, rows, (npy_intp)a.heads * a.head_dim));
    npy_intp shape[2];
    int dimensions = attention_state(call, &a, rows, shape);
    NEED(a.lse = ft_call_add(call, NPY_FLOAT32, dimensions, shape));
    NEED(RUN(attention_forward, &a) == 0);
    return ft_call_results(call);
}

FT_OPERATIONS_METHOD(attention_backward)
{
    static const char *names[] = {"dout",       "q",          "k",     "v",
                                  "lse",        "cu_seqlens", "heads", "key_starts",
                                  "first_only", "dropout",    "out",   NULL};
    PyObject *dout, *q, *k, *v, *lse, *cu_seqlens, *key_starts = NULL, *dropout = NULL;
    PyObject *out = Py_None;
    int first_only = 0;
    ft_attention a = {0};
    ft_attention_gradient g = {0};
    ft_layout layout;
    if (!PARSE("OOOOOOi|OpOO", &dout, &q, &k, &v, &lse, &cu_seqlens, &a.heads, &key_starts,
               &first_only, &dropout, &out))
        return NULL;
    a.first_only = first_only;
    NEED(attention_operands(call, &a, &layout, q, k, v, cu_seqlens, key_starts, dropout) == 0);
    npy_intp rows = ft_operand_size(q, 0), width = (npy_intp)a.heads * a.head_dim;
    int type = ft_operand_type(a.precision);
    NEED(g.dout = OPERAND(a.precision, dout, "dout", rows, width));
    if (out != Py_None)
        NEED(a.out = OPERAND(a.precision, out, "out", rows, width));
    npy_intp shape[2];
    int dimensions = attention_state(call, &a, rows, shape);
    NEED(a.lse = ft_call_operand(call, lse, "lse", NPY_FLOAT32, dimensions, shape));
    NEED(g.dq = ft_call_add_strided(call, type, rows, width, a.q_stride));
    NEED(g.dk = ft_call_add_strided(call, type, layout.rows, width, a.kv_stride));
    NEED(g.dv = ft_call_add_strided(call, type, layout.rows, width, a.kv_stride));
    NEED(RUN(attention_backward, &a, &g) == 0);
    return ft_call_results(call);
}

/* What residual_norm_forward and residual_norm_backward have in common; tokens FT_ANY: all rows. */
static int norm_operands(ft_call *call, ft_residual_norm *n, PyObject *gamma, PyObject *dropout,
                         npy_intp tokens, npy_intp rows, npy_intp hidden)
{
    n->gamma = F32(gamma, "gamma", hidden);
    if (n->gamma == NULL || ft_operand_dropout(dropout, &n->dropout) < 0)
        return -1;
    tokens = tokens == FT_ANY ? rows : tokens;
    if (check_count(tokens, rows) < 0)
        return -1;
    n->tokens = (int32_t)tokens;
    n->rows = (int32_t)rows;
    n->hidden = (int32_t)hidden;
    return 0;
}

FT_OPERATIONS_METHOD(residual_norm_forward)
{
    static const char *names[] = {"x",      "residual", "gamma",  "beta", "eps",
                                  "tokens", "dropout",  "stream", NULL};
    PyObject *x, *residual, *gamma, *beta, *dropout = NULL;
    Py_ssize_t tokens = FT_ANY;
    int stream = 0;
    ft_residual_norm n = {0};
    if (!PARSE("OOOOf|nOp", &x, &residual, &gamma, &beta, &n.eps, &tokens, &dropout, &stream))
        return NULL;
    NEED(ft_operations_precision(call->self, x, "x", &n.precision) == 0);
    NEED(CHECK(n.precision, x, "x", FT_ANY, FT_ANY));
    npy_intp rows = ft_operand_size(x, 0), hidden = ft_operand_size(x, 1);
    NEED(norm_operands(call, &n, gamma, dropout, tokens, rows, hidden) == 0);
    NEED(n.residual = F32(residual, "residual", rows, hidden));
    NEED(n.beta = F32(beta, "beta", hidden));
    NEED(n.y = NEW(n.precision, rows, hidden));
    NEED(n.sum = COPY(n.precision, x, "x", rows, hidden)); /* in place, as the step does it */
    n.x = n.sum;
    NEED(n.mean = NEW_F32(rows));
    NEED(n.rstd = NEW_F32(rows));
    if (stream)
        NEED(n.stream = NEW_F32(rows, hidden));
    else
        ft_call_add_none(call);
    NEED(RUN(residual_norm_forward, &n) == 0);
    return ft_call_results(call);
}

FT_OPERATIONS_METHOD(residual_norm_backward)
{
    static const char *names[] = {"dy",      "sum",      "mean",       "rstd", "gamma", "tokens",
                                  "dropout", "in_place", "accumulate", "into", NULL};
    PyObject *dy, *sum, *mean, *rstd, *gamma, *dropout = NULL, *into = NULL, *items[2];
    Py_ssize_t tokens = FT_ANY;
    int in_place = 0, accumulate = 0;
    ft_residual_norm n = {0};
    ft_residual_norm_gradient g = {0};
    if (!PARSE("OOOOO|nOppO", &dy, &sum, &mean, &rstd, &gamma, &tokens, &dropout, &in_place,
               &accumulate, &into))
        return NULL;
    NEED(unpack_into(into, accumulate, 2, items) == 0);
    NEED(ft_operations_precision(call->self, sum, "sum", &n.precision) == 0);
    NEED(n.sum = OPERAND(n.precision, sum, "sum", FT_ANY, FT_ANY));
    npy_intp rows = ft_operand_size(sum, 0), hidden = ft_operand_size(sum, 1);
    NEED(norm_operands(call, &n, gamma, dropout, tokens, rows, hidden) == 0);
    NEED(n.mean = F32(mean, "mean", rows));
    NEED(n.rstd = F32(rstd, "rstd", rows));
    NEED(g.dy = F32(dy, "dy", rows, hidden));
    NEED(g.dresidual = in_place ? COPY_F32(dy, "dy", rows, hidden) : NEW_F32(rows, hidden));
    if (in_place)
        g.dy = g.dresidual;
    NEED(g.dx = NEW(n.precision, rows, hidden));
    NEED(g.dgamma = COPY_F32(items[0], "dgamma", hidden));
    NEED(g.dbeta = COPY_F32(items[1], "dbeta", hidden));
    g.accumulate = accumulate;
    NEED(RUN(residual_norm_backward, &n, &g) == 0);
    return ft_call_results(call);
}

FT_OPERATIONS_METHOD(first_rows_gather)
{
    static const char *names[] = {"x", "cu_seqlens", NULL};
    PyObject *x, *cu_seqlens;
    ft_layout layout;
    ft_precision precision;
    if (!PARSE("OO", &x, &cu_seqlens))
        return NULL;
    NEED(ft_operations_precision(call->self, x, "x", &precision) == 0);
    const void *from = OPERAND(precision, x, "x", FT_ANY, FT_ANY);
    NEED(from);
    npy_intp hidden = ft_operand_size(x, 1);
    NEED(ft_call_layout(call, cu_seqlens, NULL, ft_operand_size(x, 0), &layout) == 0);
    void *first = NEW(precision, layout.sequences, hidden);
    NEED(first);
    NEED(RUN(first_rows_gather, &layout, precision, (int32_t)hidden, from, first) == 0);
    return ft_call_results(call);
}

FT_OPERATIONS_METHOD(first_rows_scatter)
{
    static const char *names[] = {"dfirst", "dx", "cu_seqlens", NULL};
    PyObject *dfirst, *dx, *cu_seqlens;
    ft_layout layout;
    if (!PARSE("OOO", &dfirst, &dx, &cu_seqlens))
        return NULL;
    float *to = ft_call_writable(call, dx, "dx", NPY_FLOAT32, FT_SHAPE(FT_ANY, FT_ANY));
    NEED(to);
    npy_intp hidden = ft_operand_size(dx, 1);
    NEED(ft_call_layout(call, cu_seqlens, NULL, ft_operand_size(dx, 0), &layout) == 0);
    const float *from = F32(dfirst, "dfirst", layout.sequences, hidden);
    NEED(from);
    NEED(RUN(first_rows_scatter, &layout, (int32_t)hidden, from, to) == 0);
    Py_RETURN_NONE;
}
