/* _core.Model's memory: parameters, gradients and moments as arrays and tensors. */
#include "python/dlpack_export.h"
#include "python/model.h"

PyObject *ft_python_model_parameters(PyObject *self, PyObject *unused)
{
    (void)unused;
    const ft_parameter_table *table = ft_model_table(ft_python_model(self));
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
    const ft_parameter_table *table = ft_model_table(ft_python_model(self));
    Py_ssize_t i = PyNumber_AsSsize_t(index, PyExc_IndexError);
    if (i == -1 && PyErr_Occurred())
        return NULL;
    if (i < 0 || i >= table->count) {
        PyErr_Format(PyExc_IndexError, "parameter %zd: the model has %d", i, table->count);
        return NULL;
    }
    return &table->entries[i];
}

static int32_t index_of(PyObject *self, const ft_parameter *p)
{
    return (int32_t)(p - ft_model_table(ft_python_model(self))->entries);
}

static int dimensions_of(const ft_parameter *p)
{
    return p->shape[1] ? 2 : 1;
}

static PyObject *view(PyObject *owner, const ft_parameter *p, float *arena)
{
    npy_intp shape[2] = {p->shape[0], p->shape[1]};
    return ft_python_view(owner, dimensions_of(p), shape, NPY_FLOAT32, arena + p->offset, 1);
}

/* A new array that cannot be written, as that would be lost. */
static PyObject *copy(PyObject *self, const ft_parameter *p, ft_arena arena)
{
    npy_intp shape[2] = {p->shape[0], p->shape[1]};
    PyObject *array = PyArray_SimpleNew(dimensions_of(p), shape, NPY_FLOAT32);
    if (array == NULL || ft_python_model_begin(self) < 0) {
        Py_XDECREF(array);
        return NULL;
    }
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_read(ft_python_model(self), arena, index_of(self, p),
                           PyArray_DATA((PyArrayObject *)array));
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    if (status != FT_OK) {
        Py_DECREF(array);
        return ft_python_finish(status);
    }
    PyArray_CLEARFLAGS((PyArrayObject *)array, NPY_ARRAY_WRITEABLE);
    return array;
}

/* ---- what others share ---- */

static void unshare_parameters(PyObject *share)
{
    PyObject *self = PyCapsule_GetContext(share);
    ft_model_unshare_parameters(ft_python_model(self));
    Py_DECREF(self);
}

/* While this lives, the model reckons with changes of its parameters. */
static PyObject *share_parameters(PyObject *self)
{
    ft_model *model = ft_python_model(self);
    PyObject *share = PyCapsule_New(model, NULL, NULL);
    if (share == NULL)
        return NULL;
    PyCapsule_SetContext(share, Py_NewRef(self));
    PyCapsule_SetDestructor(share, unshare_parameters);
    ft_model_share_parameters(model);
    return share;
}

PyObject *ft_python_model_parameter(PyObject *self, PyObject *index)
{
    const ft_parameter *p = parameter_at(self, index);
    ft_model *model = ft_python_model(self);
    if (p == NULL)
        return NULL;
    if (!ft_model_host_memory(model))
        return copy(self, p, FT_PARAMETERS);
    PyObject *share = share_parameters(self);
    if (share == NULL)
        return NULL;
    PyObject *array = view(share, p, ft_model_parameters(model));
    Py_DECREF(share);
    return array;
}

PyObject *ft_python_model_gradient(PyObject *self, PyObject *index)
{
    const ft_parameter *p = parameter_at(self, index);
    float *gradients;
    if (p == NULL)
        return NULL;
    if (!ft_model_host_memory(ft_python_model(self)))
        return copy(self, p, FT_GRADIENTS);
    if (ft_python_model_begin(self) < 0)
        return NULL;
    ft_status status = ft_model_gradients(ft_python_model(self), &gradients);
    if (status == FT_OK && index_of(self, p) == 0)
        ft_model_share_word_gradient(ft_python_model(self));
    ft_python_model_end(self);
    return status == FT_OK ? view(self, p, gradients) : ft_python_finish(status);
}

