/* _core.Backend's methods for what runs over whole buffers: dropout, losses, the optimizer's
 * passes. */
#include "python/operations.h"

#include <string.h>

FT_OPERATIONS_METHOD(dropout)
{
    static const char *names[] = {"x", "dropout", NULL};
    PyObject *x, *parameters;
    ft_dropout d;
    if (!PARSE("OO", &x, &parameters))
        return NULL;
    float *data = ft_call_writable(call, x, "x", NPY_FLOAT32, FT_SHAPE(FT_ANY));
    if (data == NULL || ft_operand_dropout(parameters, &d) < 0 ||
        RUN(dropout, &d, (size_t)ft_operand_size(x, 0), data, data) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int check_class_labels(PyObject *labels, npy_intp width)
{
    const int64_t *values = PyArray_DATA((PyArrayObject *)labels);
    for (npy_intp s = 0; s < ft_operand_size(labels, 0); s++)
        if (values[s] != -100 && (values[s] < 0 || values[s] >= width)) {
            PyErr_Format(PyExc_IndexError, "labels[%zd] is %lld, of %zd labels", (Py_ssize_t)s,
                         (long long)values[s], (Py_ssize_t)width);
            return -1;
        }
    return 0;
}

FT_OPERATIONS_METHOD(loss)
{
    static const char *names[] = {"logits", "labels", "problem", NULL};
    static const char *const problems[] = {"single_label_classification", "regression",
                                           "multi_label_classification"};
    PyObject *logits, *labels;
    const char *problem;
    float value = 0;
    if (!PARSE("OOs", &logits, &labels, &problem))
        return NULL;
    ft_loss l = {0};
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
        NEED(l.class_labels =
                 ft_call_operand(call, labels, "labels", NPY_INT64, FT_SHAPE(sequences)));
        NEED(check_class_labels(labels, width) == 0);
    } else {
        NEED(l.target_labels = F32(labels, "labels", sequences, width));
    }
    NEED(l.dlogits = NEW_F32(sequences, width));
    NEED(l.loss = ft_call_reach(call, &value, sizeof value, true));
    NEED(RUN(loss, &l) == 0);
    PyObject *dlogits = ft_call_results(call);
    return dlogits == NULL ? NULL : Py_BuildValue("fN", value, dlogits);
}

/* A flat buffer [count], or a table [rows, width] with flags uint8 [rows]. */
static void *flat_operand(ft_call *call, PyObject *x, const char *name, ft_precision precision,
                          PyObject *flags, int writable, size_t *count, ft_rows *rows)
{
    *rows = (ft_rows){0};
    int table = flags != NULL && flags != Py_None;
    void *data = (writable ? ft_call_writable
                           : ft_call_operand)(call, x, name, ft_operand_type(precision),
                                              table ? 2 : 1, (const npy_intp[]){FT_ANY, FT_ANY});
    if (data == NULL)
        return NULL;
    *count = (size_t)PyArray_SIZE((PyArrayObject *)x);
    if (!table)
        return data;
    rows->width = (size_t)ft_operand_size(x, 1);
    rows->flags = ft_call_operand(call, flags, "flags", NPY_UINT8, FT_SHAPE(ft_operand_size(x, 0)));
    return rows->flags ? data : NULL;
}

FT_OPERATIONS_METHOD(scale_add)
{
    static const char *names[] = {"x", "scale", "y", NULL};
    PyObject *x, *other = Py_None;
    float scale;
    const float *y = NULL;
    if (!PARSE("Of|O", &x, &scale, &other))
        return NULL;
    float *data = ft_call_writable(call, x, "x", NPY_FLOAT32, FT_SHAPE(FT_ANY));
    if (data == NULL)
        return NULL;
    npy_intp count = ft_operand_size(x, 0);
    if (other != Py_None && (y = F32(other, "y", count)) == NULL)
        return NULL;
    if (RUN(scale_add, (size_t)count, scale, y, data) < 0)
        return NULL;
    Py_RETURN_NONE;
}

FT_OPERATIONS_METHOD(scale_by)
{
    static const char *names[] = {"x", "scale", "y", NULL};
    PyObject *x, *scale_object, *other = Py_None;
    const float *y = NULL;
    if (!PARSE("OO|O", &x, &scale_object, &other))
        return NULL;
    float *data = ft_call_writable(call, x, "x", NPY_FLOAT32, FT_SHAPE(FT_ANY));
    if (data == NULL)
        return NULL;
    npy_intp count = ft_operand_size(x, 0);
    const float *scale = F32(scale_object, "scale", 1);
    if (scale == NULL || (other != Py_None && (y = F32(other, "y", count)) == NULL) ||
        RUN(scale_by, (size_t)count, scale, y, data) < 0)
        return NULL;
    Py_RETURN_NONE;
}

FT_OPERATIONS_METHOD(sum_of_squares)
{
    static const char *names[] = {"x", "flags", NULL};
    PyObject *x, *flags = NULL;
    size_t count;
    ft_rows rows;
    double sum = 0;
    if (!PARSE("O|O", &x, &flags))
        return NULL;
    const float *data = flat_operand(call, x, "x", FT_FLOAT32, flags, 0, &count, &rows);
    NEED(data);
    double *to = ft_call_reach(call, &sum, sizeof sum, true);
    NEED(to && RUN(sum_of_squares, data, count, rows, to) == 0);
    return PyFloat_FromDouble(sum);
}

FT_OPERATIONS_METHOD(clip)
{
    static const char *names[] = {"squares", "max_norm", "loss_scale", NULL};
    PyObject *squares;
    float max_norm, loss_scale = 1, result[2] = {0, 0};
    if (!PARSE("Of|f", &squares, &max_norm, &loss_scale))
        return NULL;
    const double *data = ft_call_operand(call, squares, "squares", NPY_DOUBLE, FT_SHAPE(FT_ANY));
    NEED(data);
    float *to = ft_call_reach(call, result, sizeof result, true);
    NEED(to &&
         RUN(clip, data, (int32_t)ft_operand_size(squares, 0), loss_scale, max_norm, to) == 0);
    return Py_BuildValue("ff", result[0], result[1]);
}

FT_OPERATIONS_METHOD(adamw)
{
    static const char *names[] = {
        "parameter", "gradient",     "moment1", "moment2", "lr",    "beta1",  "beta2",
        "eps",       "weight_decay", "step",    "scale",   "flags", "shadow", NULL};
    enum { SHADOW = 4, OPERANDS };
    PyObject *operands[OPERANDS], *flags = NULL;
    operands[SHADOW] = Py_None;
    ft_adamw a;
    long long step;
    float scale = 1;
    size_t count[OPERANDS];
    ft_rows rows;
    void *data[OPERANDS] = {NULL};
    ft_precision shadow_precision = FT_BFLOAT16;
    if (!PARSE("OOOOdddddL|fOO", &operands[0], &operands[1], &operands[2], &operands[3], &a.lr,
               &a.beta1, &a.beta2, &a.eps, &a.weight_decay, &step, &scale, &flags,
               &operands[SHADOW]))
        return NULL;
    a.step = step;
    if (step < 1)
        return PyErr_Format(PyExc_ValueError, "step counts from 1, got %lld", step);
    for (int i = 0; i < OPERANDS; i++) {
        if (i == SHADOW && operands[i] == Py_None)
            continue;
        const char *name = i == SHADOW ? "shadow" : names[i];
        ft_precision precision = FT_FLOAT32;
        if (i == SHADOW) {
            if (ft_operations_precision(call->self, operands[i], name, &shadow_precision) < 0)
                return NULL;
            if (shadow_precision == FT_FLOAT32)
                return PyErr_Format(PyExc_TypeError,
                                    "shadow must be an array of uint16, for bfloat16, or float16");
            precision = shadow_precision;
        }
        data[i] = flat_operand(call, operands[i], name, precision, flags, i != 1, &count[i], &rows);
        if (data[i] == NULL)
            return NULL;
        if (count[i] != count[0])
            return PyErr_Format(PyExc_ValueError, "%s has %zu elements, but parameter has %zu",
                                name, count[i], count[0]);
    }
    const float *factor = ft_call_reach(call, &scale, sizeof scale, false);
    NEED(factor);
    const ft_adamw_operands o = {.count = count[0],
                                 .parameter = data[0],
                                 .gradient = data[1],
                                 .moment1 = data[2],
                                 .moment2 = data[3],
                                 .shadow = data[SHADOW],
                                 .shadow_precision = shadow_precision,
                                 .scale = factor,
                                 .rows = rows};
    if (RUN(adamw, &a, &o) < 0)
        return NULL;
    Py_RETURN_NONE;
}

FT_OPERATIONS_METHOD(cast)
{
    static const char *names[] = {"x", "precision", NULL};
    PyObject *x;
    const char *name;
    ft_precision precision;
    if (!PARSE("Os", &x, &name) || ft_operand_parse_precision(name, &precision) < 0 ||
        ft_operations_take(call->self, precision) < 0)
        return NULL;
    const float *from = F32(x, "x", FT_ANY);
    NEED(from);
    npy_intp count = ft_operand_size(x, 0);
    void *to = NEW(precision, count);
    NEED(to);
    NEED(RUN(cast, precision, (size_t)count, from, to) == 0);
    return ft_call_results(call);
}

FT_OPERATIONS_METHOD(zero_rows)
{
    static const char *names[] = {"x", "flags", NULL};
    PyObject *x, *flags = NULL;
    size_t count;
    ft_rows rows;
    if (!PARSE("O|O", &x, &flags))
        return NULL;
    float *data = flat_operand(call, x, "x", FT_FLOAT32, flags, 1, &count, &rows);
    if (data == NULL || RUN(zero_rows, data, count, rows) < 0)
        return NULL;
    Py_RETURN_NONE;
}

FT_OPERATIONS_METHOD(add_flags)
{
    static const char *names[] = {"flags", "into", NULL};
    PyObject *flags, *into;
    if (!PARSE("OO", &flags, &into))
        return NULL;
    uint8_t *to = ft_call_writable(call, into, "into", NPY_UINT8, FT_SHAPE(FT_ANY));
    if (to == NULL)
        return NULL;
    npy_intp count = ft_operand_size(into, 0);
    const uint8_t *from = ft_call_operand(call, flags, "flags", NPY_UINT8, FT_SHAPE(count));
    if (from == NULL || RUN(add_flags, (size_t)count, from, to) < 0)
        return NULL;
    Py_RETURN_NONE;
}
