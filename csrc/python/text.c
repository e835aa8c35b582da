#include "python/text.h"

static void raise_no_text(PyObject *object, const char *what, Py_ssize_t row)
{
    PyObject *type = PyType_GetName(Py_TYPE(object));
    if (type != NULL && row >= 0)
        PyErr_Format(PyExc_TypeError, "%s %zd must be a str, not %U", what, row, type);
    else if (type != NULL)
        PyErr_Format(PyExc_TypeError, "%s must be a str, not %U", what, type);
    Py_XDECREF(type);
}

/* A str without a UTF-8 form: half of a surrogate pair is no character. */
static void raise_surrogate(const char *what, Py_ssize_t row)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    Py_ssize_t position = 0;
    if (value != NULL && PyUnicodeEncodeError_GetStart(value, &position) == 0) {
        if (row >= 0)
            PyErr_Format(PyExc_TypeError,
                         "%s %zd holds a lone surrogate at position %zd, which is no valid text",
                         what, row, position);
        else
            PyErr_Format(PyExc_TypeError,
                         "%s holds a lone surrogate at position %zd, which is no valid text", what,
                         position);
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

int ft_python_text(PyObject *object, const char *what, Py_ssize_t row, ft_text *out)
{
    Py_ssize_t length;
    if (!PyUnicode_Check(object)) {
        raise_no_text(object, what, row);
        return -1;
    }
    const char *bytes = PyUnicode_AsUTF8AndSize(object, &length);
    if (bytes != NULL) {
        *out = (ft_text){(const uint8_t *)bytes, (size_t)length};
        return 0;
    }
    if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
        raise_surrogate(what, row);
    return -1;
}
