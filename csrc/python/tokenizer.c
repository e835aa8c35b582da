/* _core.Tokenizer */
#include "python/tokenizer.h"

#include "python/text.h"
#include "python/vocabulary.h"
#include "tokenizer/normalize.h"

enum {
    /* Token ids below this have their Python int made once. */
    MOST_NUMBERS = 1 << 20,
};

/* Each added token is (content, id, single_word, lstrip, rstrip, normalized, special). */
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
        int single_word, lstrip, rstrip, normalized, special;
        ft_text text;
        ft_added_token *token = &(*out)[i];
        PyObject *item = PyTuple_GetItem(tuple, i);
        if (!PyTuple_Check(item)) {
            PyErr_SetString(PyExc_TypeError, "an added token is a tuple");
            return -1;
        }
        if (!PyArg_ParseTuple(item, "OOppppp:added token", &content, &id, &single_word, &lstrip,
                              &rstrip, &normalized, &special) ||
            ft_python_text(content, "added token", i, &text) < 0 ||
            ft_python_id(id, "an added token", &token->id) < 0)
            return -1;
        *token = (ft_added_token){text.bytes, text.length, token->id,  single_word,
                                  lstrip,     rstrip,      normalized, special};
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
    if (ft_python_text(prefix, "prefix", -1, &prefix_text) < 0 ||
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

static PyObject *tokenizer_encode(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    ft_module_state *state = ft_python_state(Py_TYPE(object));
    if (count != 4 || !Py_IS_TYPE(args[0], state->encode_options_type)) {
        PyErr_SetString(PyExc_TypeError,
                        "encode() takes an EncodeOptions, texts, pairs and is_batch");
        return NULL;
    }
    int is_batch = PyObject_IsTrue(args[3]);
    if (is_batch < 0)
        return NULL;
    return ft_python_encode((ft_tokenizer_object *)object, (ft_encode_options_object *)args[0],
                            args[1], args[2], is_batch, 0);
}

static PyObject *tokenizer_normalize(PyObject *object, PyObject *text)
{
    ft_text in;
    ft_text_buffer buffer = {0};
    if (ft_python_text(text, "text", -1, &in) < 0)
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
    {"encode", FT_METHOD(tokenizer_encode), METH_FASTCALL,
     "encode(options, texts, pairs, is_batch) -> Encoding\n\n"
     "texts: one text, or a list or tuple of them where is_batch; a text is a str, or a list of\n"
     "words where the options say so. pairs: the same for second texts, or None; then a row of a\n"
     "batch may be a pair of texts itself."},
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
