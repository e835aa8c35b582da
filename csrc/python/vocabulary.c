/* _core.Vocabulary */
#include "python/vocabulary.h"

#include <string.h>

#include "python/text.h"
#include "tokenizer/vocabulary_json.h"
#include "tokenizer/vocabulary_lines.h"

int ft_python_id(PyObject *object, const char *what, int32_t *out)
{
    if (!PyLong_Check(object)) {
        PyErr_Format(PyExc_TypeError, "the id of %s must be an int, got %R", what, object);
        return -1;
    }
    long id = PyLong_AsLong(object);
    if (id == -1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            return -1;
        PyErr_Clear();
    }
    if (id < 0 || id > INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "the id of %s must be from 0 to 2147483647, got %R", what,
                     object);
        return -1;
    }
    *out = (int32_t)id;
    return 0;
}

static ft_vocabulary *vocabulary_of(PyObject *object)
{
    return &((ft_vocabulary_object *)object)->vocabulary;
}

static PyObject *str_of(const ft_vocabulary *vocabulary, const ft_token *token)
{
    return PyUnicode_FromStringAndSize((const char *)vocabulary->bytes + token->start,
                                       (Py_ssize_t)token->length);
}

static PyObject *vocabulary_empty(PyTypeObject *type)
{
    ft_vocabulary_object *self = PyObject_New(ft_vocabulary_object, type);
    if (self != NULL) {
        self->vocabulary = (ft_vocabulary){0};
        self->text = NULL;
    }
    return (PyObject *)self;
}

static int add_items(ft_vocabulary *vocabulary, PyObject *items)
{
    PyObject *key, *value;
    Py_ssize_t at = 0, count = PyDict_Size(items);
    ft_status status = ft_vocabulary_reserve(vocabulary, (size_t)count, 0);
    for (Py_ssize_t i = 0; status == FT_OK && i < count && PyDict_Next(items, &at, &key, &value);
         i++) {
        ft_text text;
        int32_t id;
        if (ft_python_text(key, "vocabulary entry", i, &text) < 0 ||
            ft_python_id(value, "a vocabulary entry", &id) < 0)
            return -1;
        status = ft_vocabulary_reserve(vocabulary, 0, text.length);
        if (status == FT_OK) {
            size_t start = vocabulary->byte_count;
            if (text.length > 0)
                memcpy(vocabulary->own_bytes + start, text.bytes, text.length);
            vocabulary->byte_count += text.length;
            ft_vocabulary_append(vocabulary, start, text.length, id);
        }
    }
    if (status == FT_OK)
        status = ft_vocabulary_finish(vocabulary);
    if (status != FT_OK)
        ft_python_raise(status);
    return status == FT_OK ? 0 : -1;
}

static PyObject *vocabulary_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"ids", NULL};
    PyObject *items, *copy, *self;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!:Vocabulary", names, &PyDict_Type, &items))
        return NULL;
    copy = PyDict_Copy(items); /* another thread may change the mapping */
    if (copy == NULL)
        return NULL;
    self = vocabulary_empty(type);
    if (self != NULL && add_items(vocabulary_of(self), copy) < 0)
        Py_CLEAR(self);
    Py_DECREF(copy);
    return self;
}

static void vocabulary_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    ft_vocabulary_clear(vocabulary_of(object));
    Py_XDECREF(((ft_vocabulary_object *)object)->text);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* `owner` keeps the text. */
static PyObject *from_lines(PyObject *type, PyObject *owner, const char *text, Py_ssize_t length,
                            bool trim)
{
    PyObject *self = vocabulary_empty((PyTypeObject *)type);
    if (self == NULL)
        return NULL;
    ((ft_vocabulary_object *)self)->text = Py_NewRef(owner);
    ft_status status;
    Py_BEGIN_ALLOW_THREADS;
    status =
        ft_vocabulary_read_lines(vocabulary_of(self), (const uint8_t *)text, (size_t)length, trim);
    Py_END_ALLOW_THREADS;
    if (status != FT_OK) {
        ft_python_raise(status);
        Py_CLEAR(self);
    }
    return self;
}

