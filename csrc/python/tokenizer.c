/* _core.Tokenizer */
#include "python/tokenizer.h"

#include "python/text.h"
#include "python/vocabulary.h"
#include "tokenizer/normalize.h"

enum {
    /* Token ids below this have their Python int made once. */
    MOST_NUMBERS = 1 << 20,
};

/* Each added token is (content, id, single_word, lstrip, rstrip, normalized). */
static int added_of(PyObject *tuple, ft_added_token **out, Py_ssize_t *count)
{
    *count = PyTuple_Size(tuple);
    *out = PyMem_Calloc((size_t)*count + 1, sizeof **out);
    if (*out == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < *count; i++) {
        PyObject *content, *id;
        int single_word, lstrip, rstrip, normalized;
        ft_text text;
        ft_added_token *token = &(*out)[i];
        if (!PyArg_ParseTuple(PyTuple_GetItem(tuple, i), "OOpppp:added token", &content, &id,
                              &single_word, &lstrip, &rstrip, &normalized) ||
            ft_python_text(content, "added token", i, &text) < 0 ||
            ft_python_id(id, "an added token", &token->id) < 0)
            return -1;
        *token = (ft_added_token){text.bytes, text.length, token->id, single_word,
                                  lstrip,     rstrip,      normalized};
    }
    return 0;
}

/* A template is a tuple of (id, type), with -1 and -2 for the ids of the texts. */
static int template_of(PyObject *tuple, int needs_second, ft_template *out)
{
    Py_ssize_t count = PyTuple_Size(tuple);
    int firsts = 0, seconds = 0;
    if (count > FT_TEMPLATE_PIECES) {
        PyErr_Format(PyExc_ValueError, "a template has at most %d pieces, got %zd",
                     FT_TEMPLATE_PIECES, count);
        return -1;
    }
    *out = (ft_template){.count = (int32_t)count};
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *piece = PyTuple_GetItem(tuple, i);
        if (!PyTuple_Check(piece)) {
            PyErr_SetString(PyExc_TypeError, "a template's piece is a tuple (id, type)");
            return -1;
        }
        if (!PyArg_ParseTuple(piece, "ii:template", &out->ids[i], &out->types[i]))
            return -1;
        firsts += out->ids[i] == FT_PIECE_FIRST;
        seconds += out->ids[i] == FT_PIECE_SECOND;
        out->specials += out->ids[i] >= 0;
        if (out->ids[i] < FT_PIECE_SECOND) {
            PyErr_SetString(PyExc_ValueError,
                            "a template's ids are not negative but for -1 and -2");
            return -1;
        }
    }
    if (firsts != 1 || seconds != needs_second) {
        PyErr_SetString(PyExc_ValueError, "a template holds each text once");
        return -1;
    }
    return 0;
}

/* How many ids there are, from 0 to the greatest; at most those whose Python ints are kept. */
static Py_ssize_t count_numbers(int32_t greatest, const ft_added_token *added, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        greatest = added[i].id > greatest ? added[i].id : greatest;
    return greatest < MOST_NUMBERS ? (Py_ssize_t)greatest + 1 : MOST_NUMBERS;
}

