/* _core.Backend: a backend's operations, one method each, on NumPy arrays. For tests and for
 * reading along: the train step does not come through here. */
#include "python/operands.h"

#include <pthread.h>
#include <string.h>

typedef struct backend_object {
    PyObject_HEAD ft_backend *backend;
    pthread_mutex_t busy; /* a backend does one operation at a time */
} backend_object;

#define OPERATIONS(self) ((self)->backend->operations)

/* Runs a call of the table without the GIL. -1 with an exception where it fails. */
#define RUN(self, operation, ...)                                                                  \
    __extension__({                                                                                \
        ft_status run_;                                                                            \
        Py_BEGIN_ALLOW_THREADS                                                                     \
        pthread_mutex_lock(&(self)->busy);                                                         \
        run_ = OPERATIONS(self)->operation((self)->backend, __VA_ARGS__);                          \
        pthread_mutex_unlock(&(self)->busy);                                                       \
        Py_END_ALLOW_THREADS                                                                       \
        if (run_ != FT_OK)                                                                         \
            ft_python_raise(run_);                                                                 \
        run_ == FT_OK ? 0 : -1;                                                                    \
    })

/* Stops a method at the first of its steps that fails; its `results` are let go of. */
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            goto error;                                                                            \
    } while (0)

#define PARSE(format, ...)                                                                         \
    PyArg_ParseTupleAndKeywords(args, kwargs, format, (char **)names, __VA_ARGS__)

#define F32(object, name, ...) ft_operand(object, name, NPY_FLOAT32, FT_SHAPE(__VA_ARGS__))
#define I32(object, name, ...) ft_operand(object, name, NPY_INT32, FT_SHAPE(__VA_ARGS__))
#define NEW(...) ft_results_add(&results, NPY_FLOAT32, FT_SHAPE(__VA_ARGS__))
#define COPY(object, name, ...)                                                                    \
    ft_results_add_copy(&results, object, name, NPY_FLOAT32, FT_SHAPE(__VA_ARGS__))

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
 * `vocab`, `positions` and `types` rows. */
static int embedding_ids(ft_embedding *e, PyObject *const *ids, npy_intp vocab, npy_intp positions,
                         npy_intp types)
{
    const int32_t *words = I32(ids[0], "input_ids", FT_ANY);
    if (words == NULL)
        return -1;
    npy_intp tokens = ft_operand_size(ids[0], 0);
    const int32_t *places = I32(ids[1], "position_ids", tokens);
    if (places == NULL || ft_operand_ids(words, tokens, vocab, "input_ids") < 0 ||
        ft_operand_ids(places, tokens, positions, "position_ids") < 0)
        return -1;
    e->tokens = (int32_t)tokens;
    e->input_ids = words;
    e->position_ids = places;
    if (types == 0)
        return 0;
    e->token_type_ids = I32(ids[2], "token_type_ids", tokens);
    if (e->token_type_ids == NULL)
        return -1;
    return ft_operand_ids(e->token_type_ids, tokens, types, "token_type_ids");
}

static PyObject *embedding_forward(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"input_ids", "position_ids", "token_type_ids", "word",
                                  "position",  "type",         "gamma",          "beta",
                                  "eps",       "rows",         "dropout",        NULL};
    PyObject *ids[3], *word, *position, *type, *gamma, *beta, *dropout = NULL;
    float eps;
    Py_ssize_t rows = FT_ANY;
    ft_embedding e = {0};
    ft_results results = {0};
    if (!PARSE("OOOOOOOOf|nO", &ids[0], &ids[1], &ids[2], &word, &position, &type, &gamma, &beta,
               &eps, &rows, &dropout))
        return NULL;
    NEED(e.word = F32(word, "word", FT_ANY, FT_ANY));
    npy_intp hidden = ft_operand_size(word, 1), types = 0;
    NEED(e.position = F32(position, "position", FT_ANY, hidden));
    if (type != Py_None) {
        NEED(e.type = F32(type, "type", FT_ANY, hidden));
        types = ft_operand_size(type, 0);
    }
    NEED(e.gamma = F32(gamma, "gamma", hidden));
    NEED(e.beta = F32(beta, "beta", hidden));
    NEED(ft_operand_dropout(dropout, &e.dropout) == 0);
    NEED(embedding_ids(&e, ids, ft_operand_size(word, 0), ft_operand_size(position, 0), types) ==
         0);
    rows = rows == FT_ANY ? e.tokens : rows;
    NEED(check_count(e.tokens, rows) == 0);
    e.rows = (int32_t)rows;
    e.hidden = (int32_t)hidden;
    e.eps = eps;
    NEED(e.out = NEW(rows, hidden));
    NEED(e.sum = NEW(rows, hidden));
    NEED(e.mean = NEW(rows));
    NEED(e.rstd = NEW(rows));
    NEED(RUN(self, embedding_forward, &e) == 0);
    return ft_results_take(&results);