/* (first, second), both taken over. */
static PyObject *pair(PyObject *first, PyObject *second)
{
    if (first != NULL && second != NULL)
        return Py_BuildValue("(NN)", first, second);
    Py_XDECREF(first);
    Py_XDECREF(second);
    return NULL;
}

PyObject *ft_python_model_moments(PyObject *self, PyObject *index)
{
    const ft_parameter *p = parameter_at(self, index);
    float *moment1, *moment2;
    if (p == NULL)
        return NULL;
    if (!ft_model_host_memory(ft_python_model(self))) {
        PyObject *first = copy(self, p, FT_MOMENTS1);
        return pair(first, first ? copy(self, p, FT_MOMENTS2) : NULL);
    }
    if (ft_python_model_begin(self) < 0)
        return NULL;
    ft_status status = ft_model_moments(ft_python_model(self), &moment1, &moment2);
    ft_python_model_end(self);
    if (status != FT_OK)
        return ft_python_finish(status);
    PyObject *first = view(self, p, moment1);
    return pair(first, first ? view(self, p, moment2) : NULL);
}

/* ---- writing ---- */

/* float32 values of the parameter's shape; a new reference, or NULL. */
static PyArrayObject *values_for(const ft_parameter *p, PyObject *object)
{
    PyArrayObject *values = (PyArrayObject *)PyArray_FROM_OTF(
        object, NPY_FLOAT32, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST);
    if (values == NULL)
        return NULL;
    if (PyArray_NDIM(values) == dimensions_of(p) && PyArray_DIM(values, 0) == p->shape[0] &&
        (p->shape[1] == 0 || PyArray_DIM(values, 1) == p->shape[1]))
        return values;
    PyErr_Format(PyExc_ValueError,
                 "%s has %zu elements in %d dimensions, the array is of another "
                 "shape",
                 p->name, p->count, dimensions_of(p));
    Py_DECREF((PyObject *)values);
    return NULL;
}

static PyObject *set(PyObject *self, PyObject *index, int count, const ft_arena *arenas,
                     PyObject *const *objects)
{
    PyArrayObject *values[2] = {NULL, NULL};
    PyObject *result = NULL;
    const ft_parameter *p = parameter_at(self, index);
    int i = 0;
    while (p != NULL && i < count && (values[i] = values_for(p, objects[i])) != NULL)
        i++;
    if (p != NULL && i == count && ft_python_model_begin(self) == 0) {
        ft_status status = FT_OK;
        Py_BEGIN_ALLOW_THREADS
        for (i = 0; i < count && status == FT_OK; i++)
            status = ft_model_write(ft_python_model(self), arenas[i], index_of(self, p),
                                    PyArray_DATA(values[i]));
        Py_END_ALLOW_THREADS
        ft_python_model_end(self);
        result = ft_python_finish(status);
    }
    Py_XDECREF((PyObject *)values[0]);
    Py_XDECREF((PyObject *)values[1]);
    return result;
}

PyObject *ft_python_model_set_parameter(PyObject *self, PyObject *arguments)
{
    PyObject *index, *values;
    if (!PyArg_ParseTuple(arguments, "OO:set_parameter", &index, &values))
        return NULL;
    return set(self, index, 1, (const ft_arena[]){FT_PARAMETERS}, &values);
}

PyObject *ft_python_model_set_gradient(PyObject *self, PyObject *arguments)
{
    PyObject *index, *values;
    if (!PyArg_ParseTuple(arguments, "OO:set_gradient", &index, &values))
        return NULL;
    return set(self, index, 1, (const ft_arena[]){FT_GRADIENTS}, &values);
}

