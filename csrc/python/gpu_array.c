#include "python/gpu_array.h"

#include <stdlib.h>
#include <string.h>

#include "python/dlpack.h"

static const struct {
    char interface[4]; /* of __cuda_array_interface__ */
    uint8_t code, bits;
    int numpy;
} numbers[FT_NUMBER_COUNT] = {
    [FT_NUMBER_INT64] = {"<i8", kDLInt, 64, NPY_INT64},
    [FT_NUMBER_INT32] = {"<i4", kDLInt, 32, NPY_INT32},
    [FT_NUMBER_UINT8] = {"|u1", kDLUInt, 8, NPY_UINT8},
    [FT_NUMBER_BOOL] = {"|b1", kDLBool, 8, NPY_BOOL},
    [FT_NUMBER_FLOAT32] = {"<f4", kDLFloat, 32, NPY_FLOAT32},
    [FT_NUMBER_FLOAT64] = {"<f8", kDLFloat, 64, NPY_FLOAT64},
};

int ft_number_bytes(ft_number type)
{
    return numbers[type].bits / 8;
}

int ft_number_numpy(ft_number type)
{
    return numbers[type].numpy;
}

size_t ft_gpu_array_span(const ft_gpu_array *a, size_t *before)
{
    int64_t low = 0, high = ft_number_bytes(a->type);
    *before = 0;
    if (a->shape[0] == 0 || a->shape[1] == 0)
        return 0;
    for (int i = 0; i < 2; i++) {
        int64_t reach = (a->shape[i] - 1) * a->strides[i];
        *(reach < 0 ? &low : &high) += reach;
    }
    *before = (size_t)-low;
    return (size_t)(high - low);
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

/* Whether there is memory, and every number where a GPU can load it. */
static int is_readable(const ft_gpu_array *a)
{
    if (a->data == NULL && a->shape[0] != 0 && a->shape[1] != 0)
        return 0;
    uintptr_t bits = (uintptr_t)a->data;
    for (int i = 0; i < a->dimensions; i++)
        bits |= (uintptr_t)a->strides[i];
    return bits % (unsigned)ft_number_bytes(a->type) == 0;
}

/* ---- DLPack ---- */

static int read_tensor(const DLTensor *t, ft_gpu_array *a)
{
    int type = 0;
    while (type < FT_NUMBER_COUNT &&
           (t->dtype.code != numbers[type].code || t->dtype.bits != numbers[type].bits))
        type++;
    if (t->device.device_type != kDLCUDA || t->device.device_id != a->gpu || t->ndim > 2 ||
        t->dtype.lanes != 1 || type == FT_NUMBER_COUNT)
        return 0;
    a->type = (ft_number)type;
    a->data = (char *)t->data + t->byte_offset;
    a->dimensions = t->ndim;
    int64_t stride = 1; /* of what lies in one piece */
    for (int i = t->ndim - 1; i >= 0; i--) {
        a->shape[i] = t->shape[i];
        a->strides[i] = (t->strides ? t->strides[i] : stride) * ft_number_bytes(a->type);
        stride *= t->shape[i];
    }
    return 1;
}

/* object.__dlpack__(stream=..., max_version=(1, 0)), or as it was before versions. */
static PyObject *call_dlpack(PyObject *object, long stream)
{
    PyObject *method = PyObject_GetAttrString(object, "__dlpack__");
    PyObject *none = PyTuple_New(0), *capsule = NULL;
    PyObject *keywords = Py_BuildValue("{s:l,s:(ii)}", "stream", stream, "max_version", 1, 0);
    if (method != NULL && none != NULL && keywords != NULL) {
        capsule = PyObject_Call(method, none, keywords);
        if (capsule == NULL && PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            if (PyDict_DelItemString(keywords, "max_version") == 0)
                capsule = PyObject_Call(method, none, keywords);
        }
    }
    Py_XDECREF(method);
    Py_XDECREF(none);
    Py_XDECREF(keywords);
    return capsule;
}

/* 1 where it was read, 0 where it is nothing that can be; -1 with an exception. The capsule is not
 * taken over: the tensor lives as long as it does. */
static int read_capsule(PyObject *object, long stream, ft_gpu_array *a)
{
    enum { READ_ONLY = 1 };
    PyObject *capsule = call_dlpack(object, stream);
    if (capsule == NULL)
        return -1;
    const DLTensor *tensor = NULL;
    if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
        const DLManagedTensorVersioned *managed =
            PyCapsule_GetPointer(capsule, "dltensor_versioned");
        a->read_only = (managed->flags & READ_ONLY) != 0;
        if (managed->version.major == DLPACK_MAJOR_VERSION)
            tensor = &managed->dl_tensor;
    } else if (PyCapsule_IsValid(capsule, "dltensor")) {
        tensor = &((DLManagedTensor *)PyCapsule_GetPointer(capsule, "dltensor"))->dl_tensor;
    }
    a->owner = capsule;
    return tensor != NULL && read_tensor(tensor, a);
}