error:
    ft_results_drop(&results);
    return NULL;
}

static PyObject *embedding_backward(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {
        "dout",  "input_ids", "position_ids", "token_type_ids", "sum",     "mean", "rstd",
        "gamma", "into",      "padding_id",   "accumulate",     "dropout", NULL};
    PyObject *dout, *ids[3], *sum, *mean, *rstd, *gamma, *into, *dropout = NULL, *items[5];
    int padding_id = -1, accumulate = 0;
    ft_embedding e = {0};
    ft_embedding_gradient g = {0};
    ft_results results = {0};
    if (!PARSE("OOOOOOOOO|ipO", &dout, &ids[0], &ids[1], &ids[2], &sum, &mean, &rstd, &gamma, &into,
               &padding_id, &accumulate, &dropout))
        return NULL;
    NEED(unpack_into(into, 1, 5, items) == 0);
    NEED(F32(dout, "dout", FT_ANY, FT_ANY));
    npy_intp rows = ft_operand_size(dout, 0), hidden = ft_operand_size(dout, 1);
    NEED(e.sum = F32(sum, "sum", rows, hidden));
    NEED(e.mean = F32(mean, "mean", rows));
    NEED(e.rstd = F32(rstd, "rstd", rows));
    NEED(e.gamma = F32(gamma, "gamma", hidden));
    NEED(g.dout = COPY(dout, "dout", rows, hidden));
    NEED(F32(items[0], "dword", FT_ANY, hidden) && F32(items[1], "dposition", FT_ANY, hidden));
    npy_intp vocab = ft_operand_size(items[0], 0), positions = ft_operand_size(items[1], 0);
    npy_intp types = 0;
    NEED(g.word_rows = ft_results_add(&results, NPY_UINT8, FT_SHAPE(vocab)));
    NEED(g.dword = COPY(items[0], "dword", vocab, hidden));
    NEED(g.dposition = COPY(items[1], "dposition", positions, hidden));
    if (items[2] != Py_None) {
        NEED(g.dtype = COPY(items[2], "dtype", FT_ANY, hidden));
        types = ft_operand_size(items[2], 0);
        e.type = g.dtype;
    } else {
        ft_results_add_none(&results);
    }
    NEED(g.dgamma = COPY(items[3], "dgamma", hidden));
    NEED(g.dbeta = COPY(items[4], "dbeta", hidden));
    NEED(ft_operand_dropout(dropout, &e.dropout) == 0);
    NEED(embedding_ids(&e, ids, vocab, positions, types) == 0);
    NEED(check_count(e.tokens, rows) == 0);
    e.rows = (int32_t)rows;
    e.hidden = (int32_t)hidden;
    g.padding_id = padding_id;
    g.accumulate = accumulate;
    NEED(RUN(self, embedding_backward, &e, &g) == 0);
    return ft_results_take(&results);
error:
    ft_results_drop(&results);
    return NULL;
}

static PyObject *linear_forward(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"x", "weight", "bias", "activation", "keep", NULL};
    PyObject *x, *weight, *bias;
    const char *activation = "none";
    int keep = 1;
    ft_linear l = {0};
    ft_results results = {0};
    if (!PARSE("OOO|sp", &x, &weight, &bias, &activation, &keep))
        return NULL;
    NEED(parse_activation(activation, &l.activation) == 0);
    NEED(l.x = F32(x, "x", FT_ANY, FT_ANY));
    npy_intp rows = ft_operand_size(x, 0), in = ft_operand_size(x, 1);
    NEED(l.weight = F32(weight, "weight", FT_ANY, in));
    npy_intp out = ft_operand_size(weight, 0);
    NEED(l.bias = F32(bias, "bias", out));
    l.rows = (int32_t)rows;
    l.in = (int32_t)in;
    l.out = (int32_t)out;
    NEED(l.y = NEW(rows, out));
    if (keep && l.activation == FT_ACTIVATION_GELU)
        NEED(l.kept = NEW(rows, out));
    else
        ft_results_add_none(&results);
    NEED(RUN(self, linear_forward, &l) == 0);
    return ft_results_take(&results);
