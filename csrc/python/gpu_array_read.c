/* Arrays of other libraries, as they show themselves. */
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

int ft_gpu_array_forgive(void)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyErr_Clear();
    return 0;
}

/* Whether that many are taken. */
static int set_dimensions(ft_gpu_array *a, Py_ssize_t dimensions)
{
    a->dimensions = (int)dimensions;
    a->shape[0] = a->shape[1] = 1;
    return dimensions >= 0 && dimensions <= 2;
}

/* The strides of what lies in one piece; whether they can be counted. */
static int set_contiguous(ft_gpu_array *a)
{
    int64_t stride = ft_number_bytes(a->type);
    for (int i = a->dimensions - 1; i >= 0; i--) {
        a->strides[i] = stride;
        if (__builtin_mul_overflow(stride, a->shape[i], &stride))
            return 0;
    }
    return 1;
}

/* Whether there can be such an array, and every number is where a GPU can load it. */
static int is_readable(const ft_gpu_array *a)
{
    size_t bytes, before;
    if (!ft_gpu_array_span(a, &bytes, &before) || (a->data == NULL && bytes > 0))
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
    if (t->device.device_type != kDLCUDA || t->device.device_id != a->gpu || t->dtype.lanes != 1 ||
        type == FT_NUMBER_COUNT || !set_dimensions(a, t->ndim))
        return 0;
    a->type = (ft_number)type;
    a->data = (void *)((uintptr_t)t->data + t->byte_offset);
    for (int i = 0; i < t->ndim; i++)
        a->shape[i] = t->shape[i];
    if (t->strides == NULL)
        return set_contiguous(a);
    for (int i = 0; i < t->ndim; i++)
        if (__builtin_mul_overflow(t->strides[i], ft_number_bytes(a->type), &a->strides[i]))
            return 0;
    return 1;
}

/* object.__dlpack__(stream=..., max_version=(1, 0)), or as it was before versions. */
static PyObject *call_dlpack(PyObject *object, long stream)
{
    PyObject *method = PyObject_GetAttrString(object, "__dlpack__"), *capsule = NULL;
    if (method == NULL)
        return NULL;
    PyObject *none = PyTuple_New(0);
    PyObject *keywords = Py_BuildValue("{s:l,s:(ii)}", "stream", stream, "max_version", 1, 0);
    if (none != NULL && keywords != NULL)
        capsule = PyObject_Call(method, none, keywords);
    if (capsule == NULL && keywords != NULL && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear();
        if (PyDict_DelItemString(keywords, "max_version") == 0)
            capsule = PyObject_Call(method, none, keywords);
    }
    Py_DECREF(method);
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
    a->read_only = 0;
    if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
        const DLManagedTensorVersioned *managed =
            PyCapsule_GetPointer(capsule, "dltensor_versioned");
        if (managed->version.major == DLPACK_MAJOR_VERSION) {
            a->read_only = (managed->flags & READ_ONLY) != 0;
            tensor = &managed->dl_tensor;
        }
    } else if (PyCapsule_IsValid(capsule, "dltensor")) {
        tensor = &((DLManagedTensor *)PyCapsule_GetPointer(capsule, "dltensor"))->dl_tensor;
    }
    a->owner = capsule;
    return tensor != NULL && read_tensor(tensor, a);
}

enum { UNSAID = 2 };

/* Whether its __dlpack_device__ is the GPU: 1, 0, or UNSAID; -1 with an exception. */
static int is_on(PyObject *object, int gpu)
{
    long type = 0, id = 0;
    PyObject *device = PyObject_CallMethod(object, "__dlpack_device__", NULL);
    int known = device != NULL && PyTuple_Check(device) && PyTuple_Size(device) == 2;
    if (known) {
        type = PyLong_AsLong(PyTuple_GetItem(device, 0));
        known = !PyErr_Occurred();
    }
    if (known) {
        id = PyLong_AsLong(PyTuple_GetItem(device, 1));
        known = !PyErr_Occurred();
    }
    Py_XDECREF(device);
    if (ft_gpu_array_forgive() < 0)
        return -1;
    return known ? type == kDLCUDA && id == gpu : UNSAID;
}

