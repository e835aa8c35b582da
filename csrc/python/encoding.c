/* _core.Encoding: the rows that a _core.Tokenizer encoded, as flat arrays, lists or padded arrays.
 */
#include "python/tokenizer.h"

#include <string.h>

PyObject *ft_python_encode(ft_tokenizer_object *owner, ft_encode_options_object *options,
                           PyObject *texts, PyObject *pairs, int is_batch, int trace)
{
    PyTypeObject *type = ft_python_state(Py_TYPE((PyObject *)owner))->encoding_type;
    ft_encoding encoding = {0};
    ft_encoding_object *self = NULL;
    ft_python_texts in;
    if (ft_python_texts_read(&in, texts, pairs, is_batch, options->split_words) < 0)
        goto done;
    ft_encode_options how = options->encode;
    how.trace = trace || how.trace;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS;
    status =
        ft_tokenizer_encode(owner->tokenizer, &in.sides[0], &in.sides[1], in.rows, &how, &encoding);
    Py_END_ALLOW_THREADS;
    if (status != FT_OK) {
        ft_python_raise(status);
        goto done;
    }
    self = PyObject_New(ft_encoding_object, type);
    if (self == NULL) {
        ft_encoding_clear(&encoding);
        goto done;
    }
    self->owner = (ft_tokenizer_object *)Py_NewRef((PyObject *)owner);
    self->options = (ft_encode_options_object *)Py_NewRef((PyObject *)options);
    self->texts[0] = in.kept[0];
    self->texts[1] = in.kept[1];
    in.kept[0] = in.kept[1] = NULL;
    /* Words of a single row were made a batch of one to be kept. */
    self->is_batch = is_batch || options->split_words;
    self->encoding = encoding;
    self->longest = ft_encoding_longest(&encoding, true);
    self->shortest = ft_encoding_shortest(&encoding);
    self->length = ft_python_padded_length(options, ft_encoding_longest(&encoding, false));
done:
    ft_python_texts_clear(&in);
    return (PyObject *)self;
}