error:
    ft_results_drop(&results);
    return NULL;
}

static PyObject *linear_backward(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"dy",      "x",         "weight",     "activation", "kept",
                                  "want_dx", "add_to_dx", "accumulate", "into",       NULL};
    PyObject *dy, *x, *weight, *kept = Py_None, *dx = Py_None, *into = NULL, *items[2];
    const char *activation = "none";
    int want_dx = 1, accumulate = 0;
    ft_linear_gradient g = {0};
    ft_results results = {0};
    if (!PARSE("OOO|sOpOpO", &dy, &x, &weight, &activation, &kept, &want_dx, &dx, &accumulate,
               &into))
        return NULL;
    NEED(unpack_into(into, accumulate, 2, items) == 0);
    NEED(parse_activation(activation, &g.activation) == 0);
    NEED(g.x = F32(x, "x", FT_ANY, FT_ANY));
    npy_intp rows = ft_operand_size(x, 0), in = ft_operand_size(x, 1);
    NEED(g.weight = F32(weight, "weight", FT_ANY, in));
    npy_intp out = ft_operand_size(weight, 0);
    if (g.activation != FT_ACTIVATION_NONE)
        NEED(g.kept = F32(kept, "kept", rows, out));
    NEED(F32(dy, "dy", rows, out));
    NEED(g.dy = COPY(dy, "dy", rows, out));
    if (want_dx)
        NEED(g.dx = COPY(dx, "add_to_dx", rows, in));
    else
        ft_results_add_none(&results);
    NEED(g.dweight = COPY(items[0], "dweight", out, in));
    NEED(g.dbias = COPY(items[1], "dbias", out));
    g.rows = (int32_t)rows;
    g.in = (int32_t)in;
    g.out = (int32_t)out;
    g.add_to_dx = dx != Py_None;
    g.accumulate = accumulate;
    NEED(RUN(self, linear_backward, &g) == 0);
    return ft_results_take(&results);
error:
    ft_results_drop(&results);
    return NULL;
}

/* What attention_forward and attention_backward have in common; the layout's own arrays included,
 * of which *starts is to be freed. */
static int attention_operands(ft_attention *a, ft_layout *layout, int32_t **starts, PyObject *q,
                              PyObject *k, PyObject *v, PyObject *cu_seqlens, PyObject *key_starts,
                              PyObject *dropout)
{
    int32_t v_stride;
    *starts = NULL;
    a->k = ft_operand_strided(k, "k", FT_ANY, FT_ANY, &a->kv_stride);
    if (a->k == NULL)
        return -1;
    npy_intp rows = ft_operand_size(k, 0), width = ft_operand_size(k, 1);
    if (a->heads < 1 || width < 1 || width % a->heads) {
        PyErr_Format(PyExc_ValueError, "heads must divide the %zd columns, got %d",
                     (Py_ssize_t)width, (int)a->heads);
        return -1;
    }
    a->head_dim = (int32_t)(width / a->heads);
    a->v = ft_operand_strided(v, "v", rows, width, &v_stride);
    if (a->v == NULL)
        return -1;
    if (v_stride != a->kv_stride) {
        PyErr_SetString(PyExc_ValueError, "k and v must have the same distance between rows");
        return -1;
    }
    if (ft_operand_layout(cu_seqlens, key_starts, rows, layout, starts) < 0)
        return -1;
    a->layout = layout;
    a->q =
        ft_operand_strided(q, "q", a->first_only ? layout->sequences : rows, width, &a->q_stride);
    return a->q == NULL ? -1 : ft_operand_dropout(dropout, &a->dropout);
}

static PyObject *attention_forward(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"q",          "k",          "v",       "cu_seqlens", "heads",
                                  "key_starts", "first_only", "dropout", NULL};
    PyObject *q, *k, *v, *cu_seqlens, *key_starts = NULL, *dropout = NULL;
    int heads, first_only = 0;
    ft_attention a = {0};
    ft_layout layout;
    int32_t *starts = NULL;
    ft_results results = {0};
    if (!PARSE("OOOOi|OpO", &q, &k, &v, &cu_seqlens, &heads, &key_starts, &first_only, &dropout))
        return NULL;
    a.heads = heads;
    a.first_only = first_only;
    NEED(attention_operands(&a, &layout, &starts, q, k, v, cu_seqlens, key_starts, dropout) == 0);
    npy_intp rows = ft_operand_size(q, 0);
    NEED(a.out = NEW(rows, (npy_intp)a.heads * a.head_dim));
    NEED(a.lse = NEW(a.heads, rows));
    NEED(RUN(self, attention_forward, &a) == 0);
    PyMem_Free(starts);
    return ft_results_take(&results);
