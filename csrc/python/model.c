/* ftcore._core.Model: arguments checked and converted, one call into csrc/model without the GIL,
 * the result converted. Also the function learning_rate. */
#include <math.h>
#include <stdlib.h>

#include "backend/precision.h"
#include "backend/profile.h"
#include "model/schedule.h"
#include "python/batch.h"
#include "python/model.h"
#include "python/update.h"

static ft_model_object *as_model(PyObject *object)
{
    return (ft_model_object *)object;
}

/* ---- one call at a time ---- */

int ft_python_model_begin(PyObject *self)
{
    if (atomic_flag_test_and_set(&as_model(self)->busy)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the model is in use by another thread: a model takes one call at a time");
        return -1;
    }
    return 0;
}

void ft_python_model_end(PyObject *self)
{
    atomic_flag_clear(&as_model(self)->busy);
}

/* ---- integers, for PyArg_Parse's O&: those that its own unsigned formats would wrap ---- */

static int to_unsigned(PyObject *object, unsigned long long most, unsigned long long *out)
{
    PyObject *integer = PyNumber_Index(object);
    if (integer == NULL)
        return 0;
    *out = PyLong_AsUnsignedLongLong(integer);
    Py_DECREF(integer);
    if (PyErr_Occurred())
        return 0;
    if (*out > most)
        PyErr_Format(PyExc_OverflowError, "%llu is too large: at most %llu", *out, most);
    return *out <= most;
}

int ft_python_seed(PyObject *object, void *out)
{
    return to_unsigned(object, UINT64_MAX, out);
}

int ft_python_step(PyObject *object, void *out)
{
    return to_unsigned(object, UINT32_MAX, out);
}

static int to_micro_step(PyObject *object, void *out)
{
    return to_unsigned(object, UINT16_MAX, out);
}

/* ---- construction ---- */

static int get_int(PyObject *config, const char *name, int32_t *out)
{
    PyObject *value = PyMapping_GetItemString(config, name);
    if (value == NULL)
        return -1;
    long number = PyLong_AsLong(value);
    Py_DECREF(value);
    if (number == -1 && PyErr_Occurred())
        return -1;
    if (number < INT32_MIN || number > INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%s = %ld is too large", name, number);
        return -1;
    }
    *out = (int32_t)number;
    return 0;
}

static int get_float(PyObject *config, const char *name, float *out)
{
    PyObject *value = PyMapping_GetItemString(config, name);
    if (value == NULL)
        return -1;
    *out = (float)PyFloat_AsDouble(value);
    Py_DECREF(value);
    return PyErr_Occurred() ? -1 : 0;
}

static int get_architecture(PyObject *config, ft_architecture *out)
{
    PyObject *value = PyMapping_GetItemString(config, "model_type");
    if (value == NULL)
        return -1;
    int known = 1;
    if (PyUnicode_Check(value) && PyUnicode_CompareWithASCIIString(value, "bert") == 0)
        *out = FT_ARCHITECTURE_BERT;
    else if (PyUnicode_Check(value) && PyUnicode_CompareWithASCIIString(value, "distilbert") == 0)
        *out = FT_ARCHITECTURE_DISTILBERT;
    else
        known = 0;
    if (!known)
        PyErr_Format(PyExc_ValueError, "model_type %R is not supported: 'bert' or 'distilbert'",
                     value);
    Py_DECREF(value);
    return known ? 0 : -1;
}

