/* _core.Encoding: the rows that a _core.Tokenizer encoded, as flat arrays, lists or padded arrays.
 */
#include "python/tokenizer.h"

#include "tokenizer/rows.h"

ft_encoding_object *ft_python_encoding(ft_tokenizer_object *owner)
{
    PyTypeObject *type = ft_python_state(Py_TYPE((PyObject *)owner))->encoding_type;
    ft_encoding_object *self = PyObject_New(ft_encoding_object, type);
    if (self == NULL)
        return NULL;
    Py_INCREF((PyObject *)owner);
    self->owner = owner;
    self->encoding = (ft_encoding){0};
    return self;
}

static void encoding_dealloc(PyObject *object)
{
    ft_encoding_object *self = (ft_encoding_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF((PyObject *)self->owner);
    ft_encoding_clear(&self->encoding);
    PyObject_Free(self);
    Py_DECREF(type);
}

static Py_ssize_t encoding_length(PyObject *object)
{
    return (Py_ssize_t)((ft_encoding_object *)object)->encoding.rows;
}

static PyObject *encoding_ids(PyObject *object, void *unused)
{
    (void)unused;
    ft_encoding *encoding = &((ft_encoding_object *)object)->encoding;
    npy_intp shape[1] = {(npy_intp)encoding->offsets[encoding->rows]};
    return ft_python_view(object, 1, shape, NPY_INT32, encoding->ids, 0);
}

static PyObject *encoding_offsets(PyObject *object, void *unused)
{
    (void)unused;
    ft_encoding *encoding = &((ft_encoding_object *)object)->encoding;
    npy_intp shape[1] = {(npy_intp)encoding->rows + 1};
    return ft_python_view(object, 1, shape, NPY_INT64, encoding->offsets, 0);
}

static PyObject *encoding_longest(PyObject *object, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(ft_encoding_longest(&((ft_encoding_object *)object)->encoding));
}

static PyObject *encoding_shortest(PyObject *object, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(ft_encoding_shortest(&((ft_encoding_object *)object)->encoding));
}

/* The tokenizer's Python ints, NULL where there is no room for them. Where no lock hinders, another
 * thread may make them at the same time: what is there first counts. */
static PyObject **numbers_of(ft_tokenizer_object *owner)
{
    PyObject **numbers = __atomic_load_n(&owner->numbers, __ATOMIC_ACQUIRE);
    if (numbers != NULL)
        return numbers;
    PyObject **made = PyMem_Calloc((size_t)owner->number_count + 1, sizeof *made);
    if (made == NULL || __atomic_compare_exchange_n(&owner->numbers, &numbers, made, false,
                                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return made;
    PyMem_Free(made);
    return numbers;
}

/* A new reference to the Python int of an id. */
static PyObject *number(ft_tokenizer_object *owner, int64_t id)
{
    PyObject **numbers = id >= 0 && id < owner->number_count ? numbers_of(owner) : NULL;
    if (numbers == NULL)
        return PyLong_FromLongLong(id);
    PyObject *result = __atomic_load_n(&numbers[id], __ATOMIC_ACQUIRE);
    if (result == NULL) {
        PyObject *made = PyLong_FromLongLong(id);
        if (made == NULL)
            return NULL;
        if (__atomic_compare_exchange_n(&numbers[id], &result, made, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            result = made;
        else
            Py_DECREF(made);
    }
    Py_INCREF(result);
    return result;
}

static PyObject *ids_list(const ft_encoding_object *self, int64_t row, const ft_padding *padding)
{
    const ft_encoding *encoding = &self->encoding;
    int64_t length = ft_encoding_length(encoding, row);
    int64_t missing = padding->length > length ? padding->length - length : 0;
    int64_t before = padding->left ? missing : 0;
    const int32_t *ids = encoding->ids + encoding->offsets[row];
    PyObject *list = PyList_New((Py_ssize_t)(length + missing));
    if (list == NULL)
        return NULL;
    for (int64_t i = 0; i < length + missing; i++) {
        int64_t id = i >= before && i < before + length ? ids[i - before] : padding->id;
        PyObject *item = number(self->owner, id);
        if (item == NULL || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

/* [value] * count */
static PyObject *repeated(int64_t value, int64_t count)
{
    PyObject *run = NULL, *one = PyList_New(1), *number = PyLong_FromLongLong(value);
    if (one != NULL && number != NULL) {
        PyList_SetItem(one, 0, number);
        run = PySequence_Repeat(one, (Py_ssize_t)count);
    } else {
        Py_XDECREF(number);
    }
    Py_XDECREF(one);
    return run;
}

static PyObject *runs_list(const ft_run *runs, int count)
{
    PyObject *list = count > 0 ? repeated(runs[0].value, runs[0].count) : PyList_New(0);
    for (int i = 1; list != NULL && i < count; i++) {
        PyObject *run = repeated(runs[i].value, runs[i].count);
        PyObject *joined = run != NULL ? PySequence_InPlaceConcat(list, run) : NULL;
        Py_DECREF(list);
        Py_XDECREF(run);
        list = joined;
    }
    return list;
}

static PyObject *column_lists(const ft_encoding_object *self, ft_column column,
                              const ft_padding *padding)
{
    const ft_encoding *encoding = &self->encoding;
    PyObject *rows = PyList_New((Py_ssize_t)encoding->rows);
    for (int64_t row = 0; rows != NULL && row < encoding->rows; row++) {
        PyObject *list;
        if (column == FT_COLUMN_IDS) {
            list = ids_list(self, row, padding);
        } else {
            ft_run runs[FT_RUNS];
            list = runs_list(runs, ft_encoding_runs(encoding, row, column, padding, runs));
        }
        if (list == NULL || PyList_SetItem(rows, (Py_ssize_t)row, list) < 0)
            Py_CLEAR(rows);
    }
    return rows;
}

static PyObject *column_array(const ft_encoding_object *self, ft_column column,
                              const ft_padding *padding)
{
    const ft_encoding *encoding = &self->encoding;
    int64_t longest = ft_encoding_longest(encoding);
    int64_t width = padding->length > longest ? padding->length : longest;
    if (encoding->rows > 0 && width > padding->length && ft_encoding_shortest(encoding) < width) {
        PyErr_Format(PyExc_ValueError, "rows of %lld to %lld tokens do not make an array",
                     (long long)ft_encoding_shortest(encoding), (long long)width);
        return NULL;
    }
    npy_intp shape[2] = {(npy_intp)encoding->rows, (npy_intp)width};
    PyObject *array = PyArray_SimpleNew(2, shape, NPY_INT64);
    if (array != NULL)
        ft_encoding_fill(encoding, column, padding, width,
                         (int64_t *)PyArray_DATA((PyArrayObject *)array));
    return array;
}

static PyObject *columns_of(PyObject *object, PyObject *args, PyObject *kwargs,
                            PyObject *(*make)(const ft_encoding_object *, ft_column,
                                              const ft_padding *))
{
    static char *names[] = {"columns", "length", "left", "pad_id", "pad_type", NULL};
    const ft_encoding_object *self = (ft_encoding_object *)object;
    PyObject *columns;
    long long length = 0;
    int left = 0, pad_id = 0, pad_type = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!|Lpii", names, &PyTuple_Type, &columns,
                                     &length, &left, &pad_id, &pad_type))
        return NULL;
    if (length < 0 || pad_id < 0) {
        PyErr_SetString(PyExc_ValueError, "length and pad_id must not be negative");
        return NULL;
    }
    ft_padding padding = {length, left, pad_id, pad_type};
    Py_ssize_t count = PyTuple_Size(columns);
    PyObject *result = PyTuple_New(count);
    for (Py_ssize_t i = 0; result != NULL && i < count; i++) {
        long column = PyLong_AsLong(PyTuple_GetItem(columns, i));
        PyObject *made = NULL;
        if (column >= 0 && column < FT_COLUMNS)
            made = make(self, (ft_column)column, &padding);
        else if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "there is no column %ld", column);
        if (made == NULL || PyTuple_SetItem(result, i, made) < 0)
            Py_CLEAR(result);
    }
    return result;
}

static PyObject *encoding_lists(PyObject *object, PyObject *args, PyObject *kwargs)
{
    return columns_of(object, args, kwargs, column_lists);
}

static PyObject *encoding_arrays(PyObject *object, PyObject *args, PyObject *kwargs)
{
    return columns_of(object, args, kwargs, column_array);
}

static PyMethodDef encoding_methods[] = {
    {"lists", FT_METHOD(encoding_lists), METH_VARARGS | METH_KEYWORDS,
     "lists(columns, length=0, left=False, pad_id=0, pad_type=0) -> tuple of lists of lists\n\n"
     "columns: a tuple of 0 (ids), 1 (types), 2 (attention mask), 3 (special tokens mask).\n"
     "Rows shorter than length are padded to it."},
    {"arrays", FT_METHOD(encoding_arrays), METH_VARARGS | METH_KEYWORDS,
     "arrays(columns, length=0, left=False, pad_id=0, pad_type=0) -> tuple of int64 arrays\n\n"
     "Each is [rows, width]; ValueError where the padded rows differ in length."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef encoding_attributes[] = {
    {"ids", encoding_ids, NULL, "int32 [tokens]: the rows' ids, end to end", NULL},
    {"offsets", encoding_offsets, NULL, "int64 [rows + 1]: row r is ids[offsets[r]:offsets[r + 1]]",
     NULL},
    {"longest", encoding_longest, NULL, "tokens of the longest row", NULL},
    {"shortest", encoding_shortest, NULL, "tokens of the shortest row", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot encoding_slots[] = {
    {Py_tp_doc, "Encoded rows, held as flat arrays."},
    {Py_tp_dealloc, encoding_dealloc},
    {Py_tp_methods, encoding_methods},
    {Py_tp_getset, encoding_attributes},
    {Py_sq_length, encoding_length},
    {0, NULL},
};

static PyType_Spec encoding_spec = {
    .name = "ftcore._core.Encoding",
    .basicsize = sizeof(ft_encoding_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = encoding_slots,
};

int ft_python_add_encoding(PyObject *module)
{
    ft_module_state *state = PyModule_GetState(module);
    state->encoding_type = ft_python_add_type(module, &encoding_spec);
    return state->encoding_type == NULL ? -1 : 0;
}