error:
    PyMem_Free(starts);
    ft_results_drop(&results);
    return NULL;
}

static PyObject *attention_backward(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"dout",       "q",          "k",     "v",
                                  "lse",        "cu_seqlens", "heads", "key_starts",
                                  "first_only", "dropout",    NULL};
    PyObject *dout, *q, *k, *v, *lse, *cu_seqlens, *key_starts = NULL, *dropout = NULL;
    int heads, first_only = 0;
    ft_attention a = {0};
    ft_attention_gradient g = {0};
    ft_layout layout;
    int32_t *starts = NULL;
    ft_results results = {0};
    if (!PARSE("OOOOOOi|OpO", &dout, &q, &k, &v, &lse, &cu_seqlens, &heads, &key_starts,
               &first_only, &dropout))
        return NULL;
    a.heads = heads;
    a.first_only = first_only;
    NEED(attention_operands(&a, &layout, &starts, q, k, v, cu_seqlens, key_starts, dropout) == 0);
    npy_intp rows = ft_operand_size(q, 0), width = (npy_intp)a.heads * a.head_dim;
    NEED(g.dout = F32(dout, "dout", rows, width));
    NEED(a.lse = F32(lse, "lse", a.heads, rows));
    NEED(g.dq = ft_results_add_strided(&results, rows, width, a.q_stride));
    NEED(g.dk = ft_results_add_strided(&results, layout.rows, width, a.kv_stride));
    NEED(g.dv = ft_results_add_strided(&results, layout.rows, width, a.kv_stride));
    NEED(RUN(self, attention_backward, &a, &g) == 0);
    PyMem_Free(starts);
    return ft_results_take(&results);
error:
    PyMem_Free(starts);
    ft_results_drop(&results);
    return NULL;
}

static PyObject *residual_norm_forward(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"x",   "residual", "gamma",   "beta",
                                  "eps", "tokens",   "dropout", NULL};
    PyObject *x, *residual, *gamma, *beta, *dropout = NULL;
    float eps;
    Py_ssize_t tokens = FT_ANY;
    ft_residual_norm n = {0};
    ft_results results = {0};
    if (!PARSE("OOOOf|nO", &x, &residual, &gamma, &beta, &eps, &tokens, &dropout))
        return NULL;
    NEED(F32(x, "x", FT_ANY, FT_ANY));
    npy_intp rows = ft_operand_size(x, 0), hidden = ft_operand_size(x, 1);
    NEED(n.residual = F32(residual, "residual", rows, hidden));
    NEED(n.gamma = F32(gamma, "gamma", hidden));
    NEED(n.beta = F32(beta, "beta", hidden));
    NEED(ft_operand_dropout(dropout, &n.dropout) == 0);
    tokens = tokens == FT_ANY ? rows : tokens;
    NEED(check_count(tokens, rows) == 0);
    n.tokens = (int32_t)tokens;
    n.rows = (int32_t)rows;
    n.hidden = (int32_t)hidden;
    n.eps = eps;
    NEED(n.y = NEW(rows, hidden));
    NEED(n.sum = COPY(x, "x", rows, hidden)); /* in place, as the step does it */
    n.x = n.sum;
    NEED(n.mean = NEW(rows));
    NEED(n.rstd = NEW(rows));
    NEED(RUN(self, residual_norm_forward, &n) == 0);
    return ft_results_take(&results);
error:
    ft_results_drop(&results);
    return NULL;
}