static int get_config(PyObject *config, ft_model_config *c)
{
    if (get_architecture(config, &c->architecture) < 0 ||
        get_int(config, "vocab_size", &c->vocab_size) < 0 ||
        get_int(config, "hidden_size", &c->hidden_size) < 0 ||
        get_int(config, "num_hidden_layers", &c->layers) < 0 ||
        get_int(config, "num_attention_heads", &c->heads) < 0 ||
        get_int(config, "intermediate_size", &c->intermediate_size) < 0 ||
        get_int(config, "max_position_embeddings", &c->max_positions) < 0 ||
        get_int(config, "pad_token_id", &c->pad_token_id) < 0 ||
        get_int(config, "num_labels", &c->num_labels) < 0 ||
        get_float(config, "layer_norm_eps", &c->layer_norm_eps) < 0 ||
        get_float(config, "hidden_dropout_prob", &c->hidden_dropout) < 0 ||
        get_float(config, "attention_probs_dropout_prob", &c->attention_dropout) < 0 ||
        get_float(config, "classifier_dropout", &c->classifier_dropout) < 0)
        return -1;
    if (c->architecture == FT_ARCHITECTURE_DISTILBERT)
        return 0;
    c->attention_output_dropout = c->hidden_dropout;
    return get_int(config, "type_vocab_size", &c->type_vocab_size);
}

static PyObject *model_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"config", "backend", "threads", "profile", NULL};
    PyObject *mapping;
    const char *backend_name = "auto";
    int threads = 0, profile = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|sip:Model", names, &mapping,
                                     &backend_name, &threads, &profile))
        return NULL;
    ft_model_config config = {0};
    if (get_config(mapping, &config) < 0)
        return NULL;
    ft_model_object *self = (ft_model_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    ft_backend *backend;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_backend_create(backend_name, threads, &backend);
    if (status == FT_OK && profile) {
        status = ft_backend_profile_create(backend, &backend);
        self->profile = backend;
    }
    if (status == FT_OK)
        status = ft_model_create(&config, backend, &self->model);
    Py_END_ALLOW_THREADS
    if (status != FT_OK) {
        ft_python_raise(status);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void model_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    ft_model_destroy(ft_python_model(self));
    release(self);
    Py_DECREF(type);
}

/* ---- the passes ---- */

PyObject *ft_python_finish(ft_status status)
{
    if (status == FT_OK)
        Py_RETURN_NONE;
    ft_python_raise(status);
    return NULL;
}

static PyObject *model_forward(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"batch", "training", "seed", "step", "micro_step", "keep", NULL};
    ft_model *model = ft_python_model(self);
    PyObject *object;
    int training = 0, keep = 0;
    unsigned long long seed = 0, step = 0, micro_step = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|pO&O&O&p:forward", names, &object,
                                     &training, ft_python_seed, &seed, ft_python_step, &step,
                                     to_micro_step, &micro_step, &keep))
        return NULL;
    const ft_batch *batch = ft_python_batch(ft_python_state(Py_TYPE(self)), object);
    if (batch == NULL)
        return NULL;
    npy_intp shape[2] = {batch->sequences, ft_model_get_config(model)->num_labels};
    PyObject *logits = PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    if (logits == NULL || ft_python_model_begin(self) < 0) {
        Py_XDECREF(logits);
        return NULL;
    }
    ft_pass pass = {.training = training,
                    .keep = keep || training,
                    .seed = seed,
                    .step = (uint32_t)step,
                    .micro_step = (uint16_t)micro_step};
    float loss = 0;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_forward(model, batch, &pass, &loss, PyArray_DATA((PyArrayObject *)logits));
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    if (status != FT_OK) {
        Py_DECREF(logits);
        return ft_python_finish(status);
    }
    if (batch->class_labels == NULL && batch->target_labels == NULL)
        return Py_BuildValue("(ON)", Py_None, logits);
    return Py_BuildValue("(dN)", (double)loss, logits);
}

