/* ftcore._core.Model: arguments checked and converted, one call into csrc/model without the GIL,
 * the result converted. Also the function learning_rate. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "backend/precision.h"
#include "backend/profile.h"
#include "model/model.h"
#include "model/schedule.h"
#include "python/batch.h"
#include "python/module.h"
#include "python/update.h"

typedef struct model_object {
    PyObject_HEAD ft_model *model;
    const ft_backend *profile; /* the model's backend, where it is one that takes the time */
    atomic_flag busy;          /* a call is under way, the GIL perhaps released */
} model_object;

static model_object *as_model(PyObject *object)
{
    return (model_object *)object;
}

/* ---- one call at a time ---- */

static int begin(PyObject *self)
{
    if (atomic_flag_test_and_set(&as_model(self)->busy)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the model is in use by another thread: a model takes one call at a time");
        return -1;
    }
    return 0;
}

static void end(PyObject *self)
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

static int to_seed(PyObject *object, void *out)
{
    return to_unsigned(object, UINT64_MAX, out);
}

static int to_step(PyObject *object, void *out)
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
    model_object *self = (model_object *)PyType_GenericAlloc(type, 0);
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
    ft_model_destroy(as_model(self)->model);
    release(self);
    Py_DECREF(type);
}

/* ---- the arenas as arrays ---- */

static PyObject *model_parameters(PyObject *self, PyObject *unused)
{
    (void)unused;
    const ft_parameter_table *table = ft_model_table(as_model(self)->model);
    PyObject *list = PyList_New(table->count);
    for (int32_t i = 0; list != NULL && i < table->count; i++) {
        const ft_parameter *p = &table->entries[i];
        PyObject *shape = p->shape[1] ? Py_BuildValue("(ii)", p->shape[0], p->shape[1])
                                      : Py_BuildValue("(i)", p->shape[0]);
        PyObject *item =
            shape ? Py_BuildValue("(sNO)", p->name, shape, p->decays ? Py_True : Py_False) : NULL;
        if (item == NULL || PyList_SetItem(list, i, item) < 0)
            Py_CLEAR(list);
    }
    return list;
}

static const ft_parameter *parameter_at(PyObject *self, PyObject *index)
{
    const ft_parameter_table *table = ft_model_table(as_model(self)->model);
    Py_ssize_t i = PyNumber_AsSsize_t(index, PyExc_IndexError);
    if (i == -1 && PyErr_Occurred())
        return NULL;
    if (i < 0 || i >= table->count) {
        PyErr_Format(PyExc_IndexError, "parameter %zd: the model has %d", i, table->count);
        return NULL;
    }
    return &table->entries[i];
}

static PyObject *view(PyObject *owner, const ft_parameter *p, float *arena)
{
    npy_intp shape[2] = {p->shape[0], p->shape[1]};
    return ft_python_view(owner, p->shape[1] ? 2 : 1, shape, NPY_FLOAT32, arena + p->offset, 1);
}

static void unshare_parameters(PyObject *share)
{
    PyObject *self = PyCapsule_GetContext(share);
    ft_model_unshare_parameters(as_model(self)->model);
    Py_DECREF(self);
}

/* While the array, or one made from it, lives, the model reckons with changes of its parameters. */
static PyObject *model_parameter(PyObject *self, PyObject *index)
{
    const ft_parameter *p = parameter_at(self, index);
    ft_model *model = as_model(self)->model;
    PyObject *share = p ? PyCapsule_New(model, NULL, NULL) : NULL;
    if (share == NULL)
        return NULL;
    PyCapsule_SetContext(share, Py_NewRef(self));
    PyCapsule_SetDestructor(share, unshare_parameters);
    ft_model_share_parameters(model);
    PyObject *array = view(share, p, ft_model_parameters(model));
    Py_DECREF(share);
    return array;
}

static PyObject *model_gradient(PyObject *self, PyObject *index)
{
    const ft_parameter *p = parameter_at(self, index);
    float *gradients;
    if (p == NULL || begin(self) < 0)
        return NULL;
    ft_status status = ft_model_gradients(as_model(self)->model, &gradients);
    end(self);
    if (status != FT_OK) {
        ft_python_raise(status);
        return NULL;
    }
    if (p == ft_model_table(as_model(self)->model)->entries)
        ft_model_share_word_gradient(as_model(self)->model);
    return view(self, p, gradients);
}

static PyObject *model_moments(PyObject *self, PyObject *index)
{
    const ft_parameter *p = parameter_at(self, index);
    float *moment1, *moment2;
    if (p == NULL || begin(self) < 0)
        return NULL;
    ft_status status = ft_model_moments(as_model(self)->model, &moment1, &moment2);
    end(self);
    if (status != FT_OK) {
        ft_python_raise(status);
        return NULL;
    }
    PyObject *first = view(self, p, moment1);
    PyObject *second = first ? view(self, p, moment2) : NULL;
    return second ? Py_BuildValue("(NN)", first, second) : (Py_XDECREF(first), NULL);
}

