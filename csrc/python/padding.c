#include "python/dlpack.h"
#include "python/integers.h"
#include "python/module.h"

#include "collator/pad.h"

/* A batch that is being padded. */
typedef struct padding {
    PyObject *features; /* a list of mappings, or a dict of lists */
    int by_row;         /* it is a list of mappings */
    PyObject *main;     /* the name of the column that says how long the rows are */
    int64_t pad, type_pad, width;
    int left;
    Py_ssize_t rows;          /* -1 until the main column is read */
    int64_t *lengths;         /* [rows]: the tokens of each row */
    PyObject **items;         /* [rows]: what the rows hold in the column that is being read */
    ft_integer_view *views;   /* [rows]: of the items */
    ft_integer_buffer tokens; /* of the main column */
    ft_integer_buffer values; /* of another */
    ft_tensors tensors;       /* what columns are made of; NumPy arrays where it has no calls */
    int finished;             /* every column so far is of the type that was asked for */
} padding;

/* feature[key], a new reference. */
static PyObject *get_item(PyObject *feature, PyObject *key)
{
#ifndef Py_GIL_DISABLED
    if (PyDict_CheckExact(feature)) {
        PyObject *value = PyDict_GetItemWithError(feature, key);
        if (value != NULL)
            return Py_NewRef(value);
        if (PyErr_Occurred())
            return NULL;
    }
#endif
    return PyObject_GetItem(feature, key);
}

/* The value of a column in a row; a new reference. `column` is the list of the dict form. */
static PyObject *value_at(const padding *p, PyObject *key, PyObject *column, Py_ssize_t row)
{
    if (!p->by_row)
        return ft_python_list_item(column, row);
    PyObject *feature = ft_python_list_item(p->features, row);
    if (feature == NULL)
        return NULL;
    PyObject *value = get_item(feature, key);
    Py_DECREF(feature);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_KeyError))
        PyErr_Format(PyExc_KeyError, "row %zd has no column %R%s", row, key,
                     row > 0 ? ", which row 0 has" : "");
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