static PyObject *model_evaluate(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"batch", "loss_rows", NULL};
    ft_model *model = ft_python_model(self);
    PyObject *object, *losses = NULL, *logits = NULL;
    int loss_rows;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "Oi:evaluate", names, &object,
                                     &loss_rows))
        return NULL;
    const ft_batch *batch = ft_python_batch(ft_python_state(Py_TYPE(self)), object);
    if (batch == NULL)
        return NULL;
    npy_intp shape[2] = {batch->sequences, ft_model_get_config(model)->num_labels};
    npy_intp loss_count = loss_rows < 1 ? 0 : (batch->sequences - 1) / loss_rows + 1;
    if ((losses = PyArray_SimpleNew(1, &loss_count, NPY_FLOAT32)) == NULL ||
        (logits = PyArray_SimpleNew(2, shape, NPY_FLOAT32)) == NULL ||
        ft_python_model_begin(self) < 0)
        goto error;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_evaluate(model, batch, loss_rows, PyArray_DATA((PyArrayObject *)losses),
                               PyArray_DATA((PyArrayObject *)logits));
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    if (status != FT_OK) {
        ft_python_raise(status);
        goto error;
    }
    if (batch->class_labels == NULL && batch->target_labels == NULL) {
        Py_DECREF(losses);
        losses = Py_NewRef(Py_None);
    }
    return Py_BuildValue("(NN)", losses, logits);
error:
    Py_XDECREF(losses);
    Py_XDECREF(logits);
    return NULL;
}

static PyObject *model_backward(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"loss_scale", "dlogits", NULL};
    ft_model *model = ft_python_model(self);
    double loss_scale = 1;
    PyObject *object = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|dO:backward", names, &loss_scale,
                                     &object))
        return NULL;
    PyArrayObject *dlogits = NULL;
    if (object != Py_None) {
        dlogits = (PyArrayObject *)PyArray_FROM_OTF(object, NPY_FLOAT32, NPY_ARRAY_IN_ARRAY);
        if (dlogits == NULL)
            return NULL;
    }
    ft_status status = FT_OK;
    if (ft_python_model_begin(self) == 0) {
        if (dlogits && (size_t)PyArray_SIZE(dlogits) != ft_model_logit_count(model)) {
            PyErr_Format(PyExc_ValueError, "dlogits has %zd elements, the logits have %zu",
                         (Py_ssize_t)PyArray_SIZE(dlogits), ft_model_logit_count(model));
        } else {
            Py_BEGIN_ALLOW_THREADS
            status =
                ft_model_backward(model, (float)loss_scale, dlogits ? PyArray_DATA(dlogits) : NULL);
            Py_END_ALLOW_THREADS
        }
        ft_python_model_end(self);
    }
    Py_XDECREF((PyObject *)dlogits);
    return PyErr_Occurred() ? NULL : ft_python_finish(status);
}

static PyObject *model_zero_gradients(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (ft_python_model_begin(self) < 0)
        return NULL;
    ft_status status = ft_model_zero_gradients(ft_python_model(self));
    ft_python_model_end(self);
    return ft_python_finish(status);
}

static PyObject *model_clear_gradients(PyObject *self, PyObject *unused)
{
    (void)unused;
    ft_status status;
    if (ft_python_model_begin(self) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_clear_gradients(ft_python_model(self));
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    return ft_python_finish(status);
}

static PyObject *model_gradient_norm(PyObject *self, PyObject *unused)
{
    (void)unused;
    float norm = 0;
    ft_status status;
    if (ft_python_model_begin(self) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_gradient_norm(ft_python_model(self), &norm);
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    return status == FT_OK ? PyFloat_FromDouble(norm) : ft_python_finish(status);
}

static PyObject *model_scale_gradients(PyObject *self, PyObject *argument)
{
    double factor = PyFloat_AsDouble(argument);
    if ((factor == -1 && PyErr_Occurred()) || ft_python_model_begin(self) < 0)
        return NULL;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_scale_gradients(ft_python_model(self), (float)factor);
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    return ft_python_finish(status);
}

static PyObject *model_update(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"groups", "group_of", "step", "max_grad_norm", NULL};
    PyObject *groups, *group_of, *result = NULL;
    long long step;
    double max_norm = 0;
    ft_update_arguments u = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOL|d:update", names, &groups, &group_of,
                                     &step, &max_norm))
        return NULL;
    if (ft_update_arguments_get(ft_model_table(ft_python_model(self)), groups, group_of, step,
                                max_norm, &u) == 0 &&
        ft_python_model_begin(self) == 0) {
        float norm = NAN;
        ft_status status;
        Py_BEGIN_ALLOW_THREADS
        status = ft_model_update(ft_python_model(self), &u.update, &norm);
        Py_END_ALLOW_THREADS
        ft_python_model_end(self);
        result = status == FT_OK ? PyFloat_FromDouble(norm) : ft_python_finish(status);
    }
    ft_update_arguments_release(&u);
    return result;
}