/* ---- __cuda_array_interface__ ---- */

static int read_pair(PyObject *tuple, int dimensions, int64_t *out)
{
    if (!PyTuple_Check(tuple) || PyTuple_Size(tuple) != dimensions)
        return 0;
    for (int i = 0; i < dimensions && !PyErr_Occurred(); i++)
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
    if (shape == NULL || !PyTuple_Check(shape) || !set_dimensions(a, PyTuple_Size(shape)) ||
        !read_pair(shape, a->dimensions, a->shape))
        return 0;
    return strides != NULL ? read_pair(strides, a->dimensions, a->strides) : set_contiguous(a);
}

static int read_data(PyObject *data, ft_gpu_array *a)
{
    if (data == NULL || !PyTuple_Check(data) || PyTuple_Size(data) != 2)
        return 0;
    a->data = PyLong_AsVoidPtr(PyTuple_GetItem(data, 0));
    if (PyErr_Occurred())
        return 0;
    a->read_only = PyObject_IsTrue(PyTuple_GetItem(data, 1));
    return a->read_only >= 0;
}

/* What says not on which stream there is work has none. */
static int read_stream(PyObject *stream, ft_gpu_array *a)
{
    if (stream == NULL || !PyLong_Check(stream))
        return 1;
    PyLong_AsUnsignedLongLong(stream); /* can it be a handle? */
    if (PyErr_Occurred())
        return 0;
    Py_DECREF(a->stream);
    a->stream = Py_NewRef(stream);
    return 1;
}

enum { DATA, MASK, SHAPE, STREAM, STRIDES, TYPE, ITEMS };

static int read_items(PyObject *const *items, ft_gpu_array *a)
{
    return items[MASK] == NULL && read_type(items[TYPE], a) &&
           read_shape(items[SHAPE], items[STRIDES], a) && read_data(items[DATA], a) &&
           read_stream(items[STREAM], a);
}

/* Whether it could be read; an exception may be set where not. Its items are held: reading one may
 * run code that drops others. */
static int read_dictionary(PyObject *d, ft_gpu_array *a)
{
    static const char *const names[ITEMS] = {"data",   "mask",    "shape",
                                             "stream", "strides", "typestr"};
    PyObject *items[ITEMS];
    if (!PyDict_Check(d))
        return 0;
    for (int i = 0; i < ITEMS; i++) {
        PyObject *item = PyDict_GetItemString(d, names[i]);
        items[i] = item != Py_None ? Py_XNewRef(item) : NULL;
    }
    int read = read_items(items, a);
    for (int i = 0; i < ITEMS; i++)
        Py_XDECREF(items[i]);
    return read;
}

static int read_interface(PyObject *object, ft_gpu_array *a)
{
    PyObject *dictionary = PyObject_GetAttrString(object, "__cuda_array_interface__");
    int read = dictionary != NULL && read_dictionary(dictionary, a);
    Py_XDECREF(dictionary);
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

/* One that says itself what comes before it; 1, 0 or -1, as read_capsule. */
static int read_unordered(PyObject *object, int alone, ft_gpu_array *a)
{
    enum { LEGACY_STREAM = 1 };
    int here = is_on(object, a->gpu);
    if (here <= 0 || (here == UNSAID && !alone))
        return here < 0 ? -1 : 0;
    if (read_interface(object, a)) {
        a->owner = Py_NewRef(object);
        return 1;
    }
    if (ft_gpu_array_forgive() < 0)
        return -1;
    return here == UNSAID ? 0 : read_capsule(object, LEGACY_STREAM, a);
}

int ft_gpu_array_read(ft_module_state *state, PyObject *object, int ordered, int alone,
                      ft_gpu_array *a)
{
    int read = ordered ? read_ordered(state, object, a) : read_unordered(object, alone, a);
    return read > 0 ? is_readable(a) : read;
}