/* Lengths, views and items are one piece of memory. */
static int allocate_rows(padding *p)
{
    size_t rows = (size_t)p->rows;
    p->lengths = PyMem_Calloc(rows + 1, sizeof *p->lengths + sizeof *p->views + sizeof *p->items);
    if (p->lengths == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    p->views = (ft_integer_view *)(p->lengths + rows);
    p->items = (PyObject **)(p->views + rows);
    return 0;
}

static void release_rows(padding *p)
{
    PyMem_Free(p->lengths);
    ft_integer_buffer_release(&p->tokens);
    ft_integer_buffer_release(&p->values);
}

static void drop_items(padding *p)
{
    for (Py_ssize_t row = 0; p->items != NULL && row < p->rows; row++)
        Py_CLEAR(p->items[row]);
}

/* Fills items, until drop_items. The first column that is taken says how many rows there are. */
static int take_items(padding *p, PyObject *key)
{
    PyObject *column = column_list(p, key);
    if (column == NULL)
        return -1;
    int failed = 0;
    if (p->rows < 0) {
        p->rows = PyList_Size(p->by_row ? p->features : column);
        failed = allocate_rows(p) < 0;
    }
    for (Py_ssize_t row = 0; !failed && row < p->rows; row++) {
        p->items[row] = value_at(p, key, column, row);
        failed = p->items[row] == NULL;
    }
    Py_DECREF(column);
    if (failed)
        drop_items(p);
    return failed ? -1 : 0;
}

/* Whether all items can be viewed. */
static int view_items(padding *p)
{
    for (Py_ssize_t row = 0; row < p->rows; row++)
        if (!ft_python_view_integers(p->items[row], 1, &p->tensors, &p->views[row]))
            return 0;
    return 1;
}

/* Reads the rows of the main column, whose lengths the others must have. */
static int read_main(padding *p, int64_t wanted, int64_t multiple)
{
    const char *name = PyUnicode_AsUTF8AndSize(p->main, NULL);
    if (name == NULL || take_items(p, p->main) < 0)
        return -1;
    int failed = 0, viewed = view_items(p);
    for (Py_ssize_t row = 0; !failed && row < p->rows; row++) {
        if (viewed) {
            p->lengths[row] = p->views[row].count;
            failed = ft_integer_buffer_append(&p->tokens, &p->views[row]) < 0;
        } else {
            p->lengths[row] = ft_python_append_row(&p->tokens, p->items[row], name, row);
            failed = p->lengths[row] < 0;
        }
    }
    drop_items(p);
    if (failed)
        return -1;
    ft_status status = ft_pad_width(p->lengths, p->rows, wanted, multiple, name, &p->width);
    if (status != FT_OK)
        ft_python_raise(status);
    return status != FT_OK ? -1 : 0;
}

/* An array or tensor of int64 of that shape, whose *values the caller fills. */
static PyObject *new_result(const padding *p, int dimensions, const npy_intp *shape,
                            int64_t **values)
{
    if (p->tensors.calls != NULL)
        return ft_tensor_new(&p->tensors, dimensions, shape, values);
    PyObject *array = PyArray_SimpleNew(dimensions, shape, NPY_INT64);
    if (array != NULL)
        *values = PyArray_DATA((PyArrayObject *)array);
    return array;
}

static PyObject *new_padded(const padding *p, int64_t **values)
{
    npy_intp shape[] = {p->rows, (npy_intp)p->width};
    return new_result(p, 2, shape, values);
}

/* Copies the items straight into out [rows, width], where they can be viewed and are as long as
 * the rows; 0 where not. */
static int copy_items(padding *p, int64_t pad, int64_t *out)
{
    int equal = view_items(p);
    for (Py_ssize_t row = 0; equal && row < p->rows; row++)
        equal = p->views[row].count == p->lengths[row];
    for (Py_ssize_t row = 0; equal && row < p->rows; row++, out += p->width)
        ft_integer_view_copy(&p->views[row],
                             ft_pad_row(out, p->lengths[row], p->width, pad, p->left));
    return equal;
}

/* Appends the items to values; -1 with an exception where they are not integers or not as many as
 * the row has tokens. */
static int append_items(padding *p, const char *name)
{
    p->values.count = 0;
    for (Py_ssize_t row = 0; row < p->rows; row++) {
        Py_ssize_t count = ft_python_append_row(&p->values, p->items[row], name, row);
        if (count < 0)
            return -1;
        if (count != p->lengths[row]) {
            PyErr_Format(PyExc_ValueError,
                         "row %zd of column '%s' holds %zd values, but the row has %zd tokens", row,
                         name, count, (Py_ssize_t)p->lengths[row]);
            return -1;
        }
    }
    return 0;
}

static PyObject *pad_column(padding *p, PyObject *key, int64_t pad, int is_main)
{
    int64_t *out;
    PyObject *result = new_padded(p, &out);
    const char *name = PyUnicode_AsUTF8AndSize(key, NULL);
    int failed = result == NULL || name == NULL || (!is_main && take_items(p, key) < 0);
    if (!failed && (is_main || !copy_items(p, pad, out))) {
        failed = !is_main && append_items(p, name) < 0;
        if (!failed)
            ft_pad_rows((is_main ? &p->tokens : &p->values)->values, p->lengths, p->rows, p->width,
                        pad, p->left, out);
    }
    drop_items(p);
    if (failed)
        Py_CLEAR(result);
    return result;
}

static PyObject *list_items(const padding *p)
{
    PyObject *list = PyList_New(p->rows);
    for (Py_ssize_t row = 0; list != NULL && row < p->rows; row++)
        if (PyList_SetItem(list, row, Py_NewRef(p->items[row])) < 0)
            Py_CLEAR(list);
    return list;
}

/* A column that is not padded: int64 [rows] where it holds one integer a row, else a list. */
static PyObject *collect_column(padding *p, PyObject *key)
{
    if (take_items(p, key) < 0)
        return NULL;
    int64_t *out;
    npy_intp rows = p->rows;
    PyObject *result = new_result(p, 1, &rows, &out);
    int integers = result != NULL;
    for (Py_ssize_t row = 0; integers && row < rows; row++)
        integers = ft_python_integer(p->items[row], &p->tensors, out + row);
    if (result != NULL && !integers) {
        Py_DECREF(result);
        result = list_items(p);
        p->finished = 0;
    }
    drop_items(p);
    return result;
}

/* Puts a value, whose reference is taken over, into the dict. */
static int put(PyObject *dict, PyObject *key, PyObject *value)
{
    int failed = value == NULL || PyDict_SetItem(dict, key, value) < 0;
    Py_XDECREF(value);
    return failed ? -1 : 0;
}

/* Adds the mask of ones and zeros where the features have none. */
static int add_mask(const padding *p, PyObject *batch)
{
    PyObject *key = PyUnicode_InternFromString("attention_mask");
    int has = key != NULL ? PyDict_Contains(batch, key) : -1;
    if (has == 0) {
        int64_t *out;
        PyObject *mask = new_padded(p, &out);
        if (mask != NULL)
            ft_pad_mask(p->lengths, p->rows, p->width, p->left, out);
        has = put(batch, key, mask);
    }
    Py_XDECREF(key);
    return has < 0 ? -1 : 0;
}

/* The padded column, or the collected one where columns of that name are not padded. */
static PyObject *convert_column(padding *p, PyObject *key)
{
    if (!PyUnicode_Check(key))
        return collect_column(p, key);
    if (PyUnicode_Compare(key, p->main) == 0)
        return pad_column(p, key, p->pad, 1);
    if (PyUnicode_CompareWithASCIIString(key, "attention_mask") == 0)
        return pad_column(p, key, 0, 0);
    if (PyUnicode_CompareWithASCIIString(key, "token_type_ids") == 0)
        return pad_column(p, key, p->type_pad, 0);
    if (PyUnicode_CompareWithASCIIString(key, "special_tokens_mask") == 0)
        return pad_column(p, key, 1, 0);
    return collect_column(p, key);
}

PyDoc_STRVAR(
    pad_columns_doc,
    "pad_columns(features, main, pad, type_pad, width, multiple, left, mask, tensor, /)\n"
    "--\n\n"
    "Collate a batch: a non-empty list of mappings, or a dict of lists.\n\n"
    "The columns `main`, token_type_ids, attention_mask and special_tokens_mask become int64\n"
    "[rows, width], padded with `pad`, `type_pad`, 0 and 1 on the right, or the left; they must "
    "have\n"
    "the lengths of `main`. width is a number, -1 for the longest row or -2 for no padding, "
    "rounded\n"
    "up to a multiple of `multiple`. Other columns become int64 [rows] where they hold one integer "
    "a\n"
    "row and a list otherwise. `mask` is whether to add attention_mask where the features lack "
    "it.\n"
    "`tensor` is the type of tensors to make; where it is None, or offers no C functions for "
    "DLPack,\n"
    "arrays are made. Returns the columns, and whether all are of the type asked for.");

static int parse_integer(PyObject *object, int64_t *out)
{
    *out = PyLong_AsLongLong(object);
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}

static int parse_flag(PyObject *object, int *out)
{
    *out = PyObject_IsTrue(object);
    return *out;
}

/* The arguments are taken as they come: PyArg_ParseTuple would take a twentieth of the call. */
static PyObject *pad_columns(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 9 || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError,
                        "pad_columns takes features, main (a str), pad, type_pad, width, multiple, "
                        "left, mask and tensor");
        return NULL;
    }
    PyObject *features = args[0], *tensor = args[8];
    padding p = {.features = features, .by_row = PyList_Check(features), .rows = -1};
    p.main = args[1];
    int64_t wanted, multiple;
    int mask;
    if (parse_integer(args[2], &p.pad) < 0 || parse_integer(args[3], &p.type_pad) < 0 ||
        parse_integer(args[4], &wanted) < 0 || parse_integer(args[5], &multiple) < 0 ||
        parse_flag(args[6], &p.left) < 0 || parse_flag(args[7], &mask) < 0)
        return NULL;
    if (wanted < FT_PAD_NONE || multiple < 1) {
        PyErr_SetString(PyExc_ValueError, "width must be at least -2 and multiple at least 1");
        return NULL;
    }
    p.tensors = ft_tensors_of_type(PyModule_GetState(module), tensor);
    p.finished = tensor == Py_None || p.tensors.calls != NULL;
    p.tokens.tensors = p.values.tensors = &p.tensors;
    PyObject *first = p.by_row ? ft_python_list_item(features, 0) : Py_NewRef(features);
    PyObject *keys = first != NULL ? PyMapping_Keys(first) : NULL;
    PyObject *batch = keys != NULL ? PyDict_New() : NULL;
    Py_XDECREF(first);
    int failed = batch == NULL || read_main(&p, wanted, multiple) < 0;
    for (Py_ssize_t i = 0; !failed && i < PyList_Size(keys); i++) {
        PyObject *key = PyList_GetItem(keys, i); /* keys is ours alone */
        failed = put(batch, key, convert_column(&p, key)) < 0;
    }
    if (!failed && mask)
        failed = add_mask(&p, batch) < 0;
    Py_XDECREF(keys);
    release_rows(&p);
    PyObject *result = failed ? NULL : PyTuple_Pack(2, batch, p.finished ? Py_True : Py_False);
    Py_XDECREF(batch);
    return result;
}

static PyMethodDef functions[] = {
    {"pad_columns", (PyCFunction)(void (*)(void))pad_columns, METH_FASTCALL, pad_columns_doc},
    {NULL, NULL, 0, NULL},
};

int ft_python_add_padding(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