/* The batches of a sequence: a tuple that keeps them alive, and a table of them to PyMem_Free. */
static PyObject *get_batches(PyObject *self, PyObject *sequence, const ft_batch ***out)
{
    PyObject *tuple = PySequence_Tuple(sequence);
    if (tuple == NULL)
        return NULL;
    Py_ssize_t count = PyTuple_Size(tuple);
    *out = PyMem_Calloc(count ? count : 1, sizeof **out);
    if (*out == NULL)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; *out != NULL && i < count; i++) {
        (*out)[i] = ft_python_batch(ft_python_state(Py_TYPE(self)), PyTuple_GetItem(tuple, i));
        if ((*out)[i] == NULL)
            break;
    }
    if (PyErr_Occurred())
        Py_CLEAR(tuple);
    return tuple;
}

static PyObject *results_as_tuple(const ft_results *r)
{
    return Py_BuildValue("(dLd)", r->losses, (long long)r->steps, (double)r->norm);
}

static PyObject *model_take_results(PyObject *self, PyObject *unused)
{
    (void)unused;
    ft_results results;
    ft_status status;
    if (ft_python_model_begin(self) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_take_results(ft_python_model(self), &results);
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    return status == FT_OK ? results_as_tuple(&results) : ft_python_finish(status);
}

/* One step; where it waits, (its loss, its norm). The model is begun. */
static PyObject *run_step(PyObject *self, const ft_train_step *step, int wait)
{
    ft_model *model = ft_python_model(self);
    ft_results results;
    ft_status status;
    if (wait && ft_model_pending_steps(model) > 0) {
        PyErr_SetString(PyExc_RuntimeError,
                        "there are results of earlier steps: take_results() comes first");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_train_step(model, step);
    if (status == FT_OK && wait)
        status = ft_model_take_results(model, &results);
    Py_END_ALLOW_THREADS
    if (status != FT_OK || !wait)
        return ft_python_finish(status);
    return Py_BuildValue("(dd)", results.losses, (double)results.norm);
}

static PyObject *model_train_step(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"batches", "loss_scale",    "seed",           "groups", "group_of",
                            "step",    "max_grad_norm", "gradient_scale", "wait",   NULL};
    PyObject *sequence, *groups, *group_of, *result = NULL, *batches = NULL;
    double loss_scale, max_norm = 1, gradient_scale = 0;
    unsigned long long seed, number;
    int wait = 1;
    const ft_batch **table = NULL;
    ft_update_arguments u = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OdO&OOO&|ddp:train_step", names,
                                     &sequence, &loss_scale, ft_python_seed, &seed, &groups,
                                     &group_of, ft_python_step, &number, &max_norm, &gradient_scale,
                                     &wait))
        return NULL;
    if (ft_update_arguments_get(ft_model_table(ft_python_model(self)), groups, group_of,
                                (long long)number, max_norm, &u) == 0 &&
        (batches = get_batches(self, sequence, &table)) != NULL &&
        ft_python_model_begin(self) == 0) {
        const ft_train_step step = {
            .batches = table,
            .batch_count = (int32_t)PyTuple_Size(batches),
            .loss_scale = (float)loss_scale,
            .gradient_scale = (float)gradient_scale,
            .seed = seed,
            .step = (uint32_t)number,
            .update = u.update,
        };
        result = run_step(self, &step, wait);
        ft_python_model_end(self);
    }
    PyMem_Free(table);
    Py_XDECREF(batches);
    ft_update_arguments_release(&u);
    return result;
}

