#include "python/integers.h"

#include <string.h>

#include <numpy/arrayscalars.h>

#include "python/arrays.h"
#include "python/dlpack.h"

static int reserve(ft_integer_buffer *buffer, size_t more)
{
    size_t needed = buffer->count + more;
    if (needed <= buffer->capacity && buffer->values != NULL)
        return 0;
    /* An array or tensor whose numbers lie on top of each other may be of any length. */
    size_t capacity = needed + needed / 2 + 1024;
    int64_t *values = needed < SIZE_MAX / 2 / sizeof *values
                          ? PyMem_Realloc(buffer->values, capacity * sizeof *values)
                          : NULL;
    if (values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    buffer->values = values;
    buffer->capacity = capacity;
    return 0;
}

void ft_integer_buffer_release(ft_integer_buffer *buffer)
{
    PyMem_Free(buffer->values);
    *buffer = (ft_integer_buffer){.tensors = buffer->tensors};
}

PyObject *ft_python_list_item(PyObject *list, Py_ssize_t i)
{
#ifdef Py_GIL_DISABLED
    return PyList_GetItemRef(list, i);
#else
    PyObject *item = PyList_GetItem(list, i);
    Py_XINCREF(item);
    return item;
#endif
}

static void raise_value(PyObject *item, const char *column, Py_ssize_t row)
{
    if (PyErr_ExceptionMatches(PyExc_OverflowError))
        PyErr_Format(PyExc_OverflowError,
                     "row %zd of column '%s' holds %R, which does not fit in 64 bits", row, column,
                     item);
    else if (PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Format(PyExc_TypeError, "row %zd of column '%s' must hold integers, but holds %R",
                     row, column, item);
}

/* An item that is no plain int: a NumPy or torch scalar, a bool, or nothing of the kind. */
static int read_other(PyObject *item, const char *column, Py_ssize_t row, int64_t *out)
{
    PyObject *index = PyNumber_Index(item);
    if (index != NULL) {
        *out = PyLong_AsLongLong(index);
        Py_DECREF(index);
    }
    if (index != NULL && !(*out == -1 && PyErr_Occurred()))
        return 0;
    raise_value(item, column, row);
    return -1;
}

/* Masks and type ids are runs of the same object: a number is converted once a run. */
static int read_list(PyObject *list, Py_ssize_t count, const char *column, Py_ssize_t row,
                     int64_t *out)
{
    PyObject *last = NULL;
    int64_t value = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
#ifdef Py_GIL_DISABLED
        PyObject *item = PyList_GetItemRef(list, i);
#else
        PyObject *item = PyList_GetItem(list, i);
#endif
        if (item == NULL)
            return -1;
        int failed = 0;
        if (item != last) {
            last = NULL;
            if (PyLong_CheckExact(item)) {
                value = PyLong_AsLongLong(item);
                if (value == -1 && PyErr_Occurred()) {
                    raise_value(item, column, row);
                    failed = 1;
                }
                last = item;
            } else {
                Py_INCREF(item); /* its __index__ may change the list */
                failed = read_other(item, column, row, &value);
                Py_DECREF(item);
            }
        }
        out[i] = value;
#ifdef Py_GIL_DISABLED
        Py_DECREF(item);
        last = NULL; /* it may be gone: its address says nothing */
#endif
        if (failed)
            return -1;
    }
    return 0;
}

static Py_ssize_t append_list(ft_integer_buffer *buffer, PyObject *list, const char *column,
                              Py_ssize_t row)
{
    Py_ssize_t count = PyList_Size(list);
    if (count < 0 || reserve(buffer, (size_t)count) < 0)
        return -1;
    if (read_list(list, count, column, row, buffer->values + buffer->count) < 0)
        return -1;
    buffer->count += (size_t)count;
    return count;
}

/* As ft_tensor_view, of a NumPy array. */
static int view_array(PyObject *object, int dimensions, ft_integer_view *view)
{
    PyArrayObject *array = (PyArrayObject *)object;
    if (!PyArray_CheckExact(object) || PyArray_NDIM(array) != dimensions ||
        !PyArray_ISNOTSWAPPED(array))
        return 0;
    *view = (ft_integer_view){
        .data = PyArray_DATA(array),
        .count = dimensions > 0 ? PyArray_DIM(array, 0) : 1,
        .stride = dimensions > 0 ? PyArray_STRIDE(array, 0) : 0,
        .type = PyArray_TYPE(array),
    };
    return view->type == NPY_INT64 || view->type == NPY_INT32 || view->type == NPY_BOOL;
}

int ft_python_view_integers(PyObject *object, int dimensions, const ft_tensors *tensors,
                            ft_integer_view *view)
{
    return view_array(object, dimensions, view) ||
           (tensors != NULL && ft_tensor_view(tensors, object, dimensions, view));
}

void ft_integer_view_copy(const ft_integer_view *view, int64_t *out)
{
    const char *at = view->data;
    npy_intp count = view->count, stride = view->stride;
    if (view->type == NPY_INT64 && stride == sizeof *out) {
        if (count > 0)
            memcpy(out, at, (size_t)count * sizeof *out);
        return;
    }
    for (npy_intp i = 0; i < count; i++, at += stride) {
        if (view->type == NPY_INT64) {
            memcpy(out + i, at, sizeof *out);
        } else if (view->type == NPY_INT32) {
            int32_t value;
            memcpy(&value, at, sizeof value);
            out[i] = value;
        } else {
            out[i] = *at != 0;
        }
    }
}

int ft_integer_buffer_append(ft_integer_buffer *buffer, const ft_integer_view *view)
{
    if (reserve(buffer, (size_t)view->count) < 0)
        return -1;
    ft_integer_view_copy(view, buffer->values + buffer->count);
    buffer->count += (size_t)view->count;
    return 0;
}

/* Arrays of other types, and what NumPy can make an array of. */
static Py_ssize_t append_array(ft_integer_buffer *buffer, PyObject *object, const char *column,
                               Py_ssize_t row)
{
    char name[256];
    PyOS_snprintf(name, sizeof name, "row %lld of column '%s'", (long long)row, column);
    PyArrayObject *array = ft_python_integers(object, name);
    if (array == NULL)
        return -1;
    Py_ssize_t count = -1;
    if (PyArray_NDIM(array) != 1) {
        PyErr_Format(PyExc_ValueError, "%s must be a sequence of integers, but has %d dimensions",
                     name, PyArray_NDIM(array));
    } else if (reserve(buffer, (size_t)PyArray_SIZE(array)) == 0) {
        count = PyArray_SIZE(array);
        memcpy(buffer->values + buffer->count, PyArray_DATA(array),
               (size_t)count * sizeof(int64_t));
        buffer->count += (size_t)count;
    }
    Py_DECREF(array);
    return count;
}

Py_ssize_t ft_python_append_row(ft_integer_buffer *buffer, PyObject *row_object, const char *column,
                                Py_ssize_t row)
{
    if (PyList_Check(row_object))
        return append_list(buffer, row_object, column, row);
    if (PyTuple_Check(row_object)) {
        PyObject *list = PySequence_List(row_object);
        Py_ssize_t count = list != NULL ? append_list(buffer, list, column, row) : -1;
        Py_XDECREF(list);
        return count;
    }
    ft_integer_view view;
    if (!ft_python_view_integers(row_object, 1, buffer->tensors, &view))
        return append_array(buffer, row_object, column, row);
    return ft_integer_buffer_append(buffer, &view) < 0 ? -1 : view.count;
}

int ft_python_integer(PyObject *object, const ft_tensors *tensors, int64_t *out)
{
    if (PyLong_CheckExact(object)) {
        int overflow;
        *out = PyLong_AsLongLongAndOverflow(object, &overflow);
        return overflow == 0;
    }
    if (Py_IS_TYPE(object, &PyInt64ArrType_Type)) {
        *out = ((PyInt64ScalarObject *)object)->obval;
        return 1;
    }
    if (Py_IS_TYPE(object, &PyInt32ArrType_Type)) {
        *out = ((PyInt32ScalarObject *)object)->obval;
        return 1;
    }
    ft_integer_view view;
    if (!ft_python_view_integers(object, 0, tensors, &view) || view.type == NPY_BOOL)
        return 0;
    ft_integer_view_copy(&view, out);
    return 1;
}
