#include "python/arrays.h"

/* Puts the argument's name before the message of the exception that is set. */
static void name_error(const char *name)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (PyErr_GivenExceptionMatches(type, PyExc_ValueError) ||
        PyErr_GivenExceptionMatches(type, PyExc_TypeError)) {
        PyErr_Format(type, "%s cannot be read as an array: %S", name, value);
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
    } else {
        PyErr_Restore(type, value, traceback);
    }
}

static PyArrayObject *any_array(PyObject *object, const char *name)
{
    PyObject *array = PyArray_FromAny(object, NULL, 0, 0, 0, NULL);
    if (array == NULL)
        name_error(name);
    return (PyArrayObject *)array;
}

/* A contiguous, aligned copy (or `array` itself) of that type; takes over the reference. */
static PyArrayObject *cast(PyArrayObject *array, int type)
{
    PyObject *out = PyArray_FromArray(array, PyArray_DescrFromType(type),
                                      NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST);
    Py_DECREF(array);
    return (PyArrayObject *)out;
}

static PyArrayObject *wrong_type(PyArrayObject *array, const char *name, const char *expected)
{
    PyErr_Format(PyExc_TypeError, "%s must hold %s, got an array of %S", name, expected,
                 (PyObject *)PyArray_DESCR(array));
    Py_DECREF(array);
    return NULL;
}

/* int64 from integers or booleans. An unsigned number above int64's range becomes negative in the
 * cast, which no unsigned number is: that is how it is found. */
static PyArrayObject *cast_integers(PyArrayObject *array, const char *name)
{
    int is_unsigned = PyTypeNum_ISUNSIGNED(PyArray_TYPE(array));
    array = cast(array, NPY_INT64);
    if (array == NULL || !is_unsigned)
        return array;
    const int64_t *values = PyArray_DATA(array);
    npy_intp count = PyArray_SIZE(array);
    for (npy_intp i = 0; i < count; i++)
        if (values[i] < 0) {
            PyErr_Format(PyExc_ValueError, "%s holds %llu, which does not fit in 64 signed bits",
                         name, (unsigned long long)values[i]);
            Py_DECREF(array);
            return NULL;
        }
    return array;
}

PyArrayObject *ft_python_integers(PyObject *object, const char *name)
{
    PyArrayObject *array = any_array(object, name);
    if (array == NULL)
        return NULL;
    /* An empty list has no type of its own: NumPy makes it float64. */
    if (PyArray_SIZE(array) > 0 && !PyTypeNum_ISINTEGER(PyArray_TYPE(array)))
        return wrong_type(array, name, "integers");
    return cast_integers(array, name);
}

static PyArrayObject *cast_float_mask(PyArrayObject *array, const char *name)
{
    array = cast(array, NPY_DOUBLE);
    if (array == NULL)
        return NULL;
    const double *values = PyArray_DATA(array);
    npy_intp count = PyArray_SIZE(array);
    for (npy_intp i = 0; i < count; i++)
        if (values[i] != 0.0 && values[i] != 1.0) {
            PyObject *value = PyFloat_FromDouble(values[i]);
            if (value != NULL)
                PyErr_Format(PyExc_ValueError, "%s must hold 0 and 1 only, but holds %R", name,
                             value);
            Py_XDECREF(value);
            Py_DECREF(array);
            return NULL;
        }
    return cast(array, NPY_INT64);
}

PyArrayObject *ft_python_mask(PyObject *object, const char *name)
{
    PyArrayObject *array = any_array(object, name);
    if (array == NULL)
        return NULL;
    int type = PyArray_TYPE(array);
    if (PyTypeNum_ISINTEGER(type) || PyTypeNum_ISBOOL(type))
        return cast_integers(array, name);
    if (PyTypeNum_ISFLOAT(type))
        return cast_float_mask(array, name);
    return wrong_type(array, name, "0 and 1");
}

static int wrong_label_shape(PyArrayObject *array, npy_intp rows, const char *expected)
{
    PyObject *shape = PyObject_GetAttrString((PyObject *)array, "shape");
    if (shape != NULL)
        PyErr_Format(PyExc_ValueError,
                     "labels must be %s for a batch of %zd rows, but have the shape %S", expected,
                     (Py_ssize_t)rows, shape);
    Py_XDECREF(shape);
    Py_DECREF(array);
    return -1;
}

/* Casts labels by their type, once their shape is known to be right; takes over the reference. */
static int cast_labels(PyArrayObject *array, const char *name, PyArrayObject **classes,
                       PyArrayObject **targets)
{
    int type = PyArray_TYPE(array);
    if (PyTypeNum_ISFLOAT(type))
        *targets = cast(array, NPY_FLOAT32);
    else if (PyTypeNum_ISINTEGER(type) || PyTypeNum_ISBOOL(type))
        *classes = cast_integers(array, name);
    else
        wrong_type(array, name, "integers or floats");
    return *classes == NULL && *targets == NULL ? -1 : 0;
}

int ft_python_labels(PyObject *object, npy_intp rows, PyArrayObject **classes,
                     PyArrayObject **targets, npy_intp *width)
{
    *classes = *targets = NULL;
    *width = 0;
    PyArrayObject *array = any_array(object, "labels");
    if (array == NULL)
        return -1;
    npy_intp size = PyArray_SIZE(array);
    if (!PyTypeNum_ISFLOAT(PyArray_TYPE(array))) {
        if (size != rows)
            return wrong_label_shape(
                array, rows, "one integer a row (or several floats, for multi-label targets)");
    } else {
        int dimensions = PyArray_NDIM(array);
        if (dimensions <= 1 ? size != rows
                            : dimensions > 2 || PyArray_DIM(array, 0) != rows || size == 0)
            return wrong_label_shape(array, rows, "[rows] or [rows, width] floats");
        *width = dimensions <= 1 ? 1 : PyArray_DIM(array, 1);
    }
    return cast_labels(array, "labels", classes, targets);
}

int ft_python_label(PyObject *object, const char *name, PyArrayObject **classes,
                    PyArrayObject **targets, npy_intp *width)
{
    *classes = *targets = NULL;
    *width = 0;
    PyArrayObject *array = any_array(object, name);
    if (array == NULL)
        return -1;
    npy_intp size = PyArray_SIZE(array);
    if (PyTypeNum_ISFLOAT(PyArray_TYPE(array)) && PyArray_NDIM(array) <= 1 && size > 0) {
        *width = size;
    } else if (size != 1) {
        PyErr_Format(PyExc_ValueError,
                     "%s must be one integer, a float or a list of floats, not %zd values", name,
                     (Py_ssize_t)size);
        Py_DECREF((PyObject *)array);
        return -1;
    }
    return cast_labels(array, name, classes, targets);
}
