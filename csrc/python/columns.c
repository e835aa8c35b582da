#include <string.h>

#include "python/arrays.h"
#include "python/batch.h"
#include "python/integers.h"
#include "python/module.h"

#include "collator/arrow.h"
#include "collator/columns.h"
#include "collator/pack.h"

typedef struct columns_object {
    PyObject_HEAD ft_columns columns;
} columns_object;

/* A Columns that takes over what `columns` holds, on failure too. */
static PyObject *columns_new(const ft_module_state *state, ft_columns *columns)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(state->columns_type, Py_tp_alloc);
    columns_object *self = (columns_object *)allocate(state->columns_type, 0);
    if (self == NULL) {
        ft_columns_release(columns);
        return NULL;
    }
    self->columns = *columns;
    return (PyObject *)self;
}

static void columns_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ft_columns_release(&((columns_object *)self)->columns);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

/* An int64 [count] array from whatever sequence of integers is given: a copy, since its owner may
 * write to it between our checking and our reading it. */
static PyArrayObject *index_array(PyObject *object)
{
    PyArrayObject *array = ft_python_integers(object, "indices");
    if (array == NULL)
        return NULL;
    PyObject *copy = NULL;
    if (PyArray_NDIM(array) != 1)
        PyErr_Format(PyExc_ValueError, "indices must have 1 dimension, not %d",
                     PyArray_NDIM(array));
    else
        copy = PyArray_NewCopy(array, NPY_CORDER);
    Py_DECREF((PyObject *)array);
    return (PyArrayObject *)copy;
}

PyDoc_STRVAR(from_arrow_doc, "from_arrow(stream, indices=None)\n"
                             "--\n\n"
                             "Read the columns of an Arrow table.\n\n"
                             "stream has __arrow_c_stream__ (a table, a record batch reader) or is "
                             "the capsule that it returns.\n"
                             "indices, uint64 or int64 [rows], name the table's rows that are "
                             "taken, in that order; all where\n"
                             "None. Read are input_ids, token_type_ids, position_ids and "
                             "attention_mask (lists of integers) and\n"
                             "label, labels or label_ids (integers, floats or lists of floats); "
                             "other columns are ignored.\n\n"
                             "Raises ValueError for nulls, empty rows, lengths that differ and "
                             "values beyond 32 bits, naming the\n"
                             "row and the column; TypeError for a column of another type; "
                             "IndexError for an index out of range.");

static PyObject *columns_from_arrow(PyObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"stream", "indices", NULL};
    PyObject *source, *indices_object = Py_None, *result = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:from_arrow", names, &source,
                                     &indices_object))
        return NULL;
    PyArrayObject *indices = NULL;
    if (indices_object != Py_None && (indices = index_array(indices_object)) == NULL)
        return NULL;

    PyObject *capsule = PyCapsule_CheckExact(source)
                            ? Py_NewRef(source)
                            : PyObject_CallMethod(source, "__arrow_c_stream__", NULL);
    if (capsule == NULL)
        goto done;
    struct ArrowArrayStream *exported = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    if (exported == NULL)
        goto done;
    if (exported->release == NULL) {
        PyErr_SetString(PyExc_ValueError, "the Arrow stream has been read already");
        goto done;
    }
    struct ArrowArrayStream stream = *exported;
    exported->release = NULL; /* the stream is ours now */

    ft_columns columns;
    ft_status status;
    const int64_t *rows = indices != NULL ? PyArray_DATA(indices) : NULL;
    npy_intp count = indices != NULL ? PyArray_SIZE(indices) : 0;
    Py_BEGIN_ALLOW_THREADS
    status = ft_columns_read_arrow(&stream, rows, count, &columns);
    Py_END_ALLOW_THREADS
    if (status != FT_OK)
        ft_python_raise(status);
    else
        result = columns_new(ft_python_state((PyTypeObject *)type), &columns);
done:
    Py_XDECREF(capsule);
    Py_XDECREF((PyObject *)indices);
    return result;
}