/* ---- the passes ---- */

static PyObject *finish(ft_status status)
{
    if (status == FT_OK)
        Py_RETURN_NONE;
    ft_python_raise(status);
    return NULL;
}

static PyObject *model_reload_moments(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (begin(self) < 0)
        return NULL;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_moments_changed(as_model(self)->model);
    Py_END_ALLOW_THREADS
    end(self);
    return finish(status);
}

static PyObject *model_forward(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"batch", "training", "seed", "step", "micro_step", "keep", NULL};
    ft_model *model = as_model(self)->model;
    PyObject *object;
    int training = 0, keep = 0;
    unsigned long long seed = 0, step = 0, micro_step = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|pO&O&O&p:forward", names, &object,
                                     &training, to_seed, &seed, to_step, &step, to_micro_step,
                                     &micro_step, &keep))
        return NULL;
    const ft_batch *batch = ft_python_batch(ft_python_state(Py_TYPE(self)), object);
    if (batch == NULL)
        return NULL;
    npy_intp shape[2] = {batch->sequences, ft_model_get_config(model)->num_labels};
    PyObject *logits = PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    if (logits == NULL || begin(self) < 0) {
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
    end(self);
    if (status != FT_OK) {
        Py_DECREF(logits);
        return finish(status);
    }
    if (batch->class_labels == NULL && batch->target_labels == NULL)
        return Py_BuildValue("(ON)", Py_None, logits);
    return Py_BuildValue("(dN)", (double)loss, logits);
}

static PyObject *model_evaluate(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"batch", "loss_rows", NULL};
    ft_model *model = as_model(self)->model;
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
        (logits = PyArray_SimpleNew(2, shape, NPY_FLOAT32)) == NULL || begin(self) < 0)
        goto error;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_evaluate(model, batch, loss_rows, PyArray_DATA((PyArrayObject *)losses),
                               PyArray_DATA((PyArrayObject *)logits));
    Py_END_ALLOW_THREADS
    end(self);
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
    ft_model *model = as_model(self)->model;
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
    if (begin(self) == 0) {
        if (dlogits && (size_t)PyArray_SIZE(dlogits) != ft_model_logit_count(model)) {
            PyErr_Format(PyExc_ValueError, "dlogits has %zd elements, the logits have %zu",
                         (Py_ssize_t)PyArray_SIZE(dlogits), ft_model_logit_count(model));
        } else {
            Py_BEGIN_ALLOW_THREADS
            status =
                ft_model_backward(model, (float)loss_scale, dlogits ? PyArray_DATA(dlogits) : NULL);
            Py_END_ALLOW_THREADS
        }
        end(self);
    }
    Py_XDECREF((PyObject *)dlogits);
    return PyErr_Occurred() ? NULL : finish(status);
}

static PyObject *model_zero_gradients(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (begin(self) < 0)
        return NULL;
    ft_status status = ft_model_zero_gradients(as_model(self)->model);
    end(self);
    return finish(status);
}