static PyObject *residual_norm_backward(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"dy",      "sum",      "mean",       "rstd", "gamma", "tokens",
                                  "dropout", "in_place", "accumulate", "into", NULL};
    PyObject *dy, *sum, *mean, *rstd, *gamma, *dropout = NULL, *into = NULL, *items[2];
    Py_ssize_t tokens = FT_ANY;
    int in_place = 0, accumulate = 0;
    ft_residual_norm n = {0};
    ft_residual_norm_gradient g = {0};
    ft_results results = {0};
    if (!PARSE("OOOOO|nOppO", &dy, &sum, &mean, &rstd, &gamma, &tokens, &dropout, &in_place,
               &accumulate, &into))
        return NULL;
    NEED(unpack_into(into, accumulate, 2, items) == 0);
    NEED(g.dy = F32(dy, "dy", FT_ANY, FT_ANY));
    npy_intp rows = ft_operand_size(dy, 0), hidden = ft_operand_size(dy, 1);
    NEED(n.sum = F32(sum, "sum", rows, hidden));
    NEED(n.mean = F32(mean, "mean", rows));
    NEED(n.rstd = F32(rstd, "rstd", rows));
    NEED(n.gamma = F32(gamma, "gamma", hidden));
    NEED(ft_operand_dropout(dropout, &n.dropout) == 0);
    tokens = tokens == FT_ANY ? rows : tokens;
    NEED(check_count(tokens, rows) == 0);
    n.tokens = (int32_t)tokens;
    n.rows = (int32_t)rows;
    n.hidden = (int32_t)hidden;
    NEED(g.dresidual = in_place ? COPY(dy, "dy", rows, hidden) : NEW(rows, hidden));
    if (in_place)
        g.dy = g.dresidual;
    if (in_place && n.dropout.p == 0) {
        g.dx = g.dresidual;
        ft_results_add_none(&results);
    } else {
        NEED(g.dx = NEW(rows, hidden));
    }
    NEED(g.dgamma = COPY(items[0], "dgamma", hidden));
    NEED(g.dbeta = COPY(items[1], "dbeta", hidden));
    g.accumulate = accumulate;
    NEED(RUN(self, residual_norm_backward, &n, &g) == 0);
    return ft_results_take(&results);
error:
    ft_results_drop(&results);
    return NULL;
}

static PyObject *first_rows_gather(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"x", "cu_seqlens", NULL};
    PyObject *x, *cu_seqlens;
    ft_layout layout;
    int32_t *starts = NULL;
    ft_results results = {0};
    if (!PARSE("OO", &x, &cu_seqlens))
        return NULL;
    const float *from = F32(x, "x", FT_ANY, FT_ANY);
    NEED(from);
    npy_intp hidden = ft_operand_size(x, 1);
    NEED(ft_operand_layout(cu_seqlens, NULL, ft_operand_size(x, 0), &layout, &starts) == 0);
    float *first = NEW(layout.sequences, hidden);
    NEED(first);
    NEED(RUN(self, first_rows_gather, &layout, FT_FLOAT32, (int32_t)hidden, from, first) == 0);
    PyMem_Free(starts);
    return ft_results_take(&results);
error:
    PyMem_Free(starts);
    ft_results_drop(&results);
    return NULL;
}

static PyObject *first_rows_scatter(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"dfirst", "dx", "cu_seqlens", NULL};
    PyObject *dfirst, *dx, *cu_seqlens;
    ft_layout layout;
    int32_t *starts = NULL;
    if (!PARSE("OOO", &dfirst, &dx, &cu_seqlens))
        return NULL;
    float *to = ft_operand_writable(dx, "dx", NPY_FLOAT32, FT_SHAPE(FT_ANY, FT_ANY));
    NEED(to);
    npy_intp hidden = ft_operand_size(dx, 1);
    NEED(ft_operand_layout(cu_seqlens, NULL, ft_operand_size(dx, 0), &layout, &starts) == 0);
    const float *from = F32(dfirst, "dfirst", layout.sequences, hidden);
    NEED(from);
    NEED(RUN(self, first_rows_scatter, &layout, (int32_t)hidden, from, to) == 0);
    PyMem_Free(starts);
    Py_RETURN_NONE;
error:
    PyMem_Free(starts);
    return NULL;
}