/* What from_rows keeps while it reads. */
typedef struct row_reader {
    ft_columns columns;
    PyObject *token_keys[FT_TOKEN_COLUMNS]; /* NULL: the rows do not have the column */
    PyObject *label_key;
    const char *label_name;
    ft_integer_buffer integers;
} row_reader;

/* The key of a column that the row has and that is wanted: a new reference, or NULL, with an
 * exception where looking failed. */
static PyObject *key_in(PyObject *row, const char *name, PyObject *wanted)
{
    PyObject *key = PyUnicode_InternFromString(name);
    int has = key != NULL ? PySequence_Contains(row, key) : -1;
    if (has == 1 && wanted != Py_None)
        has = PySequence_Contains(wanted, key);
    if (has != 1)
        Py_CLEAR(key);
    return key;
}

/* Decides by the first row which of the wanted columns there are. */
static int choose_columns(row_reader *reader, PyObject *row, PyObject *wanted)
{
    if (!PyDict_Check(row) && !PyObject_HasAttrString(row, "keys")) {
        PyErr_Format(PyExc_TypeError, "rows must be dicts, but row 0 is %R",
                     (PyObject *)Py_TYPE(row));
        return -1;
    }
    for (int c = 0; c < FT_TOKEN_COLUMNS; c++) {
        reader->token_keys[c] = key_in(row, ft_token_column_names[c], wanted);
        reader->columns.has[c] = reader->token_keys[c] != NULL;
        if (PyErr_Occurred())
            return -1;
    }
    for (int i = 0; ft_label_column_names[i] != NULL; i++) {
        PyObject *key = key_in(row, ft_label_column_names[i], wanted);
        if (key == NULL && PyErr_Occurred())
            return -1;
        if (key != NULL && reader->label_key != NULL) {
            PyErr_Format(PyExc_ValueError, "the columns '%s' and '%s' say the same",
                         reader->label_name, ft_label_column_names[i]);
            Py_DECREF(key);
            return -1;
        }
        if (key != NULL) {
            reader->label_key = key;
            reader->label_name = ft_label_column_names[i];
        }
    }
    if (reader->token_keys[FT_INPUT_IDS] == NULL) {
        PyErr_SetString(PyExc_ValueError, "there is no column 'input_ids'");
        return -1;
    }
    return 0;
}

/* A new reference to what the row holds under the key. */
static PyObject *row_item(PyObject *row_object, PyObject *key, Py_ssize_t row)
{
    PyObject *item = PyObject_GetItem(row_object, key);
    if (item == NULL && PyErr_ExceptionMatches(PyExc_KeyError))
        PyErr_Format(PyExc_KeyError, "row %zd has no column %R, which row 0 has", row, key);
    return item;
}

/* Appends the tokens of one row, narrowed to 32 bits, but does not end the row. Returns how many.
 */
static Py_ssize_t append_tokens(row_reader *reader, PyObject *row_object, Py_ssize_t row)
{
    ft_columns *columns = &reader->columns;
    Py_ssize_t length = 0;
    for (int c = 0; c < FT_TOKEN_COLUMNS; c++) {
        if (reader->token_keys[c] == NULL)
            continue;
        const char *name = ft_token_column_names[c];
        PyObject *item = row_item(row_object, reader->token_keys[c], row);
        if (item == NULL)
            return -1;
        reader->integers.count = 0;
        Py_ssize_t count = ft_python_append_row(&reader->integers, item, name, row);
        Py_DECREF(item);
        if (count < 0)
            return -1;
        if (c == FT_INPUT_IDS) {
            length = count;
            ft_status status = ft_columns_reserve(columns, 1, count);
            if (status != FT_OK) {
                ft_python_raise(status);
                return -1;
            }
        } else if (count != length) {
            PyErr_Format(PyExc_ValueError,
                         "row %zd of column '%s' holds %zd values, but 'input_ids' holds %zd", row,
                         name, count, length);
            return -1;
        }
        int32_t *out = ft_columns_tail(columns, c);
        for (Py_ssize_t i = 0; i < count; i++) {
            int64_t value = reader->integers.values[i];
            if (value != (int32_t)value) {
                PyErr_Format(PyExc_ValueError,
                             "row %zd of column '%s' holds %lld, which does not fit in 32 bits",
                             row, name, (long long)value);
                return -1;
            }
            out[i] = (int32_t)value;
        }
    }
    return length;
}