static PyObject *vocabulary_from_vocab_txt(PyObject *type, PyObject *data)
{
    char *text;
    Py_ssize_t length;
    if (!PyBytes_CheckExact(data))
        return PyErr_Format(PyExc_TypeError, "a vocab.txt must be bytes, not %R", Py_TYPE(data));
    if (PyBytes_AsStringAndSize(data, &text, &length) < 0)
        return NULL;
    return from_lines(type, data, text, length, true);
}

static PyObject *vocabulary_from_lines(PyObject *type, PyObject *lines)
{
    ft_text text;
    if (ft_python_text(lines, "the text", -1, &text) < 0)
        return NULL;
    PyObject *exact = PyUnicode_FromObject(lines); /* an object that refers to nothing */
    if (exact == NULL || ft_python_text(exact, "the text", -1, &text) < 0) {
        Py_XDECREF(exact);
        return NULL;
    }
    PyObject *self =
        from_lines(type, exact, (const char *)text.bytes, (Py_ssize_t)text.length, false);
    Py_DECREF(exact);
    return self;
}

static PyObject *vocabulary_from_tokenizer_json(PyObject *type, PyObject *data)
{
    char *text;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(data, &text, &length) < 0)
        return NULL;
    PyObject *self = vocabulary_empty((PyTypeObject *)type);
    if (self == NULL)
        return NULL;
    ft_json_span span;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS;
    status =
        ft_vocabulary_read_json(vocabulary_of(self), (const uint8_t *)text, (size_t)length, &span);
    Py_END_ALLOW_THREADS;
    if (status != FT_OK) {
        ft_python_raise(status);
        Py_DECREF(self);
        return NULL;
    }
    if (span.stop == 0) {
        Py_DECREF(self);
        Py_RETURN_NONE;
    }
    return Py_BuildValue("Nnn", self, (Py_ssize_t)span.start, (Py_ssize_t)span.stop);
}

static Py_ssize_t vocabulary_length(PyObject *object)
{
    return (Py_ssize_t)vocabulary_of(object)->count;
}

/* The id of a token, -1 where there is none; -2 with an exception. */
static int64_t find(PyObject *object, PyObject *token)
{
    const ft_vocabulary *vocabulary = vocabulary_of(object);
    if (!PyUnicode_Check(token))
        return -1;
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(token, &length);
    if (text == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return -2;
        PyErr_Clear(); /* half a surrogate pair is in no token */
        return -1;
    }
    const uint8_t *bytes = (const uint8_t *)text;
    uint64_t hash = ft_hash_bytes(FT_HASH_START, bytes, (size_t)length);
    return ft_vocabulary_find(vocabulary, hash, bytes, (size_t)length, bytes, 0);
}

static int vocabulary_contains(PyObject *object, PyObject *token)
{
    int64_t id = find(object, token);
    return id == -2 ? -1 : id >= 0;
}

static PyObject *vocabulary_get(PyObject *object, PyObject *token)
{
    int64_t id = find(object, token);
    if (id == -2)
        return NULL;
    if (id < 0)
        Py_RETURN_NONE;
    return PyLong_FromLongLong(id);
}

static PyObject *vocabulary_item(PyObject *object, PyObject *token)
{
    int64_t id = find(object, token);
    if (id >= 0)
        return PyLong_FromLongLong(id);
    if (id == -1)
        PyErr_SetObject(PyExc_KeyError, token);
    return NULL;
}

static PyObject *vocabulary_token(PyObject *object, PyObject *number)
{
    const ft_vocabulary *vocabulary = vocabulary_of(object);
    int overflow;
    long long id = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (id == -1 && PyErr_Occurred())
        return NULL;
    const ft_token *token = overflow ? NULL : ft_vocabulary_token(vocabulary, id);
    if (token == NULL)
        Py_RETURN_NONE;
    return str_of(vocabulary, token);
}