static void encoding_dealloc(PyObject *object)
{
    ft_encoding_object *self = (ft_encoding_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_DECREF((PyObject *)self->owner);
    Py_DECREF((PyObject *)self->options);
    Py_DECREF(self->texts[0]);
    Py_XDECREF(self->texts[1]);
    ft_encoding_clear(&self->encoding);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* The same rows with where each token comes from. */
static PyObject *encoding_traced(PyObject *object, PyObject *Py_UNUSED(unused))
{
    ft_encoding_object *self = (ft_encoding_object *)object;
    if (self->encoding.tokens.origins != NULL)
        return Py_NewRef(object);
    return ft_python_encode(self->owner, self->options, self->texts[0],
                            self->texts[1] != NULL ? self->texts[1] : Py_None, self->is_batch, 1);
}

static Py_ssize_t encoding_length(PyObject *object)
{
    return (Py_ssize_t)((ft_encoding_object *)object)->encoding.count;
}

static PyObject *encoding_ids(PyObject *object, void *Py_UNUSED(unused))
{
    const ft_ids *ids = &((ft_encoding_object *)object)->encoding.tokens.ids;
    npy_intp shape[1] = {(npy_intp)ids->count};
    return ft_python_view(object, 1, shape, NPY_INT32, ids->data, 0);
}

/* An int64 array with a number for each row, and for `offsets` a 0 before them. */
static PyObject *row_numbers(const ft_encoding *encoding, int offsets)
{
    npy_intp count = (npy_intp)encoding->count + offsets;
    PyObject *array = PyArray_SimpleNew(1, &count, NPY_INT64);
    if (array == NULL)
        return NULL;
    int64_t *out = PyArray_DATA((PyArrayObject *)array);
    if (offsets)
        *out++ = 0;
    for (int64_t row = 0; row < encoding->count; row++)
        out[row] = offsets ? encoding->rows[row].end : encoding->rows[row].sample;
    return array;
}

static PyObject *encoding_offsets(PyObject *object, void *Py_UNUSED(unused))
{
    return row_numbers(&((ft_encoding_object *)object)->encoding, 1);
}

static PyObject *encoding_samples(PyObject *object, void *Py_UNUSED(unused))
{
    return row_numbers(&((ft_encoding_object *)object)->encoding, 0);
}

static PyObject *encoding_width(PyObject *object, void *Py_UNUSED(unused))
{
    const ft_encoding_object *self = (ft_encoding_object *)object;
    return PyLong_FromLongLong(self->length > self->longest ? self->length : self->longest);
}

/* Token types are small: those of a template beyond an int8 are refused. */
static PyObject *encoding_types(PyObject *object, void *Py_UNUSED(unused))
{
    static const ft_padding nothing = {0};
    const ft_encoding *encoding = &((ft_encoding_object *)object)->encoding;
    npy_intp count = (npy_intp)encoding->tokens.ids.count;
    PyObject *array = PyArray_SimpleNew(1, &count, NPY_INT8);
    int8_t *out = array != NULL ? PyArray_DATA((PyArrayObject *)array) : NULL;
    for (int64_t row = 0; array != NULL && row < encoding->count; row++) {
        ft_run runs[FT_RUNS];
        int n = ft_encoding_runs(encoding, row, FT_COLUMN_TYPES, &nothing, runs);
        for (int i = 0; i < n; i++) {
            if (runs[i].value < INT8_MIN || runs[i].value > INT8_MAX) {
                PyErr_Format(PyExc_ValueError, "the token type %lld does not fit in 8 bits",
                             (long long)runs[i].value);
                Py_DECREF(array);
                return NULL;
            }
            memset(out, (int)runs[i].value, (size_t)runs[i].count);
            out += runs[i].count;
        }
    }
    return array;
}

static PyObject *encoding_padded(PyObject *object, void *Py_UNUSED(unused))
{
    return PyLong_FromLongLong(((ft_encoding_object *)object)->length);
}

static PyObject *encoding_paired(PyObject *object, void *Py_UNUSED(unused))
{
    const ft_encoding *encoding = &((ft_encoding_object *)object)->encoding;
    PyObject *list = PyList_New((Py_ssize_t)encoding->count);
    for (int64_t row = 0; list != NULL && row < encoding->count; row++)
        PyList_SetItem(list, (Py_ssize_t)row, PyBool_FromLong(encoding->rows[row].lengths[1] >= 0));
    return list;
}

static PyObject *encoding_spaced(PyObject *object, void *Py_UNUSED(unused))
{
    const ft_trace *tokens = &((ft_encoding_object *)object)->encoding.tokens;
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < tokens->spaced_count; i++) {
        const ft_spaced *spaced = &tokens->spaced[i];
        PyObject *place = PyLong_FromLongLong(spaced->token);
        PyObject *text = PyUnicode_FromStringAndSize((const char *)tokens->bytes + spaced->start,
                                                     (Py_ssize_t)spaced->length);
        if (place == NULL || text == NULL || PyDict_SetItem(dict, place, text) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(place);
        Py_XDECREF(text);
    }
    return dict;
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

static PyObject *ids_list(const ft_encoding_object *self, int64_t row, int64_t before,
                          int64_t after)
{
    const ft_encoding *encoding = &self->encoding;
    int64_t length = ft_encoding_length(encoding, row);
    const int32_t *ids = encoding->tokens.ids.data + ft_encoding_begin(encoding, row);
    PyObject *list = PyList_New((Py_ssize_t)(before + length + after));
    for (int64_t i = 0; list != NULL && i < before + length + after; i++) {
        int64_t id = i >= before && i < before + length ? ids[i - before] : self->options->pad.id;
        PyObject *item = number(self->owner, id);
        if (item == NULL || PyList_SetItem(list, (Py_ssize_t)i, item) < 0)
            Py_CLEAR(list);
    }
    return list;
}

/* A number, or None for -1. */
static PyObject *number_or_none(int64_t value)
{
    return value < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(value);
}

/* The word, or the characters, of each token. */
static PyObject *origins_list(const ft_encoding_object *self, int64_t row, ft_column column,
                              int64_t before, int64_t after)
{
    const ft_encoding *encoding = &self->encoding;
    int64_t length = ft_encoding_length(encoding, row);
    const ft_origin *origins = encoding->tokens.origins + ft_encoding_begin(encoding, row);
    PyObject *list = PyList_New((Py_ssize_t)(before + length + after));
    for (int64_t i = 0; list != NULL && i < before + length + after; i++) {
        ft_origin origin = {0, 0, -1};
        if (i >= before && i < before + length)
            origin = origins[i - before];
        PyObject *item = column == FT_COLUMN_WORDS
                             ? number_or_none(origin.word)
                             : Py_BuildValue("(ii)", (int)origin.start, (int)origin.end);
        if (item == NULL || PyList_SetItem(list, (Py_ssize_t)i, item) < 0)
            Py_CLEAR(list);
    }
    return list;
}

/* [value] * count */
static PyObject *repeated(int64_t value, int64_t count)
{
    PyObject *run = NULL, *one = PyList_New(1), *number = number_or_none(value);
    if (one != NULL && number != NULL) {
        PyList_SetItem(one, 0, number);
        run = count == 1 ? Py_NewRef(one) : PySequence_Repeat(one, (Py_ssize_t)count);
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

static PyObject *row_list(const ft_encoding_object *self, int64_t row, ft_column column,
                          const ft_padding *padding)
{
    if (ft_column_has_runs(column)) {
        ft_run runs[FT_RUNS];
        return runs_list(runs, ft_encoding_runs(&self->encoding, row, column, padding, runs));
    }
    int64_t missing = self->length - ft_encoding_length(&self->encoding, row);
    int64_t before = padding->left && missing > 0 ? missing : 0;
    int64_t after = !padding->left && missing > 0 ? missing : 0;
    return column == FT_COLUMN_IDS ? ids_list(self, row, before, after)
                                   : origins_list(self, row, column, before, after);
}

static PyObject *column_lists(const ft_encoding_object *self, ft_column column,
                              const ft_padding *padding)
{
    PyObject *rows = PyList_New((Py_ssize_t)self->encoding.count);
    for (int64_t row = 0; rows != NULL && row < self->encoding.count; row++) {
        PyObject *list = row_list(self, row, column, padding);
        if (list == NULL || PyList_SetItem(rows, (Py_ssize_t)row, list) < 0)
            Py_CLEAR(rows);
    }
    return rows;
}

static PyObject *column_array(const ft_encoding_object *self, ft_column column,
                              const ft_padding *padding, int64_t width)
{
    npy_intp shape[3] = {(npy_intp)self->encoding.count, (npy_intp)width, 2};
    /* NumPy gives lists of no pairs two dimensions. */
    int dimensions = column == FT_COLUMN_OFFSETS && width > 0 ? 3 : 2;
    PyObject *array = PyArray_SimpleNew(dimensions, shape, NPY_INT64);
    if (array != NULL)
        ft_encoding_fill(&self->encoding, column, padding, width,
                         (int64_t *)PyArray_DATA((PyArrayObject *)array));
    return array;
}

static int check_column(const ft_encoding_object *self, ft_column column)
{
    int needs_trace = column == FT_COLUMN_WORDS || column == FT_COLUMN_OFFSETS;
    if (!needs_trace || self->encoding.tokens.origins != NULL ||
        self->encoding.tokens.ids.count == 0)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "words and offsets are columns of traced() alone");
    return -1;
}

static PyObject *encoding_columns(PyObject *object, PyObject *single)
{
    const ft_encoding_object *self = (ft_encoding_object *)object;
    const ft_encode_options_object *options = self->options;
    int is_single = PyObject_IsTrue(single);
    if (is_single < 0)
        return NULL;
    ft_padding padding = options->pad;
    padding.length = self->length;
    int64_t width = self->length > self->longest ? self->length : self->longest;
    int even = self->shortest == self->longest || self->length >= self->longest;
    PyObject *dict = PyDict_New();
    for (int i = 0; dict != NULL && i < options->column_count; i++) {
        ft_column column = options->columns[i];
        PyObject *made = NULL;
        if (check_column(self, column) < 0)
            made = NULL;
        else if (options->arrays && even)
            made = column_array(self, column, &padding, width);
        else if (is_single && self->encoding.count > 0)
            made = row_list(self, 0, column, &padding);
        else
            made = column_lists(self, column, &padding);
        if (made == NULL || PyDict_SetItem(dict, options->names[i], made) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(made);
    }
    return dict;
}

static PyObject *encoding_column(PyObject *object, PyObject *number)
{
    const ft_encoding_object *self = (ft_encoding_object *)object;
    long column = PyLong_AsLong(number);
    if (column == -1 && PyErr_Occurred())
        return NULL;
    if (column < 0 || column >= FT_COLUMNS)
        return PyErr_Format(PyExc_ValueError, "there is no column %ld", column);
    if (check_column(self, (ft_column)column) < 0)
        return NULL;
    ft_padding padding = self->options->pad;
    padding.length = self->length;
    return column_lists(self, (ft_column)column, &padding);
}

static PyMethodDef encoding_methods[] = {
    {"columns", encoding_columns, METH_O,
     "columns(single) -> dict\n\n"
     "The columns that the options name, padded as they say: lists of rows, or the first row "
     "where\n"
     "`single`; or int64 arrays [rows, width] where the options ask for them and rows are even."},
    {"column", encoding_column, METH_O,
     "column(number) -> list of rows\n\n"
     "0: ids, 1: types, 2: attention mask, 3: special tokens mask, 4: sequences; of what traced()\n"
     "returns also 5: words, 6: offsets. Padded."},
    {"traced", encoding_traced, METH_NOARGS,
     "traced() -> Encoding\n\nThe same rows with the word and the offsets of each token."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef encoding_attributes[] = {
    {"ids", encoding_ids, NULL, "int32 [tokens]: the rows' ids, end to end", NULL},
    {"types", encoding_types, NULL, "int8 [tokens]: the token types", NULL},
    {"offsets", encoding_offsets, NULL, "int64 [rows + 1]: row r is ids[offsets[r]:offsets[r + 1]]",
     NULL},
    {"samples", encoding_samples, NULL, "int64 [rows]: which texts a row is of", NULL},
    {"paired", encoding_paired, NULL, "for each row whether it has a second text", NULL},
    {"spaced", encoding_spaced, NULL,
     "of traced(): added tokens as they stand in the text, by their place in ids", NULL},
    {"padded", encoding_padded, NULL, "the length that shorter rows are padded to, or 0", NULL},
    {"width", encoding_width, NULL, "tokens of the longest row, padding included", NULL},
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