/* The label of one row as an array of one class or of target_labels. The first row's decides which
 * kind all have. */
static int append_label(row_reader *reader, PyObject *row_object, Py_ssize_t row)
{
    ft_columns *columns = &reader->columns;
    char name[64];
    PyOS_snprintf(name, sizeof name, "row %lld of column '%s'", (long long)row, reader->label_name);
    PyObject *item = row_item(row_object, reader->label_key, row);
    if (item == NULL)
        return -1;
    PyArrayObject *classes, *targets;
    npy_intp width;
    int failed = ft_python_label(item, name, &classes, &targets, &width);
    Py_DECREF(item);
    if (failed)
        return -1;

    failed = -1;
    ft_label_kind kind = classes != NULL ? FT_LABEL_CLASS : FT_LABEL_TARGET;
    if (row == 0) {
        columns->label_kind = kind;
        columns->label_width = width;
    }
    ft_status status = ft_columns_reserve(columns, 1, 0);
    if (status != FT_OK) {
        ft_python_raise(status);
    } else if (kind != columns->label_kind) {
        PyErr_Format(PyExc_TypeError, "%s holds %s, but row 0 holds %s", name,
                     kind == FT_LABEL_CLASS ? "an integer" : "floats",
                     kind == FT_LABEL_CLASS ? "floats" : "an integer");
    } else if (kind == FT_LABEL_CLASS) {
        columns->class_labels[row] = *(const int64_t *)PyArray_DATA(classes);
        failed = 0;
    } else if (width != columns->label_width) {
        PyErr_Format(PyExc_ValueError, "%s holds %zd numbers, but row 0 holds %zd", name,
                     (Py_ssize_t)width, (Py_ssize_t)columns->label_width);
    } else {
        memcpy(columns->target_labels + row * width, PyArray_DATA(targets),
               (size_t)width * sizeof(float));
        failed = 0;
    }
    Py_XDECREF((PyObject *)classes);
    Py_XDECREF((PyObject *)targets);
    return failed;
}

static int read_row(row_reader *reader, PyObject *rows, Py_ssize_t row, PyObject *wanted)
{
    PyObject *row_object = PySequence_GetItem(rows, row);
    if (row_object == NULL)
        return -1;
    int failed = -1;
    if (row == 0 && choose_columns(reader, row_object, wanted) < 0)
        goto done;
    /* The label first: its kind must be known before there is room for a row. */
    if (reader->label_key != NULL && append_label(reader, row_object, row) < 0)
        goto done;
    Py_ssize_t length = append_tokens(reader, row_object, row);
    if (length < 0)
        goto done;
    reader->columns.offsets[row + 1] = reader->columns.offsets[row] + length;
    reader->columns.rows++;
    failed = 0;
done:
    Py_DECREF(row_object);
    return failed;
}

PyDoc_STRVAR(
    from_rows_doc,
    "from_rows(rows, names=None)\n"
    "--\n\n"
    "Read the columns of a sequence of dicts.\n\n"
    "The first row says which columns there are; they are those of from_arrow, with lists, "
    "tuples,\n"
    "NumPy arrays or torch tensors as values. Others, and those not among names where that is "
    "given,\n"
    "are ignored.\n\n"
    "Raises KeyError for a row without a column of the first, and otherwise as from_arrow does.");