static PyObject *model_profile(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (as_model(self)->profile == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the model was made without profile=True");
        return NULL;
    }
    if (ft_python_model_begin(self) < 0)
        return NULL;
    size_t count;
    const ft_profile_entry *entries = ft_backend_profile_entries(as_model(self)->profile, &count);
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        const ft_profile_entry *e = &entries[i];
        PyObject *shape = e->in ? Py_BuildValue("(iii)", e->rows, e->in, e->out) : PyTuple_New(0);
        PyObject *item = shape ? Py_BuildValue("(sNKd)", e->operation, shape,
                                               (unsigned long long)e->calls, e->seconds)
                               : NULL;
        if (item == NULL || PyList_SetItem(list, (Py_ssize_t)i, item) < 0)
            Py_CLEAR(list);
    }
    ft_python_model_end(self);
    return list;
}

/* ---- attributes ---- */

static PyObject *model_get_backend(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(ft_model_backend_name(ft_python_model(self)));
}

static PyObject *model_get_device(PyObject *self, void *unused)
{
    (void)unused;
    const ft_model *model = ft_python_model(self);
    if (ft_model_host_memory(model))
        return PyUnicode_FromString("cpu");
    return PyUnicode_FromFormat("%s:%d", ft_model_backend_name(model), ft_model_device(model));
}

static PyObject *model_get_has_gradients(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(ft_model_has_gradients(ft_python_model(self)));
}

static const char *const problem_names[] = {
    [FT_PROBLEM_SINGLE_LABEL] = "single_label_classification",
    [FT_PROBLEM_REGRESSION] = "regression",
    [FT_PROBLEM_MULTI_LABEL] = "multi_label_classification",
};

static PyObject *model_get_problem_type(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(problem_names[ft_model_problem(ft_python_model(self))]);
}

static int model_set_problem_type(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    if (value == NULL || !PyUnicode_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "problem_type must be a string");
        return -1;
    }
    for (int i = 0; i < 3; i++) {
        if (PyUnicode_CompareWithASCIIString(value, problem_names[i]) == 0) {
            if (ft_python_model_begin(self) < 0)
                return -1;
            ft_model_set_problem(ft_python_model(self), (ft_problem)i);
            ft_python_model_end(self);
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError,
                 "unknown problem_type %R: 'single_label_classification', 'regression' or "
                 "'multi_label_classification'",
                 value);
    return -1;
}

static PyObject *model_get_precision(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(ft_precision_name(ft_model_precision(ft_python_model(self))));
}

static int model_set_precision(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    if (value == NULL || !PyUnicode_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "precision must be a string");
        return -1;
    }
    ft_precision precision = FT_FLOAT32;
    while (precision <= FT_FLOAT16 &&
           PyUnicode_CompareWithASCIIString(value, ft_precision_name(precision)))
        precision++;
    if (precision > FT_FLOAT16) {
        PyErr_Format(PyExc_ValueError,
                     "precision must be 'float32', 'bfloat16' or 'float16', got %R", value);
        return -1;
    }
    if (ft_python_model_begin(self) < 0)
        return -1;
    ft_status status = ft_model_set_precision(ft_python_model(self), precision);
    ft_python_model_end(self);
    if (status != FT_OK)
        ft_python_raise(status);
    return status == FT_OK ? 0 : -1;
}

static PyObject *model_get_tf32(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(ft_model_tf32(ft_python_model(self)));
}

static int model_set_tf32(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    if (value == NULL || !PyBool_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "tf32 must be True or False");
        return -1;
    }
    if (ft_python_model_begin(self) < 0)
        return -1;
    ft_status status = ft_model_set_tf32(ft_python_model(self), value == Py_True);
    ft_python_model_end(self);
    if (status != FT_OK)
        ft_python_raise(status);
    return status == FT_OK ? 0 : -1;
}

static PyObject *model_get_threads(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLong(ft_model_threads(ft_python_model(self)));
}

static int model_set_threads(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    int overflow;
    if (value == NULL || !PyLong_Check(value) || PyBool_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "threads must be an integer");
        return -1;
    }
    long threads = PyLong_AsLongAndOverflow(value, &overflow);
    if (overflow || threads != (int)threads) {
        PyErr_Format(PyExc_ValueError, "threads = %S is out of range", value);
        return -1;
    }
    if (ft_python_model_begin(self) < 0)
        return -1;
    ft_status status = ft_model_set_threads(ft_python_model(self), (int)threads);
    ft_python_model_end(self);
    if (status != FT_OK)
        ft_python_raise(status);
    return status == FT_OK ? 0 : -1;
}

