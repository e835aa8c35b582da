/* _core.Backend: a backend's operations, one method each, on NumPy arrays. For tests and for
 * reading along: the train step does not come through here. */
#include "python/operations.h"

int ft_operations_take(ft_backend_object *self, ft_precision precision)
{
    return FT_BACKEND_RUN(self, check_precision, precision);
}

int ft_operations_precision(ft_backend_object *self, PyObject *object, const char *name,
                            ft_precision *out)
{
    return ft_operand_precision(object, name, out) < 0 ? -1 : ft_operations_take(self, *out);
}

static PyObject *supports(ft_backend_object *self, PyObject *args, PyObject *kwargs)
{
    static const char *names[] = {"precision", NULL};
    const char *name;
    ft_precision precision;
    if (!PARSE("s", &name) || ft_operand_parse_precision(name, &precision) < 0)
        return NULL;
    if (ft_operations_take(self, precision) == 0)
        Py_RETURN_TRUE;
    if (!PyErr_ExceptionMatches(PyExc_ValueError))
        return NULL;
    PyErr_Clear();
    Py_RETURN_FALSE;
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
    ft_backend_object *self = (ft_backend_object *)allocate(type, 0);
    if (self == NULL) {
        backend->operations->destroy(backend);
        return NULL;
    }
    self->backend = backend;
    pthread_mutex_init(&self->busy, NULL);
    return (PyObject *)self;
}

static void backend_dealloc(ft_backend_object *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    self->backend->operations->destroy(self->backend);
    pthread_mutex_destroy(&self->busy);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

static PyObject *backend_name(ft_backend_object *self, void *closure)
{
    (void)closure;
    return PyUnicode_FromString(self->backend->operations->name);
}

#define METHOD(name, function)                                                                     \
    {                                                                                              \
        name, (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS, NULL          \
    }
#define OPERATION(name) METHOD(#name, ft_operations_##name)

static PyMethodDef backend_methods[] = {
    METHOD("supports", supports),
    OPERATION(embedding_forward),
    OPERATION(embedding_backward),
    OPERATION(linear_forward),
    OPERATION(linear_backward),
    OPERATION(attention_forward),
    OPERATION(attention_backward),
    OPERATION(residual_norm_forward),
    OPERATION(residual_norm_backward),
    OPERATION(first_rows_gather),
    OPERATION(first_rows_scatter),
    OPERATION(dropout),
    OPERATION(loss),
    OPERATION(scale_add),
    OPERATION(scale_by),
    OPERATION(sum_of_squares),
    OPERATION(clip),
    OPERATION(adamw),
    OPERATION(cast),
    OPERATION(zero_rows),
    OPERATION(add_flags),
    OPERATION(padded_lengths),
    OPERATION(pack),
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
    .basicsize = sizeof(ft_backend_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = backend_slots,
};

int ft_python_add_backend(PyObject *module)
{
    ft_module_state *state = PyModule_GetState(module);
    state->backend_type = ft_python_add_type(module, &backend_spec);
    return state->backend_type == NULL ? -1 : 0;
}