static PyObject *columns_from_rows(PyObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"rows", "names", NULL};
    PyObject *rows, *wanted = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:from_rows", names, &rows, &wanted))
        return NULL;
    Py_ssize_t count = PySequence_Size(rows);
    if (count < 0)
        return NULL;
    row_reader reader = {0};
    PyObject *result = NULL;
    Py_ssize_t row = 0;
    while (row < count && read_row(&reader, rows, row, wanted) == 0)
        row++;
    if (row == count) {
        ft_status status;
        Py_BEGIN_ALLOW_THREADS
        status = ft_columns_finish(&reader.columns);
        Py_END_ALLOW_THREADS
        if (status != FT_OK) {
            ft_python_raise(status);
        } else {
            result = columns_new(ft_python_state((PyTypeObject *)type), &reader.columns);
            reader.columns = (ft_columns){0};
        }
    }
    ft_columns_release(&reader.columns);
    ft_integer_buffer_release(&reader.integers);
    for (int c = 0; c < FT_TOKEN_COLUMNS; c++)
        Py_XDECREF(reader.token_keys[c]);
    Py_XDECREF(reader.label_key);
    return result;
}

static Py_ssize_t columns_length(PyObject *self)
{
    return (Py_ssize_t)((columns_object *)self)->columns.rows;
}

static PyObject *columns_lengths(PyObject *self, PyObject *Py_UNUSED(unused))
{
    const ft_columns *columns = &((columns_object *)self)->columns;
    npy_intp rows = columns->rows;
    PyObject *array = PyArray_SimpleNew(1, &rows, NPY_INT32);
    if (array == NULL)
        return NULL;
    int32_t *lengths = PyArray_DATA((PyArrayObject *)array);
    for (npy_intp row = 0; row < rows; row++)
        lengths[row] = (int32_t)(columns->offsets[row + 1] - columns->offsets[row]);
    return array;
}

static PyObject *columns_pack(PyObject *self, PyObject *indices_object)
{
    PyArrayObject *indices = index_array(indices_object);
    if (indices == NULL)
        return NULL;
    ft_batch batch;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_pack_rows(&((columns_object *)self)->columns, PyArray_DATA(indices),
                          PyArray_SIZE(indices), &batch);
    Py_END_ALLOW_THREADS
    Py_DECREF((PyObject *)indices);
    if (status != FT_OK) {
        ft_python_raise(status);
        return NULL;
    }
    return ft_python_batch_new(ft_python_state(Py_TYPE(self)), &batch);
}

static PyMethodDef columns_methods[] = {
    {"from_arrow", (PyCFunction)(void (*)(void))columns_from_arrow,
     METH_VARARGS | METH_KEYWORDS | METH_CLASS, from_arrow_doc},
    {"from_rows", (PyCFunction)(void (*)(void))columns_from_rows,
     METH_VARARGS | METH_KEYWORDS | METH_CLASS, from_rows_doc},
    {"lengths", columns_lengths, METH_NOARGS,
     "lengths()\n--\n\nThe kept tokens of each row, int32 [rows]."},
    {"pack", columns_pack, METH_O,
     "pack(indices)\n--\n\n"
     "The rows that indices, int64 [sequences], name, as a Batch.\n\n"
     "Raises IndexError for a row out of range and ValueError where there is none."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot columns_slots[] = {
    {Py_tp_doc,
     "The rows of a data set as flat arrays, from which batches are packed. Masked tokens "
     "are dropped as pack_padded drops them."},
    {Py_tp_dealloc, columns_dealloc},
    {Py_tp_methods, columns_methods},
    {Py_sq_length, columns_length},
    {0, NULL},
};

static PyType_Spec columns_spec = {
    .name = "ftcore._core.Columns",
    .basicsize = sizeof(columns_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = columns_slots,
};

int ft_python_add_columns(PyObject *module)
{
    ft_module_state *state = PyModule_GetState(module);
    state->columns_type = ft_python_add_type(module, &columns_spec);
    return state->columns_type == NULL ? -1 : 0;
}