/* ---- the type ---- */

PyDoc_STRVAR(forward_doc,
             "forward(batch, training=False, seed=0, step=0, micro_step=0, keep=False)\n--\n\n"
             "Returns (mean loss or None, logits [sequences, num_labels] float32).");
PyDoc_STRVAR(evaluate_doc, "evaluate(batch, loss_rows)\n--\n\n"
                           "Returns (mean loss of every loss_rows sequences float32 or None, "
                           "logits [sequences, num_labels] float32).");
PyDoc_STRVAR(backward_doc, "backward(loss_scale=1.0, dlogits=None)\n--\n\n"
                           "Adds the gradient of loss_scale * loss + sum(dlogits * logits).");
PyDoc_STRVAR(update_doc, "update(groups, group_of, step, max_grad_norm=0.0)\n--\n\n"
                         "One AdamW step; returns the gradient norm, or nan without clipping.");
PyDoc_STRVAR(train_step_doc,
             "train_step(batches, loss_scale, seed, groups, group_of, step, max_grad_norm=1.0, "
             "gradient_scale=0.0, wait=True)\n--\n\n"
             "A whole step; returns (sum of loss_scale * loss, gradient norm), or None where it "
             "does not wait.");

static PyMethodDef model_methods[] = {
    {"parameters", ft_python_model_parameters, METH_NOARGS,
     "(name, shape, decays) of each parameter."},
    {"parameter", ft_python_model_parameter, METH_O,
     "A writable view of a parameter, by index; where memory is a GPU's, a copy."},
    {"gradient", ft_python_model_gradient, METH_O, "The same of a parameter's gradient."},
    {"moments", ft_python_model_moments, METH_O, "The same of AdamW's two moments."},
    {"set_parameter", ft_python_model_set_parameter, METH_VARARGS,
     "set_parameter(index, values)\n--\n\nCopies an array into a parameter."},
    {"set_gradient", ft_python_model_set_gradient, METH_VARARGS,
     "set_gradient(index, values)\n--\n\nCopies an array into a parameter's gradient."},
    {"set_moments", ft_python_model_set_moments, METH_VARARGS,
     "set_moments(index, first, second)\n--\n\nCopies arrays into a parameter's moments."},
    {"zero_moments", ft_python_model_zero_moments, METH_O, "Zeroes a parameter's moments."},
    {"reload_moments", ft_python_model_reload_moments, METH_NOARGS,
     "To be called after moments were written through their views."},
    {"copy_state", ft_python_model_copy_state, METH_O,
     "Takes over what another model of the same configuration holds."},
    {"dlpack_device", ft_python_model_dlpack_device, METH_NOARGS,
     "DLPack's numbers of the device whose memory it is."},
    {"parameter_dlpack", (PyCFunction)(void (*)(void))ft_python_model_parameter_dlpack,
     METH_VARARGS | METH_KEYWORDS,
     "parameter_dlpack(index, stream=None, max_version=None)\n--\n\n"
     "A capsule of DLPack that shares a parameter's memory."},
    {"parameter_address", ft_python_model_parameter_address, METH_O,
     "(where a parameter lies, what keeps it there)."},
    {"forward", (PyCFunction)(void (*)(void))model_forward, METH_VARARGS | METH_KEYWORDS,
     forward_doc},
    {"evaluate", (PyCFunction)(void (*)(void))model_evaluate, METH_VARARGS | METH_KEYWORDS,
     evaluate_doc},
    {"backward", (PyCFunction)(void (*)(void))model_backward, METH_VARARGS | METH_KEYWORDS,
     backward_doc},
    {"forward_padded", (PyCFunction)(void (*)(void))ft_python_model_forward_padded,
     METH_VARARGS | METH_KEYWORDS, ft_python_forward_padded_doc},
    {"backward_from", ft_python_model_backward_from, METH_VARARGS,
     "backward_from(loss_scale, dlogits)\n--\n\n"
     "As backward, of float32 GpuArrays; None: 0."},
    {"follow", ft_python_model_follow, METH_O,
     "What is done from now on comes after the stream's work, given by its handle."},
    {"lead", ft_python_model_lead, METH_O,
     "The stream's further work comes after what was done; None: all streams', and it is waited "
     "for."},
    {"download", ft_python_model_download, METH_O, "A NumPy array of what a GpuArray holds."},
    {"zero_gradients", model_zero_gradients, METH_NOARGS, "Drops the gradients."},
    {"clear_gradients", model_clear_gradients, METH_NOARGS, "Zeroes the gradients, if any."},
    {"gradient_norm", model_gradient_norm, METH_NOARGS, "The global norm of the gradients."},
    {"scale_gradients", model_scale_gradients, METH_O, "Multiplies the gradients by a factor."},
    {"update", (PyCFunction)(void (*)(void))model_update, METH_VARARGS | METH_KEYWORDS, update_doc},
    {"train_step", (PyCFunction)(void (*)(void))model_train_step, METH_VARARGS | METH_KEYWORDS,
     train_step_doc},
    {"take_results", model_take_results, METH_NOARGS,
     "(sum of losses, number of steps, last norm) of the steps that were not waited for."},
    {"profile", model_profile, METH_NOARGS, "What each operation took, with profile=True."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef model_attributes[] = {
    {"backend", model_get_backend, NULL, "'cpu', 'cuda' or 'reference'", NULL},
    {"device", model_get_device, NULL, "'cpu', or 'cuda:0': whose memory it is in", NULL},
    {"has_gradients", model_get_has_gradients, NULL,
     "whether backward ran since gradients were zeroed", NULL},
    {"problem_type", model_get_problem_type, model_set_problem_type,
     "which loss: Hugging Face's names", NULL},
    {"precision", model_get_precision, model_set_precision,
     "'float32', 'bfloat16' or 'float16': what products and activations are", NULL},
    {"tf32", model_get_tf32, model_set_tf32,
     "whether products may round float32 operands to TensorFloat-32", NULL},
    {"threads", model_get_threads, model_set_threads, "on how many threads it runs", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot model_slots[] = {
    {Py_tp_doc, "Model(config, backend='auto', threads=0, profile=False)\n--\n\n"
                "The fused train step of one classifier."},
    {Py_tp_new, model_new},
    {Py_tp_dealloc, model_dealloc},
    {Py_tp_methods, model_methods},
    {Py_tp_getset, model_attributes},
    {0, NULL},
};

static PyType_Spec model_spec = {
    .name = "ftcore._core.Model",
    .basicsize = sizeof(ft_model_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = model_slots,
};

static PyObject *learning_rate(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"schedule", "base", "step", "warmup_steps", "total_steps", NULL};
    (void)module;
    const char *schedule;
    double base, rate;
    long long step, warmup, total;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "sdLLL:learning_rate", names, &schedule,
                                     &base, &step, &warmup, &total))
        return NULL;
    ft_status status = ft_schedule_rate(schedule, base, step, warmup, total, &rate);
    return status == FT_OK ? PyFloat_FromDouble(rate) : ft_python_finish(status);
}

static PyMethodDef functions[] = {
    {"learning_rate", (PyCFunction)(void (*)(void))learning_rate, METH_VARARGS | METH_KEYWORDS,
     "learning_rate(schedule, base, step, warmup_steps, total_steps)\n--\n\n"
     "The rate of a schedule at a step that counts from 0."},
    {NULL, NULL, 0, NULL},
};

int ft_python_add_model(PyObject *module)
{
    ft_module_state *state = PyModule_GetState(module);
    state->model_type = ft_python_add_type(module, &model_spec);
    return state->model_type ? PyModule_AddFunctions(module, functions) : -1;
}
