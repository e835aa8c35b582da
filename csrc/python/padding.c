#include "python/integers.h"
#include "python/module.h"

#include "collator/pad.h"

/* A batch that is being padded. */
typedef struct padding {
    PyObject *features; /* a list of mappings, or a dict of lists */
    int by_row;         /* it is a list of mappings */
    Py_ssize_t rows;
    int64_t *lengths;         /* [rows]: the tokens of each row */
    ft_integer_buffer tokens; /* of the main column */
    ft_integer_buffer values; /* of another */
    int64_t width;
    int left;
} padding;

/* The value of a column in a row; a new reference. `column` is the list of the dict form. */
static PyObject *value_at(const padding *p, PyObject *key, PyObject *column, Py_ssize_t row)
{
    if (!p->by_row)
        return ft_python_list_item(column, row);
    PyObject *feature = ft_python_list_item(p->features, row);
    if (feature == NULL)
        return NULL;
    PyObject *value = PyObject_GetItem(feature, key);
    Py_DECREF(feature);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_KeyError))
        PyErr_Format(PyExc_KeyError, "row %zd has no column %R, which row 0 has", row, key);
    return value;
}

/* In the dict form, the list of a column, which must have as many rows as the main one; otherwise
 * None. A new reference. */
static PyObject *column_list(const padding *p, PyObject *key)
{
    if (p->by_row)
        return Py_NewRef(Py_None);
    PyObject *column = PyObject_GetItem(p->features, key);
    if (column == NULL)
        return NULL;
    if (!PyList_Check(column))
        PyErr_Format(PyExc_TypeError, "column %R must be a list, not %R", key,
                     (PyObject *)Py_TYPE(column));
    else if (p->rows >= 0 && PyList_Size(column) != p->rows)
        PyErr_Format(PyExc_ValueError, "column %R has %zd rows, but the batch has %zd", key,
                     PyList_Size(column), p->rows);
    else
        return column;
    Py_DECREF(column);
    return NULL;
}

/* Reads the rows of the main column, whose lengths the others must have. */
static int read_main(padding *p, PyObject *key, int64_t wanted, int64_t multiple)
{
    const char *name = PyUnicode_AsUTF8AndSize(key, NULL);
    PyObject *column = name != NULL ? column_list(p, key) : NULL;
    if (column == NULL)
        return -1;
    int failed = -1;
    p->rows = PyList_Size(p->by_row ? p->features : column);
    p->lengths = PyMem_Malloc((size_t)(p->rows + 1) * sizeof *p->lengths);
    if (p->lengths == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t row = 0; row < p->rows; row++) {
        PyObject *value = value_at(p, key, column, row);
        if (value == NULL)
            goto done;
        p->lengths[row] = ft_python_append_row(&p->tokens, value, name, row);
        Py_DECREF(value);
        if (p->lengths[row] < 0)
            goto done;
    }
    ft_status status = ft_pad_width(p->lengths, p->rows, wanted, multiple, name, &p->width);
    if (status != FT_OK)
        ft_python_raise(status);
    failed = status != FT_OK;
done:
    Py_DECREF(column);
    return failed ? -1 : 0;
}

static PyObject *new_padded(const padding *p)
{
    npy_intp shape[] = {p->rows, (npy_intp)p->width};
    return PyArray_SimpleNew(2, shape, NPY_INT64);
}

static PyObject *pad_values(const padding *p, const ft_integer_buffer *buffer, int64_t pad)
{
    PyObject *array = new_padded(p);
    if (array != NULL)
        ft_pad_rows(buffer->values, p->lengths, p->rows, p->width, pad, p->left,
                    PyArray_DATA((PyArrayObject *)array));
    return array;
}

static PyObject *pad_column(padding *p, PyObject *key, int64_t pad)
{
    const char *name = PyUnicode_AsUTF8AndSize(key, NULL);
    PyObject *column = name != NULL ? column_list(p, key) : NULL;
    if (column == NULL)
        return NULL;
    PyObject *result = NULL;
    p->values.count = 0;
    for (Py_ssize_t row = 0; row < p->rows; row++) {
        PyObject *value = value_at(p, key, column, row);
        if (value == NULL)
            goto done;
        Py_ssize_t count = ft_python_append_row(&p->values, value, name, row);
        Py_DECREF(value);
        if (count < 0)
            goto done;
        if (count != p->lengths[row]) {
            PyErr_Format(PyExc_ValueError,
                         "row %zd of column '%s' holds %zd values, but the row has %zd tokens", row,
                         name, count, (Py_ssize_t)p->lengths[row]);
            goto done;
        }
    }
    result = pad_values(p, &p->values, pad);
done:
    Py_DECREF(column);
    return result;
}