static PyObject *vocabulary_to_dict(PyObject *object, PyObject *unused)
{
    (void)unused;
    const ft_vocabulary *vocabulary = vocabulary_of(object);
    PyObject *result = PyDict_New();
    for (size_t i = 0; result != NULL && i < vocabulary->count; i++) {
        PyObject *token = str_of(vocabulary, &vocabulary->tokens[i]);
        PyObject *id = PyLong_FromLong(vocabulary->tokens[i].id);
        if (token == NULL || id == NULL || PyDict_SetItem(result, token, id) < 0)
            Py_CLEAR(result);
        Py_XDECREF(token);
        Py_XDECREF(id);
    }
    return result;
}

static PyObject *vocabulary_to_lines(PyObject *object, PyObject *unused)
{
    (void)unused;
    const ft_vocabulary *vocabulary = vocabulary_of(object);
    if (!ft_vocabulary_is_dense(vocabulary))
        Py_RETURN_NONE;
    size_t total = vocabulary->count;
    for (size_t i = 0; i < vocabulary->count; i++)
        total += vocabulary->tokens[i].length;
    char *lines = PyMem_Malloc(total + 1), *end = lines;
    if (lines == NULL)
        return PyErr_NoMemory();
    PyObject *result = NULL;
    for (size_t i = 0; i < vocabulary->count; i++) {
        const ft_token *token = ft_vocabulary_in_order(vocabulary, i);
        memcpy(end, vocabulary->bytes + token->start, token->length);
        if (memchr(end, '\n', token->length) != NULL) {
            result = Py_NewRef(Py_None);
            break;
        }
        end += token->length;
        *end++ = '\n';
    }
    if (result == NULL)
        result = PyUnicode_FromStringAndSize(lines, end - lines);
    PyMem_Free(lines);
    return result;
}

static PyMethodDef vocabulary_methods[] = {
    {"from_vocab_txt", vocabulary_from_vocab_txt, METH_O | METH_CLASS,
     "from_vocab_txt(data) -> Vocabulary\n\n"
     "One token a line, white space at the ends of lines left out."},
    {"from_lines", vocabulary_from_lines, METH_O | METH_CLASS,
     "from_lines(text) -> Vocabulary\n\nWhat to_lines gave."},
    {"from_tokenizer_json", vocabulary_from_tokenizer_json, METH_O | METH_CLASS,
     "from_tokenizer_json(data) -> (Vocabulary, start, stop) | None\n\n"
     "The object at model.vocab, which is data[start:stop]; the rest is not checked."},
    {"get", vocabulary_get, METH_O, "get(token) -> int | None"},
    {"token", vocabulary_token, METH_O, "token(id) -> str | None"},
    {"to_dict", vocabulary_to_dict, METH_NOARGS, "to_dict() -> dict\n\nThe id of each token."},
    {"to_lines", vocabulary_to_lines, METH_NOARGS,
     "to_lines() -> str | None\n\n"
     "The tokens in order of their ids, each on a line; None where that does not say it all."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot vocabulary_slots[] = {
    {Py_tp_doc, "Tokens and their ids, made of a dict and never changed."},
    {Py_tp_new, vocabulary_new},
    {Py_tp_dealloc, vocabulary_dealloc},
    {Py_tp_methods, vocabulary_methods},
    {Py_mp_length, vocabulary_length},
    {Py_mp_subscript, vocabulary_item},
    {Py_sq_contains, vocabulary_contains},
    {0, NULL},
};

static PyType_Spec vocabulary_spec = {
    .name = "ftcore._core.Vocabulary",
    .basicsize = sizeof(ft_vocabulary_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = vocabulary_slots,
};

int ft_python_add_vocabulary(PyObject *module)
{
    ft_module_state *state = PyModule_GetState(module);
    state->vocabulary_type = ft_python_add_type(module, &vocabulary_spec);
    return state->vocabulary_type == NULL ? -1 : 0;
}