static PyObject *dropout(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"x", "dropout", NULL};
    PyObject *x, *parameters;
    ft_dropout d;
    if (!PARSE("OO", &x, &parameters))
        return NULL;
    float *data = ft_operand_writable(x, "x", NPY_FLOAT32, FT_SHAPE(FT_ANY));
    if (data == NULL || ft_operand_dropout(parameters, &d) < 0 ||
        RUN(self, dropout, &d, (size_t)ft_operand_size(x, 0), data, data) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *loss(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"logits", "labels", "problem", NULL};
    static const char *const problems[] = {"single_label_classification", "regression",
                                           "multi_label_classification"};
    PyObject *logits, *labels;
    const char *problem;
    float value = 0;
    ft_results results = {0};
    if (!PARSE("OOs", &logits, &labels, &problem))
        return NULL;
    ft_loss l = {.loss = &value};
    int which = 0;
    while (which < 3 && strcmp(problem, problems[which]))
        which++;
    if (which == 3)
        return PyErr_Format(PyExc_ValueError, "problem must be '%s', '%s' or '%s', got '%s'",
                            problems[0], problems[1], problems[2], problem);
    l.problem = (ft_problem)which;
    NEED(l.logits = F32(logits, "logits", FT_ANY, FT_ANY));
    npy_intp sequences = ft_operand_size(logits, 0), width = ft_operand_size(logits, 1);
    l.sequences = (int32_t)sequences;
    l.labels = (int32_t)width;
    if (l.problem == FT_PROBLEM_SINGLE_LABEL) {
        NEED(l.class_labels = ft_operand(labels, "labels", NPY_INT64, FT_SHAPE(sequences)));
        for (npy_intp s = 0; s < sequences; s++)
            if (l.class_labels[s] != -100 &&
                (l.class_labels[s] < 0 || l.class_labels[s] >= width)) {
                PyErr_Format(PyExc_IndexError, "labels[%zd] is %lld, of %zd labels", (Py_ssize_t)s,
                             (long long)l.class_labels[s], (Py_ssize_t)width);
                goto error;
            }
    } else {
        NEED(l.target_labels = F32(labels, "labels", sequences, width));
    }
    NEED(l.dlogits = NEW(sequences, width));
    NEED(RUN(self, loss, &l) == 0);
    PyObject *dlogits = ft_results_take(&results), *pair = NULL;
    if (dlogits != NULL)
        pair = Py_BuildValue("fN", value, dlogits);
    return pair;
error:
    ft_results_drop(&results);
    return NULL;
}

/* A flat buffer [count], or a table [rows, width] with flags uint8 [rows]. */
static float *flat_operand(PyObject *x, const char *name, PyObject *flags, int writable,
                           size_t *count, ft_rows *rows)
{
    *rows = (ft_rows){0};
    int table = flags != NULL && flags != Py_None;
    float *data = (writable ? ft_operand_writable : ft_operand)(x, name, NPY_FLOAT32, table ? 2 : 1,
                                                                (const npy_intp[]){FT_ANY, FT_ANY});
    if (data == NULL)
        return NULL;
    *count = (size_t)PyArray_SIZE((PyArrayObject *)x);
    if (!table)
        return data;
    rows->width = (size_t)ft_operand_size(x, 1);
    rows->flags = ft_operand(flags, "flags", NPY_UINT8, FT_SHAPE(ft_operand_size(x, 0)));
    return rows->flags ? data : NULL;
}

static PyObject *scale_add(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"x", "scale", "y", NULL};
    PyObject *x, *other = Py_None;
    float scale;
    const float *y = NULL;
    if (!PARSE("Of|O", &x, &scale, &other))
        return NULL;
    float *data = ft_operand_writable(x, "x", NPY_FLOAT32, FT_SHAPE(FT_ANY));
    if (data == NULL)
        return NULL;
    npy_intp count = ft_operand_size(x, 0);
    if (other != Py_None && (y = F32(other, "y", count)) == NULL)
        return NULL;
    if (RUN(self, scale_add, (size_t)count, scale, y, data) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *sum_of_squares(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"x", "flags", NULL};
    PyObject *x, *flags = NULL;
    size_t count;
    ft_rows rows;
    double sum;
    if (!PARSE("O|O", &x, &flags))
        return NULL;
    const float *data = flat_operand(x, "x", flags, 0, &count, &rows);
    if (data == NULL || RUN(self, sum_of_squares, data, count, rows, &sum) < 0)
        return NULL;
    return PyFloat_FromDouble(sum);
}

static PyObject *clip(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"squares", "max_norm", NULL};
    PyObject *squares;
    float max_norm, result[2];
    if (!PARSE("Of", &squares, &max_norm))
        return NULL;
    const double *data = ft_operand(squares, "squares", NPY_DOUBLE, FT_SHAPE(FT_ANY));
    if (data == NULL ||
        RUN(self, clip, data, (int32_t)ft_operand_size(squares, 0), max_norm, result) < 0)
        return NULL;
    return Py_BuildValue("ff", result[0], result[1]);
}