/* A column that is not padded: int64 [rows] where it holds one int a row, else a list. */
static PyObject *collect_column(const padding *p, PyObject *key)
{
    PyObject *column = column_list(p, key);
    if (column == NULL)
        return NULL;
    PyObject *list = p->by_row ? PyList_New(p->rows) : Py_NewRef(column);
    npy_intp rows = p->rows;
    PyObject *array = list != NULL ? PyArray_SimpleNew(1, &rows, NPY_INT64) : NULL;
    int failed = array == NULL, integers = 1;
    for (Py_ssize_t row = 0; !failed && row < rows; row++) {
        PyObject *value = value_at(p, key, column, row);
        failed = value == NULL;
        integers = integers && !failed && PyLong_CheckExact(value);
        if (integers) {
            int overflow;
            int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow);
            ((int64_t *)PyArray_DATA((PyArrayObject *)array))[row] = number;
            integers = overflow == 0;
        }
        if (p->by_row && !failed)
            failed = PyList_SetItem(list, row, value) < 0;
        else
            Py_XDECREF(value);
    }
    Py_DECREF(column);
    PyObject *result = failed ? NULL : Py_NewRef(integers ? array : list);
    Py_XDECREF(list);
    Py_XDECREF(array);
    return result;
}

static PyObject *new_mask(const padding *p)
{
    PyObject *array = new_padded(p);
    if (array != NULL)
        ft_pad_mask(p->lengths, p->rows, p->width, p->left, PyArray_DATA((PyArrayObject *)array));
    return array;
}

/* Puts a value, whose reference is taken over, into the dict. */
static int put(PyObject *dict, PyObject *key, PyObject *value)
{
    int failed = value == NULL || PyDict_SetItem(dict, key, value) < 0;
    Py_XDECREF(value);
    return failed ? -1 : 0;
}

/* The padded column, or the collected one where `pads` does not name it. */
static PyObject *convert_column(padding *p, PyObject *key, PyObject *main, PyObject *pads)
{
    PyObject *pad = PyDict_GetItemWithError(pads, key);
    if (pad == NULL)
        return PyErr_Occurred() ? NULL : collect_column(p, key);
    int64_t number = PyLong_AsLongLong(pad);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    int is_main = PyObject_RichCompareBool(key, main, Py_EQ);
    if (is_main < 0)
        return NULL;
    return is_main ? pad_values(p, &p->tokens, number) : pad_column(p, key, number);
}

PyDoc_STRVAR(
    pad_columns_doc,
    "pad_columns(features, main, pads, width, multiple, left, mask)\n"
    "--\n\n"
    "Collate a batch: a non-empty list of mappings, or a dict of lists.\n\n"
    "Columns named in the dict `pads` become int64 [rows, width], padded with its number on the "
    "right,\n"
    "or the left; they must have the lengths of the column `main`. width is a number, -1 for the\n"
    "longest row or -2 for no padding, rounded up to a multiple of `multiple`. Other columns "
    "become\n"
    "int64 [rows] where they hold one int a row and a list otherwise. `mask` names the column of "
    "ones\n"
    "and zeros to add where the features lack it, or is None.");

static PyObject *pad_columns(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *features, *main, *pads, *mask;
    long long wanted, multiple;
    padding p = {.rows = -1};
    if (!PyArg_ParseTuple(args, "OUO!LLpO:pad_columns", &features, &main, &PyDict_Type, &pads,
                          &wanted, &multiple, &p.left, &mask))
        return NULL;
    if (wanted < FT_PAD_NONE || multiple < 1) {
        PyErr_SetString(PyExc_ValueError, "width must be at least -2 and multiple at least 1");
        return NULL;
    }
    p.features = features;
    p.by_row = PyList_Check(features);
    PyObject *first = p.by_row ? ft_python_list_item(features, 0) : Py_NewRef(features);
    PyObject *keys = first != NULL ? PyMapping_Keys(first) : NULL;
    PyObject *result = keys != NULL ? PyDict_New() : NULL;
    Py_XDECREF(first);
    int failed = result == NULL || read_main(&p, main, wanted, multiple) < 0;
    for (Py_ssize_t i = 0; !failed && i < PyList_Size(keys); i++) {
        PyObject *key = PyList_GetItem(keys, i); /* keys is ours alone */
        failed = put(result, key, convert_column(&p, key, main, pads)) < 0;
    }
    if (!failed && mask != Py_None) {
        int has = PyDict_Contains(result, mask);
        failed = has < 0 || (has == 0 && put(result, mask, new_mask(&p)) < 0);
    }
    Py_XDECREF(keys);
    PyMem_Free(p.lengths);
    ft_integer_buffer_release(&p.tokens);
    ft_integer_buffer_release(&p.values);
    if (failed)
        Py_CLEAR(result);
    return result;
}

static PyMethodDef functions[] = {
    {"pad_columns", pad_columns, METH_VARARGS, pad_columns_doc},
    {NULL, NULL, 0, NULL},
};

int ft_python_add_padding(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