PyObject *ft_python_model_set_moments(PyObject *self, PyObject *arguments)
{
    PyObject *index, *values[2];
    if (!PyArg_ParseTuple(arguments, "OOO:set_moments", &index, &values[0], &values[1]))
        return NULL;
    return set(self, index, 2, (const ft_arena[]){FT_MOMENTS1, FT_MOMENTS2}, values);
}

PyObject *ft_python_model_zero_moments(PyObject *self, PyObject *index)
{
    const ft_parameter *p = parameter_at(self, index);
    if (p == NULL || ft_python_model_begin(self) < 0)
        return NULL;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_zero_moments(ft_python_model(self), index_of(self, p));
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    return ft_python_finish(status);
}

PyObject *ft_python_model_reload_moments(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (ft_python_model_begin(self) < 0)
        return NULL;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_moments_changed(ft_python_model(self));
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    return ft_python_finish(status);
}

PyObject *ft_python_model_copy_state(PyObject *self, PyObject *other)
{
    if (!Py_IS_TYPE(other, Py_TYPE(self))) {
        PyErr_Format(PyExc_TypeError, "expected a Model, got %R", (PyObject *)Py_TYPE(other));
        return NULL;
    }
    if (ft_python_model_begin(self) < 0)
        return NULL;
    if (ft_python_model_begin(other) < 0) { /* as it does where they are one */
        ft_python_model_end(self);
        return NULL;
    }
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_copy_state(ft_python_model(self), ft_python_model(other));
    Py_END_ALLOW_THREADS
    ft_python_model_end(other);
    ft_python_model_end(self);
    return ft_python_finish(status);
}

/* ---- DLPack ---- */

int ft_python_model_gpu(PyObject *self)
{
    ft_model *model = ft_python_model(self);
    return ft_model_host_memory(model) ? -1 : ft_model_device(model);
}

PyObject *ft_python_model_dlpack_device(PyObject *self, PyObject *unused)
{
    (void)unused;
    return ft_dlpack_device(ft_python_model_gpu(self));
}

/* Sees to it that work of the consumer's stream comes after the model's; -1 asks for nothing. */
static ft_status order_before(ft_model *model, long long stream)
{
    return stream == -1 ? ft_model_submit(model) : ft_model_lead(model, (void *)(uintptr_t)stream);
}

PyObject *ft_python_model_parameter_address(PyObject *self, PyObject *index)
{
    const ft_parameter *p = parameter_at(self, index);
    ft_model *model = ft_python_model(self);
    if (p == NULL || ft_python_model_begin(self) < 0)
        return NULL;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_submit(model);
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    if (status != FT_OK)
        return ft_python_finish(status);
    return pair(PyLong_FromVoidPtr(ft_model_parameters(model) + p->offset), share_parameters(self));
}

PyObject *ft_python_model_parameter_dlpack(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"index", "stream", "max_version", NULL};
    PyObject *index, *stream = Py_None, *version = Py_None;
    int major = 0, minor;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|OO:parameter_dlpack", names, &index,
                                     &stream, &version) ||
        (version != Py_None && !PyArg_ParseTuple(version, "ii", &major, &minor)))
        return NULL;
    const ft_parameter *p = parameter_at(self, index);
    long long number = stream == Py_None ? 1 : PyLong_AsLongLong(stream);
    if (!PyErr_Occurred() && number < -1)
        PyErr_Format(PyExc_ValueError, "stream must be a stream's handle or -1, got %lld", number);
    if (p == NULL || PyErr_Occurred() || ft_python_model_begin(self) < 0)
        return NULL;
    ft_model *model = ft_python_model(self);
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = order_before(model, number);
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    if (status != FT_OK)
        return ft_python_finish(status);
    PyObject *owner = share_parameters(self);
    if (owner == NULL)
        return NULL;
    npy_intp shape[2] = {p->shape[0], p->shape[1]};
    PyObject *capsule = ft_dlpack_export(owner, ft_python_model_gpu(self), dimensions_of(p), shape,
                                         ft_model_parameters(model) + p->offset, major >= 1);
    Py_DECREF(owner);
    return capsule;
}