static PyObject *adamw(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"parameter", "gradient", "moment1", "moment2",      "lr",
                                  "beta1",     "beta2",    "eps",     "weight_decay", "step",
                                  "scale",     "flags",    NULL};
    PyObject *operands[4], *flags = NULL;
    ft_adamw a;
    long long step;
    float scale = 1;
    size_t count[4];
    ft_rows rows;
    float *data[4];
    static const char *const which[] = {"parameter", "gradient", "moment1", "moment2"};
    if (!PARSE("OOOOdddddL|fO", &operands[0], &operands[1], &operands[2], &operands[3], &a.lr,
               &a.beta1, &a.beta2, &a.eps, &a.weight_decay, &step, &scale, &flags))
        return NULL;
    a.step = step;
    if (step < 1)
        return PyErr_Format(PyExc_ValueError, "step counts from 1, got %lld", step);
    for (int i = 0; i < 4; i++) {
        data[i] = flat_operand(operands[i], which[i], flags, i != 1, &count[i], &rows);
        if (data[i] == NULL)
            return NULL;
        if (count[i] != count[0])
            return PyErr_Format(PyExc_ValueError, "%s has %zu elements, but parameter has %zu",
                                which[i], count[i], count[0]);
    }
    const ft_adamw_operands o = {.count = count[0],
                                 .parameter = data[0],
                                 .gradient = data[1],
                                 .moment1 = data[2],
                                 .moment2 = data[3],
                                 .scale = &scale,
                                 .rows = rows};
    if (RUN(self, adamw, &a, &o) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *zero_rows(backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"x", "flags", NULL};
    PyObject *x, *flags = NULL;
    size_t count;
    ft_rows rows;
    if (!PARSE("O|O", &x, &flags))
        return NULL;
    float *data = flat_operand(x, "x", flags, 1, &count, &rows);
    if (data == NULL || RUN(self, zero_rows, data, count, rows) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *backend_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"name", "threads", NULL};
    const char *name;
    int threads = 0;
    if (!PARSE("s|i", &name, &threads))
        return NULL;
    ft_backend *backend;
    ft_status status = ft_backend_create(name, threads, &backend);
    if (status != FT_OK) {
        ft_python_raise(status);
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    backend_object *self = (backend_object *)allocate(type, 0);
    if (self == NULL) {
        backend->operations->destroy(backend);
        return NULL;
    }
    self->backend = backend;
    pthread_mutex_init(&self->busy, NULL);
    return (PyObject *)self;
}

static void backend_dealloc(backend_object *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    OPERATIONS(self)->destroy(self->backend);
    pthread_mutex_destroy(&self->busy);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

static PyObject *backend_name(backend_object *self, void *closure)
{
    (void)closure;
    return PyUnicode_FromString(OPERATIONS(self)->name);
}

#define METHOD(name) {#name, (PyCFunction)(void (*)(void))name, METH_VARARGS | METH_KEYWORDS, NULL}

static PyMethodDef backend_methods[] = {
    METHOD(embedding_forward),
    METHOD(embedding_backward),
    METHOD(linear_forward),
    METHOD(linear_backward),
    METHOD(attention_forward),
    METHOD(attention_backward),
    METHOD(residual_norm_forward),
    METHOD(residual_norm_backward),
    METHOD(first_rows_gather),
    METHOD(first_rows_scatter),
    METHOD(dropout),
    METHOD(loss),
    METHOD(scale_add),
    METHOD(sum_of_squares),
    METHOD(clip),
    METHOD(adamw),
    METHOD(zero_rows),
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef backend_attributes[] = {
    {"name", (getter)backend_name, NULL, "\"cpu\" or \"reference\"", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot backend_slots[] = {
    {Py_tp_doc, "Backend(name, threads=0)\n--\n\nA backend's operations on NumPy arrays."},
    {Py_tp_new, backend_new},
    {Py_tp_dealloc, backend_dealloc},
    {Py_tp_methods, backend_methods},
    {Py_tp_getset, backend_attributes},
    {0, NULL},
};

static PyType_Spec backend_spec = {
    .name = "ftcore._core.Backend",
    .basicsize = sizeof(backend_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = backend_slots,
};

int ft_python_add_backend(PyObject *module)
{
    ft_module_state *state = PyModule_GetState(module);
    state->backend_type = ft_python_add_type(module, &backend_spec);
    return state->backend_type == NULL ? -1 : 0;
}
