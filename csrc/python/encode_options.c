/* _core.EncodeOptions: how a tokenizer's call encodes texts and what it returns, understood once
 * and used for many calls. */
#include "python/tokenizer.h"

static int columns_of(PyObject *columns, ft_encode_options_object *self)
{
    Py_ssize_t count = PyTuple_Size(columns);
    if (count > FT_COLUMNS) {
        PyErr_Format(PyExc_ValueError, "there are %d columns, got %zd", FT_COLUMNS, count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyTuple_GetItem(columns, i), *name;
        int column;
        if (!PyTuple_Check(pair)) {
            PyErr_SetString(PyExc_TypeError, "a column is a tuple (name, number)");
            return -1;
        }
        if (!PyArg_ParseTuple(pair, "Ui:column", &name, &column))
            return -1;
        if (column < 0 || column >= FT_COLUMNS) {
            PyErr_Format(PyExc_ValueError, "there is no column %d", column);
            return -1;
        }
        self->columns[i] = (ft_column)column;
        self->names[i] = Py_NewRef(name);
        self->column_count = (int)i + 1;
    }
    return 0;
}

static int check(const ft_encode_options_object *self)
{
    const ft_truncation *truncation = &self->encode.truncation;
    if (truncation->strategy > FT_TRUNCATE_ONLY_SECOND || self->padding > FT_PAD_TO_LENGTH) {
        PyErr_SetString(PyExc_ValueError, "truncation is 0 to 3, and padding 0 to 2");
        return -1;
    }
    if (truncation->max_length < 0 || truncation->stride < 0 || self->pad_length < 0 ||
        self->pad_multiple < 1 || self->pad.id < 0) {
        PyErr_SetString(PyExc_ValueError,
                        "max_length, stride, pad_length and pad_id must not be negative, and "
                        "pad_multiple at least 1");
        return -1;
    }
    return 0;
}

static PyObject *options_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"columns",     "add_special_tokens",
                            "truncation",  "max_length",
                            "stride",      "truncate_left",
                            "overflow",    "split_special_tokens",
                            "split_words", "padding",
                            "pad_length",  "pad_multiple",
                            "pad_left",    "pad_id",
                            "pad_type",    "arrays",
                            "trace",       "threads",
                            NULL};
    PyObject *columns;
    int special = 1, strategy = 0, truncate_left = 0, overflow = 0, split_special = 0;
    int padding = 0, pad_left = 0, trace = 0;
    long long max_length = 0, stride = 0, pad_length = 0, pad_multiple = 1;
    ft_encode_options_object *self = PyObject_New(ft_encode_options_object, type);
    if (self == NULL)
        return NULL;
    self->column_count = 0;
    self->pad = (ft_padding){0};
    self->encode = (ft_encode_options){0};
    self->split_words = self->arrays = 0;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O!|$piLLppppiLLpiippi:EncodeOptions", names, &PyTuple_Type, &columns,
            &special, &strategy, &max_length, &stride, &truncate_left, &overflow, &split_special,
            &self->split_words, &padding, &pad_length, &pad_multiple, &pad_left, &self->pad.id,
            &self->pad.type, &self->arrays, &trace, &self->encode.threads)) {
        Py_DECREF(self);
        return NULL;
    }
    self->padding = (ft_padding_kind)padding;
    self->pad_length = pad_length;
    self->pad_multiple = pad_multiple;
    self->pad.left = pad_left;
    self->encode.special_tokens = special;
    self->encode.pass_special = split_special;
    self->encode.overflow = overflow;
    self->encode.trace = trace;
    self->encode.truncation =
        (ft_truncation){(ft_truncation_strategy)strategy, max_length, stride, truncate_left};
    if (check(self) < 0 || columns_of(columns, self) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void options_dealloc(PyObject *object)
{
    ft_encode_options_object *self = (ft_encode_options_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    for (int i = 0; i < self->column_count; i++)
        Py_DECREF(self->names[i]);
    PyObject_Free(self);
    Py_DECREF(type);
}

int64_t ft_python_padded_length(const ft_encode_options_object *options, int64_t longest)
{
    int64_t length = options->pad_length;
    if (options->padding == FT_PAD_NOT)
        return 0;
    if (options->padding == FT_PAD_TO_LONGEST)
        length = longest;
    int64_t multiple = options->pad_multiple, over = length % multiple;
    if (over > 0 && length - over > INT64_MAX - multiple)
        return INT64_MAX; /* there is no memory for that either */
    return over > 0 ? length - over + multiple : length;
}

static PyType_Slot options_slots[] = {
    {Py_tp_doc, "How texts are encoded and what of them is returned; see ftcore.tokenization."},
    {Py_tp_new, options_new},
    {Py_tp_dealloc, options_dealloc},
    {0, NULL},
};

static PyType_Spec options_spec = {
    .name = "ftcore._core.EncodeOptions",
    .basicsize = sizeof(ft_encode_options_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = options_slots,
};

int ft_python_add_encode_options(PyObject *module)
{
    ft_module_state *state = PyModule_GetState(module);
    state->encode_options_type = ft_python_add_type(module, &options_spec);
    return state->encode_options_type == NULL ? -1 : 0;
}
