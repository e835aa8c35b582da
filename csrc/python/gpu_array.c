#include "python/gpu_array.h"

int ft_gpu_array_span(const ft_gpu_array *a, size_t *bytes, size_t *before)
{
    int64_t low = 0, high = ft_number_bytes(a->type), all = high, reach;
    for (int i = 0; i < 2; i++) {
        if (a->shape[i] < 0 || __builtin_mul_overflow(all, a->shape[i], &all) ||
            __builtin_mul_overflow(a->shape[i] - 1, a->strides[i], &reach))
            return 0;
        int64_t *end = reach < 0 ? &low : &high;
        if (__builtin_add_overflow(*end, reach, end))
            return 0;
    }
    int64_t span;
    if (__builtin_sub_overflow(high, low, &span))
        return 0;
    *bytes = all > 0 ? (size_t)span : 0;
    *before = all > 0 ? (size_t)-low : 0;
    return 1;
}

int ft_gpu_array_is_contiguous(const ft_gpu_array *a)
{
    int64_t expected = ft_number_bytes(a->type);
    for (int i = a->dimensions - 1; i >= 0; i--) {
        if (a->shape[i] != 1 && a->strides[i] != expected)
            return 0;
        expected *= a->shape[i];
    }
    return 1;
}

/* `type` of the array, with all that reading does not set. */
static ft_gpu_array *new_array(PyTypeObject *type, int gpu, PyObject *stream)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    ft_gpu_array *a = (ft_gpu_array *)allocate(type, 0);
    if (a == NULL)
        return NULL;
    a->gpu = gpu;
    a->stream = Py_NewRef(stream);
    return a;
}

PyDoc_STRVAR(
    gpu_array_doc,
    "gpu_array(object, gpu, stream=None, alone=False)\n--\n\n"
    "Another library's array in a GPU's memory; None where it is nothing of the kind, on another\n"
    "GPU, of more than two dimensions or of numbers that are not taken.\n\n"
    "stream: the one on which its library works, with which the caller keeps the order; without\n"
    "one, what was enqueued before comes before the legacy default stream's further work, or the\n"
    "array has a stream. alone: there is one GPU, and arrays need not say on which they are.");

static PyObject *gpu_array(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"object", "gpu", "stream", "alone", NULL};
    PyObject *object, *stream = Py_None;
    int gpu, alone = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "Oi|Op:gpu_array", names, &object, &gpu,
                                     &stream, &alone))
        return NULL;
    ft_module_state *state = PyModule_GetState(module);
    ft_gpu_array *a = new_array(state->gpu_array_type, gpu, stream);
    if (a == NULL)
        return NULL;
    int read = ft_gpu_array_read(state, object, stream != Py_None, alone, a);
    if (read > 0)
        return (PyObject *)a;
    /* What cannot be shown so is copied instead, or refused, by whoever comes next. */
    int forgiven = ft_gpu_array_forgive();
    Py_DECREF((PyObject *)a);
    if (forgiven < 0)
        return NULL;
    Py_RETURN_NONE;
}

int ft_python_gpu_array(const ft_module_state *state, PyObject *object, const char *name, int gpu,
                        const ft_gpu_array **out)
{
    *out = NULL;
    if (object == Py_None)
        return 0;
    const ft_gpu_array *a = (const ft_gpu_array *)object;
    if (!Py_IS_TYPE(object, state->gpu_array_type) || a->gpu != gpu) {
        PyErr_Format(PyExc_TypeError, "%s must be a GpuArray of the model's GPU, got %R", name,
                     (PyObject *)Py_TYPE(object));
        return -1;
    }
    *out = a;
    return 0;
}

static void gpu_array_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((ft_gpu_array *)self)->stream);
    Py_XDECREF(((ft_gpu_array *)self)->owner);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *get_shape(PyObject *self, void *Py_UNUSED(closure))
{
    const ft_gpu_array *a = (const ft_gpu_array *)self;
    PyObject *shape = PyTuple_New(a->dimensions);
    for (int i = 0; shape != NULL && i < a->dimensions; i++) {
        PyObject *extent = PyLong_FromLongLong(a->shape[i]);
        if (extent == NULL || PyTuple_SetItem(shape, i, extent) < 0)
            Py_CLEAR(shape);
    }
    return shape;
}

static PyObject *get_dtype(PyObject *self, void *Py_UNUSED(closure))
{
    return (PyObject *)PyArray_DescrFromType(ft_number_numpy(((ft_gpu_array *)self)->type));
}

static PyObject *get_stream(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(((ft_gpu_array *)self)->stream);
}

static PyObject *get_read_only(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((ft_gpu_array *)self)->read_only);
}

static PyGetSetDef gpu_array_attributes[] = {
    {"shape", get_shape, NULL, "up to two extents", NULL},
    {"dtype", get_dtype, NULL, "NumPy's dtype of its numbers", NULL},
    {"stream", get_stream, NULL,
     "the handle of the stream on which its library works, or None: that is not known", NULL},
    {"read_only", get_read_only, NULL, "whether it must not be written to", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot gpu_array_slots[] = {
    {Py_tp_doc, "An array of another library's in a GPU's memory. See gpu_array."},
    {Py_tp_dealloc, gpu_array_dealloc},
    {Py_tp_getset, gpu_array_attributes},
    {0, NULL},
};

static PyType_Spec gpu_array_spec = {
    .name = "ftcore._core.GpuArray",
    .basicsize = sizeof(ft_gpu_array),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = gpu_array_slots,
};

static PyMethodDef functions[] = {
    {"gpu_array", (PyCFunction)(void (*)(void))gpu_array, METH_VARARGS | METH_KEYWORDS,
     gpu_array_doc},
    {NULL, NULL, 0, NULL},
};

int ft_python_add_gpu_array(PyObject *module)
{
    ft_module_state *state = PyModule_GetState(module);
    state->gpu_array_type = ft_python_add_type(module, &gpu_array_spec);
    return state->gpu_array_type ? PyModule_AddFunctions(module, functions) : -1;
}