static PyObject *model_gradient_norm(PyObject *self, PyObject *unused)
{
    (void)unused;
    float norm = 0;
    ft_status status;
    if (begin(self) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_gradient_norm(as_model(self)->model, &norm);
    Py_END_ALLOW_THREADS
    end(self);
    return status == FT_OK ? PyFloat_FromDouble(norm) : finish(status);
}

static PyObject *model_scale_gradients(PyObject *self, PyObject *argument)
{
    double factor = PyFloat_AsDouble(argument);
    if ((factor == -1 && PyErr_Occurred()) || begin(self) < 0)
        return NULL;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_scale_gradients(as_model(self)->model, (float)factor);
    Py_END_ALLOW_THREADS
    end(self);
    return finish(status);
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
    if (ft_update_arguments_get(ft_model_table(as_model(self)->model), groups, group_of, step,
                                max_norm, &u) == 0 &&
        begin(self) == 0) {
        float norm = NAN;
        ft_status status;
        Py_BEGIN_ALLOW_THREADS
        status = ft_model_update(as_model(self)->model, &u.update, &norm);
        Py_END_ALLOW_THREADS
        end(self);
        result = status == FT_OK ? PyFloat_FromDouble(norm) : finish(status);
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

static PyObject *model_train_step(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"batches",  "loss_scale", "seed",          "groups",
                            "group_of", "step",       "max_grad_norm", NULL};
    PyObject *sequence, *groups, *group_of, *result = NULL, *batches = NULL;
    double loss_scale, max_norm = 1;
    unsigned long long seed, number;
    const ft_batch **table = NULL;
    ft_update_arguments u = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OdO&OOO&|d:train_step", names, &sequence,
                                     &loss_scale, to_seed, &seed, &groups, &group_of, to_step,
                                     &number, &max_norm))
        return NULL;
    if (ft_update_arguments_get(ft_model_table(as_model(self)->model), groups, group_of,
                                (long long)number, max_norm, &u) == 0 &&
        (batches = get_batches(self, sequence, &table)) != NULL && begin(self) == 0) {
        ft_train_step step = {
            .batches = table,
            .batch_count = (int32_t)PyTuple_Size(batches),
            .loss_scale = (float)loss_scale,
            .seed = seed,
            .step = (uint32_t)number,
            .update = u.update,
        };
        float loss = 0, norm = NAN;
        ft_status status;
        Py_BEGIN_ALLOW_THREADS
        status = ft_model_train_step(as_model(self)->model, &step, &loss, &norm);
        Py_END_ALLOW_THREADS
        end(self);
        result =
            status == FT_OK ? Py_BuildValue("(dd)", (double)loss, (double)norm) : finish(status);
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
    if (begin(self) < 0)
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
    end(self);
    return list;
}

/* ---- attributes ---- */

static PyObject *model_get_backend(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(ft_model_backend_name(as_model(self)->model));
}

static PyObject *model_get_has_gradients(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(ft_model_has_gradients(as_model(self)->model));
}

static const char *const problem_names[] = {
    [FT_PROBLEM_SINGLE_LABEL] = "single_label_classification",
    [FT_PROBLEM_REGRESSION] = "regression",
    [FT_PROBLEM_MULTI_LABEL] = "multi_label_classification",
};

static PyObject *model_get_problem_type(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(problem_names[ft_model_problem(as_model(self)->model)]);
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
            if (begin(self) < 0)
                return -1;
            ft_model_set_problem(as_model(self)->model, (ft_problem)i);
            end(self);
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
    return PyUnicode_FromString(ft_precision_name(ft_model_precision(as_model(self)->model)));
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
    if (begin(self) < 0)
        return -1;
    ft_status status = ft_model_set_precision(as_model(self)->model, precision);
    end(self);
    if (status != FT_OK)
        ft_python_raise(status);
    return status == FT_OK ? 0 : -1;
}

static PyObject *model_get_threads(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLong(ft_model_threads(as_model(self)->model));
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
    if (begin(self) < 0)
        return -1;
    ft_status status = ft_model_set_threads(as_model(self)->model, (int)threads);
    end(self);
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
             "train_step(batches, loss_scale, seed, groups, group_of, step, max_grad_norm=1.0)\n"
             "--\n\nA whole step; returns (sum of loss_scale * loss, gradient norm).");

static PyMethodDef model_methods[] = {
    {"parameters", model_parameters, METH_NOARGS, "(name, shape, decays) of each parameter."},
    {"parameter", model_parameter, METH_O, "A writable view of a parameter, by index."},
    {"gradient", model_gradient, METH_O, "A writable view of a parameter's gradient, by index."},
    {"moments", model_moments, METH_O, "Writable views of AdamW's moments, by index."},
    {"reload_moments", model_reload_moments, METH_NOARGS, "To be called after moments changed."},
    {"forward", (PyCFunction)(void (*)(void))model_forward, METH_VARARGS | METH_KEYWORDS,
     forward_doc},
    {"evaluate", (PyCFunction)(void (*)(void))model_evaluate, METH_VARARGS | METH_KEYWORDS,
     evaluate_doc},
    {"backward", (PyCFunction)(void (*)(void))model_backward, METH_VARARGS | METH_KEYWORDS,
     backward_doc},
    {"zero_gradients", model_zero_gradients, METH_NOARGS, "Drops the gradients."},
    {"gradient_norm", model_gradient_norm, METH_NOARGS, "The global norm of the gradients."},
    {"scale_gradients", model_scale_gradients, METH_O, "Multiplies the gradients by a factor."},
    {"update", (PyCFunction)(void (*)(void))model_update, METH_VARARGS | METH_KEYWORDS, update_doc},
    {"train_step", (PyCFunction)(void (*)(void))model_train_step, METH_VARARGS | METH_KEYWORDS,
     train_step_doc},
    {"profile", model_profile, METH_NOARGS, "What each operation took, with profile=True."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef model_attributes[] = {
    {"backend", model_get_backend, NULL, "'cpu' or 'reference'", NULL},
    {"has_gradients", model_get_has_gradients, NULL,
     "whether backward ran since gradients were zeroed", NULL},
    {"problem_type", model_get_problem_type, model_set_problem_type,
     "which loss: Hugging Face's names", NULL},
    {"precision", model_get_precision, model_set_precision,
     "'float32', 'bfloat16' or 'float16': what products and activations are", NULL},
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
    .basicsize = sizeof(model_object),
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
    return status == FT_OK ? PyFloat_FromDouble(rate) : finish(status);
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
