#include "python/call.h"

#include <string.h>

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

static void *allocate(ft_call *call, ft_copy copy)
{
    if (call->copy_count == COUNT(call->copies)) {
        PyErr_SetString(PyExc_RuntimeError, "an operation has too many operands");
        return NULL;
    }
    if (FT_BACKEND_RUN(call->self, allocate, copy.bytes, &copy.memory) < 0)
        return NULL;
    call->copies[call->copy_count++] = copy;
    return copy.memory;
}

void *ft_call_temporary(ft_call *call, size_t bytes)
{
    return allocate(call, (ft_copy){.bytes = bytes});
}

void *ft_call_reach(ft_call *call, void *host, size_t bytes, bool written)
{
    if (call->self->backend->operations->host_memory)
        return host;
    void *memory = allocate(call, (ft_copy){.host = host, .bytes = bytes, .written = written});
    if (memory == NULL || FT_BACKEND_RUN(call->self, upload, memory, host, bytes) < 0)
        return NULL;
    return memory;
}

int ft_call_download(ft_call *call)
{
    for (int i = 0; i < call->copy_count; i++) {
        const ft_copy *copy = &call->copies[i];
        if (copy->written &&
            FT_BACKEND_RUN(call->self, download, copy->host, copy->memory, copy->bytes) < 0)
            return -1;
    }
    return 0;
}

/* An array's data, of which a backend's copy is as large; one without entries needs none. data
 * NULL: the object was refused, and may be no array. */
static void *reach_array(ft_call *call, PyObject *array, void *data, bool written)
{
    size_t bytes = data == NULL ? 0 : (size_t)PyArray_NBYTES((PyArrayObject *)array);
    return bytes == 0 ? data : ft_call_reach(call, data, bytes, written);
}

void *ft_call_operand(ft_call *call, PyObject *object, const char *name, int type, int dimensions,
                      const npy_intp *shape)
{
    return reach_array(call, object, ft_operand(object, name, type, dimensions, shape), false);
}

void *ft_call_writable(ft_call *call, PyObject *object, const char *name, int type, int dimensions,
                       const npy_intp *shape)
{
    return reach_array(call, object, ft_operand_writable(object, name, type, dimensions, shape),
                       true);
}

void *ft_call_strided(ft_call *call, PyObject *object, const char *name, int type, npy_intp rows,
                      npy_intp columns, int32_t *stride)
{
    void *data = ft_operand_strided(object, name, type, rows, columns, stride);
    if (data == NULL)
        return NULL;
    PyArrayObject *array = (PyArrayObject *)object;
    npy_intp given = PyArray_DIM(array, 0), width = PyArray_DIM(array, 1);
    if (given == 0 || width == 0)
        return data;
    /* Behind the last row's end there need be nothing more of the array. */
    size_t elements = (size_t)((given - 1) * *stride + width);
    return ft_call_reach(call, data, elements * (size_t)PyArray_ITEMSIZE(array), false);
}

int ft_call_layout(ft_call *call, PyObject *cu_seqlens, PyObject *key_starts, npy_intp rows,
                   ft_layout *out)
{
    if (ft_operand_layout(cu_seqlens, key_starts, rows, out) < 0)
        return -1;
    bool own_keys = out->key_starts != out->cu_seqlens;
    out->cu_seqlens = reach_array(call, cu_seqlens, (void *)out->cu_seqlens, false);
    out->key_starts =
        own_keys ? reach_array(call, key_starts, (void *)out->key_starts, false) : out->cu_seqlens;
    return out->cu_seqlens == NULL || out->key_starts == NULL ? -1 : 0;
}

static void *add(ft_call *call, PyObject *result, PyObject *array)
{
    if (call->result_count == COUNT(call->results)) {
        PyErr_SetString(PyExc_RuntimeError, "an operation has too many results");
        Py_DECREF(result);
        return NULL;
    }
    call->results[call->result_count++] = result;
    return reach_array(call, array, PyArray_DATA((PyArrayObject *)array), true);
}

void *ft_call_add(ft_call *call, int type, int dimensions, const npy_intp *shape)
{
    PyObject *array = PyArray_ZEROS(dimensions, (npy_intp *)shape, type, 0);
    return array == NULL ? NULL : add(call, array, array);
}

void *ft_call_add_copy(ft_call *call, PyObject *from, const char *name, int type, int dimensions,
                       const npy_intp *shape)
{
    if (from == NULL || from == Py_None)
        return ft_call_add(call, type, dimensions, shape);
    if (ft_operand(from, name, type, dimensions, shape) == NULL)
        return NULL;
    PyObject *copy = PyArray_NewCopy((PyArrayObject *)from, NPY_CORDER);
    return copy == NULL ? NULL : add(call, copy, copy);
}

void *ft_call_add_strided(ft_call *call, int type, npy_intp rows, npy_intp columns, npy_intp stride)
{
    PyObject *whole = PyArray_ZEROS(2, ((npy_intp[]){rows, stride}), type, 0);
    if (whole == NULL)
        return NULL;
    PyObject *view =
        PyArray_New(&PyArray_Type, 2, (npy_intp[]){rows, columns}, type,
                    PyArray_STRIDES((PyArrayObject *)whole), PyArray_DATA((PyArrayObject *)whole),
                    0, NPY_ARRAY_WRITEABLE | NPY_ARRAY_ALIGNED, NULL);
    if (view == NULL) {
        Py_DECREF(whole);
        return NULL;
    }
    if (PyArray_SetBaseObject((PyArrayObject *)view, whole) < 0) {
        Py_DECREF(view);
        return NULL;
    }
    return add(call, view, whole);
}

void ft_call_add_none(ft_call *call)
{
    Py_INCREF(Py_None);
    call->results[call->result_count++] = Py_None;
}

PyObject *ft_call_results(ft_call *call)
{
    if (call->result_count == 0)
        Py_RETURN_NONE;
    if (call->result_count == 1) {
        call->result_count = 0;
        return call->results[0];
    }
    PyObject *tuple = PyTuple_New(call->result_count);
    if (tuple == NULL)
        return NULL;
    for (int i = 0; i < call->result_count; i++)
        PyTuple_SetItem(tuple, i, call->results[i]);
    call->result_count = 0;
    return tuple;
}

PyObject *ft_call_method(ft_backend_object *self, PyObject *args, PyObject *kwargs,
                         ft_call_body body)
{
    ft_call call = {.self = self};
    PyObject *result = body(&call, args, kwargs);
    for (int i = 0; i < call.copy_count; i++) {
        Py_BEGIN_ALLOW_THREADS
        pthread_mutex_lock(&self->busy);
        self->backend->operations->release(self->backend, call.copies[i].memory);
        pthread_mutex_unlock(&self->busy);
        Py_END_ALLOW_THREADS
    }
    for (int i = 0; i < call.result_count; i++)
        Py_DECREF(call.results[i]);
    return result;
}