static PyObject *tokenizer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"vocab",        "unk_id",    "prefix",        "max_word_chars",
                            "clean_text",   "space_cjk", "strip_accents", "lowercase",
                            "added_tokens", "single",    "pair",          NULL};
    PyObject *vocabulary, *added_tokens, *single, *pair, *prefix;
    ft_tokenizer_options options = {0};
    Py_ssize_t longest_word;
    int unknown, clean_text, space_cjk, strip_accents, lowercase;
    PyTypeObject *vocabulary_type = ft_python_state(type)->vocabulary_type;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O!iUnppppO!O!O!:Tokenizer", names, vocabulary_type, &vocabulary,
            &unknown, &prefix, &longest_word, &clean_text, &space_cjk, &strip_accents, &lowercase,
            &PyTuple_Type, &added_tokens, &PyTuple_Type, &single, &PyTuple_Type, &pair))
        return NULL;
    if (unknown < 0 || longest_word < 0) {
        PyErr_SetString(PyExc_ValueError, "unk_id and max_word_chars must not be negative");
        return NULL;
    }
    ft_text prefix_text;
    if (ft_python_text(prefix, "prefix", 0, &prefix_text) < 0 ||
        template_of(single, 0, &options.single) < 0 || template_of(pair, 1, &options.pair) < 0)
        return NULL;
    options.normalizer = (ft_normalizer){clean_text, space_cjk, strip_accents, lowercase};
    options.prefix = prefix_text.bytes;
    options.prefix_length = prefix_text.length;
    options.longest_word = (size_t)longest_word;
    options.unknown = unknown;

    const ft_vocabulary *shared = &((ft_vocabulary_object *)vocabulary)->vocabulary;
    ft_added_token *added = NULL;
    Py_ssize_t added_count;
    ft_tokenizer_object *self = PyObject_New(ft_tokenizer_object, type);
    if (self == NULL)
        return NULL;
    self->tokenizer = NULL;
    self->vocabulary = Py_NewRef(vocabulary);
    self->numbers = NULL;
    self->number_count = 0;
    int failed = added_of(added_tokens, &added, &added_count) < 0;
    if (!failed) {
        self->number_count = count_numbers(shared->greatest, added, added_count);
        ft_status status =
            ft_tokenizer_create(&options, shared, added, (size_t)added_count, &self->tokenizer);
        failed = status != FT_OK;
        if (failed)
            ft_python_raise(status);
    }
    PyMem_Free(added);
    if (failed)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void tokenizer_dealloc(PyObject *object)
{
    ft_tokenizer_object *self = (ft_tokenizer_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    for (Py_ssize_t i = 0; self->numbers != NULL && i < self->number_count; i++)
        Py_XDECREF(self->numbers[i]);
    PyMem_Free(self->numbers);
    ft_tokenizer_destroy(self->tokenizer);
    Py_DECREF(self->vocabulary);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* What one call encodes: the tuples keep the texts alive while the lock is released. */
typedef struct inputs {
    PyObject *texts, *pairs; /* tuples; pairs may be NULL */
    PyObject *rows;          /* list of the tuples of rows that are pairs, or NULL */
    ft_text *first, *second; /* second may be NULL */
    Py_ssize_t count;
} inputs;

static void inputs_clear(inputs *in)
{
    Py_XDECREF(in->texts);
    Py_XDECREF(in->pairs);
    Py_XDECREF(in->rows);
    PyMem_Free(in->first);
    PyMem_Free(in->second);
}

/* A row given as (text, text). */
static int pair_of(inputs *in, PyObject *row, Py_ssize_t i)
{
    if (in->second == NULL) {
        in->second = PyMem_Calloc((size_t)in->count, sizeof *in->second);
        in->rows = PyList_New(0);
        if (in->second == NULL)
            PyErr_NoMemory();
        if (in->second == NULL || in->rows == NULL)
            return -1;
    }
    PyObject *both = PySequence_Tuple(row);
    if (both == NULL)
        return -1;
    int failed = PyList_Append(in->rows, both) < 0;
    Py_DECREF(both);
    if (failed)
        return -1;
    if (PyTuple_Size(both) != 2) {
        PyErr_Format(PyExc_TypeError,
                     "row %zd holds %zd values: a row is a text or a pair of texts", i,
                     PyTuple_Size(both));
        return -1;
    }
    if (ft_python_text(PyTuple_GetItem(both, 0), "the first text of row", i, &in->first[i]) < 0 ||
        ft_python_text(PyTuple_GetItem(both, 1), "the second text of row", i, &in->second[i]) < 0)
        return -1;
    return 0;
}

static int inputs_of(PyObject *texts, PyObject *pairs, inputs *in)
{
    in->texts = PySequence_Tuple(texts);
    if (in->texts == NULL)
        return -1;
    in->count = PyTuple_Size(in->texts);
    in->first = PyMem_Calloc((size_t)in->count + 1, sizeof *in->first);
    if (in->first == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (pairs != Py_None) {
        in->pairs = PySequence_Tuple(pairs);
        in->second = PyMem_Calloc((size_t)in->count + 1, sizeof *in->second);
        if (in->pairs == NULL)
            return -1;
        if (in->second == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        if (PyTuple_Size(in->pairs) != in->count) {
            PyErr_Format(PyExc_ValueError,
                         "batch length of `text`: %zd does not match batch length of `text_pair`: "
                         "%zd.",
                         in->count, PyTuple_Size(in->pairs));
            return -1;
        }
    }
    for (Py_ssize_t i = 0; i < in->count; i++) {
        PyObject *row = PyTuple_GetItem(in->texts, i);
        if (in->pairs == NULL && (PyTuple_Check(row) || PyList_Check(row))) {
            if (pair_of(in, row, i) < 0)
                return -1;
            continue;
        }
        if (ft_python_text(row, "text", i, &in->first[i]) < 0)
            return -1;
        if (in->pairs != NULL &&
            ft_python_text(PyTuple_GetItem(in->pairs, i), "text_pair", i, &in->second[i]) < 0)
            return -1;
    }
    return 0;
}

static PyObject *tokenizer_encode(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"texts",      "pairs",      "add_special_tokens",
                            "truncation", "max_length", "truncate_left",
                            "threads",    NULL};
    ft_tokenizer_object *self = (ft_tokenizer_object *)object;
    PyObject *texts, *pairs = Py_None;
    int special_tokens = 1, truncation = FT_TRUNCATE_NOT, left = 0, threads = 0;
    long long max_length = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OpiLpi:encode", names, &texts, &pairs,
                                     &special_tokens, &truncation, &max_length, &left, &threads))
        return NULL;
    if (max_length < 0 || truncation < FT_TRUNCATE_NOT || truncation > FT_TRUNCATE_ONLY_SECOND) {
        PyErr_SetString(PyExc_ValueError, "max_length must not be negative, truncation is 0 to 3");
        return NULL;
    }
    inputs in = {0};
    ft_encoding_object *result = NULL;
    if (inputs_of(texts, pairs, &in) < 0)
        goto done;
    result = ft_python_encoding(self);
    if (result == NULL)
        goto done;
    ft_encode_options options = {special_tokens, (ft_truncation)truncation, max_length, left,
                                 threads};
    ft_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = ft_tokenizer_encode(self->tokenizer, in.first, in.second, in.count, &options,
                                 &result->encoding);
    Py_END_ALLOW_THREADS;
    if (status != FT_OK) {
        ft_python_raise(status);
        Py_CLEAR(result);
    }
done:
    inputs_clear(&in);
    return (PyObject *)result;
}

static PyObject *tokenizer_normalize(PyObject *object, PyObject *text)
{
    ft_text in;
    ft_text_buffer buffer = {0};
    if (ft_python_text(text, "text", 0, &in) < 0)
        return NULL;
    ft_status status =
        ft_normalize(ft_tokenizer_normalizer(((ft_tokenizer_object *)object)->tokenizer), in.bytes,
                     in.length, &buffer);
    PyObject *result = NULL;
    if (status == FT_OK)
        result = PyUnicode_FromStringAndSize(buffer.length > 0 ? (const char *)buffer.bytes : "",
                                             (Py_ssize_t)buffer.length);
    else
        ft_python_raise(status);
    ft_text_buffer_clear(&buffer);
    return result;
}

static PyMethodDef tokenizer_methods[] = {
    {"encode", FT_METHOD(tokenizer_encode), METH_VARARGS | METH_KEYWORDS,
     "encode(texts, pairs=None, add_special_tokens=True, truncation=0, max_length=0,\n"
     "       truncate_left=False, threads=0) -> Encoding\n\n"
     "texts: a list or tuple of str, or of pairs of str where pairs is None."},
    {"normalize", tokenizer_normalize, METH_O, "normalize(text) -> str"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tokenizer_slots[] = {
    {Py_tp_doc, "A BERT tokenizer, made of explicit contents; see ftcore.tokenization."},
    {Py_tp_new, tokenizer_new},
    {Py_tp_dealloc, tokenizer_dealloc},
    {Py_tp_methods, tokenizer_methods},
    {0, NULL},
};

static PyType_Spec tokenizer_spec = {
    .name = "ftcore._core.Tokenizer",
    .basicsize = sizeof(ft_tokenizer_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = tokenizer_slots,
};

int ft_python_add_tokenizer(PyObject *module)
{
    ft_module_state *state = PyModule_GetState(module);
    state->tokenizer_type = ft_python_add_type(module, &tokenizer_spec);
    return state->tokenizer_type == NULL ? -1 : 0;
}