/* Whether its __dlpack_device__ is the GPU: 1, 0, or -1 where it has none. Sets no exception. */
static int is_on(PyObject *object, int gpu)
{
    int type, id;
    PyObject *device = PyObject_CallMethod(object, "__dlpack_device__", NULL);
    int known = device != NULL && PyTuple_Check(device) && PyTuple_Size(device) == 2;
    if (known) {
        type = (int)PyLong_AsLong(PyTuple_GetItem(device, 0));
        id = (int)PyLong_AsLong(PyTuple_GetItem(device, 1));
        known = !PyErr_Occurred();
    }
    Py_XDECREF(device);
    PyErr_Clear();
    return known ? type == kDLCUDA && id == gpu : -1;
}

/* ---- __cuda_array_interface__ ---- */

static int read_pair(PyObject *tuple, int dimensions, int64_t *out)
{
    if (!PyTuple_Check(tuple) || PyTuple_Size(tuple) != dimensions)
        return 0;
    for (int i = 0; i < dimensions; i++)
        out[i] = PyLong_AsLongLong(PyTuple_GetItem(tuple, i));
    return !PyErr_Occurred();
}

static int read_type(PyObject *text, ft_gpu_array *a)
{
    int type = 0;
    if (text == NULL || !PyUnicode_Check(text))
        return 0;
    while (type < FT_NUMBER_COUNT &&
           PyUnicode_CompareWithASCIIString(text, numbers[type].interface) != 0)
        type++;
    a->type = (ft_number)type;
    return type < FT_NUMBER_COUNT;
}

static int read_shape(PyObject *shape, PyObject *strides, ft_gpu_array *a)
{
    if (shape == NULL || !PyTuple_Check(shape) || PyTuple_Size(shape) > 2)
        return 0;
    a->dimensions = (int)PyTuple_Size(shape);
    if (!read_pair(shape, a->dimensions, a->shape))
        return 0;
    if (strides != NULL && strides != Py_None)
        return read_pair(strides, a->dimensions, a->strides);
    int64_t stride = ft_number_bytes(a->type);
    for (int i = a->dimensions - 1; i >= 0; i--) {
        a->strides[i] = stride;
        stride *= a->shape[i];
    }
    return 1;
}

/* Whether it could be read; an exception may be set where not. */
static int read_dictionary(PyObject *d, ft_gpu_array *a)
{
    if (!PyDict_Check(d))
        return 0;
    PyObject *data = PyDict_GetItemString(d, "data"), *mask = PyDict_GetItemString(d, "mask");
    PyObject *stream = PyDict_GetItemString(d, "stream");
    if ((mask != NULL && mask != Py_None) || data == NULL || !PyTuple_Check(data) ||
        PyTuple_Size(data) != 2 || !read_type(PyDict_GetItemString(d, "typestr"), a) ||
        !read_shape(PyDict_GetItemString(d, "shape"), PyDict_GetItemString(d, "strides"), a))
        return 0;
    a->data = PyLong_AsVoidPtr(PyTuple_GetItem(data, 0));
    a->read_only = PyObject_IsTrue(PyTuple_GetItem(data, 1));
    int has_stream = stream != NULL && PyLong_Check(stream);
    if (has_stream)
        PyLong_AsVoidPtr(stream);
    if (PyErr_Occurred())
        return 0;
    if (has_stream) {
        Py_DECREF(a->stream);
        a->stream = Py_NewRef(stream);
    }
    return 1;
}

static int read_interface(PyObject *object, ft_gpu_array *a)
{
    PyObject *dictionary = PyObject_GetAttrString(object, "__cuda_array_interface__");
    int read = dictionary != NULL && read_dictionary(dictionary, a);
    Py_XDECREF(dictionary);
    a->owner = Py_NewRef(object);
    return read;
}

/* ---- both ---- */

/* A tensor whose library says on which stream it works. */
static int read_ordered(ft_module_state *state, PyObject *object, ft_gpu_array *a)
{
    DLTensor tensor;
    ft_tensors tensors = ft_tensors_of_type(state, (PyObject *)Py_TYPE(object));
    if (!ft_tensor_look(&tensors, object, &tensor))
        return read_capsule(object, -1, a);
    a->owner = Py_NewRef(object);
    return read_tensor(&tensor, a);
}

/* 1, 0 or -1, as read_capsule. */
static int read_any(ft_module_state *state, PyObject *object, int ordered, int alone,
                    ft_gpu_array *a)
{
    enum { LEGACY_STREAM = 1 };
    if (ordered)
        return read_ordered(state, object, a);
    int here = is_on(object, a->gpu);
    if (here == 0 || (here < 0 && !alone))
        return 0;
    if (read_interface(object, a))
        return 1;
    PyErr_Clear();
    Py_CLEAR(a->owner);
    return here > 0 ? read_capsule(object, LEGACY_STREAM, a) : 0;
}

/* `type` of the array, with all that read_any does not set. */
static ft_gpu_array *new_array(PyTypeObject *type, int gpu, PyObject *stream)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    ft_gpu_array *a = (ft_gpu_array *)allocate(type, 0);
    if (a == NULL)
        return NULL;
    a->gpu = gpu;
    a->shape[0] = a->shape[1] = 1;
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
    int read = read_any(state, object, stream != Py_None, alone, a);
    if (read > 0 && is_readable(a))
        return (PyObject *)a;
    Py_DECREF((PyObject *)a);
    /* What cannot be shown so is copied instead, or refused, by whoever comes next. */
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception))
        return NULL;
    PyErr_Clear();
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
