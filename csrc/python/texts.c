#include "python/texts.h"

enum { AHEAD = 8 }; /* items of a batch that are asked for early */

static int is_sequence(PyObject *object)
{
    return PyTuple_Check(object) || PyList_Check(object);
}

void ft_python_texts_clear(ft_python_texts *texts)
{
    for (int side = 0; side < 2; side++) {
        Py_CLEAR(texts->kept[side]);
        if (texts->texts[side] != &texts->inlined[side])
            PyMem_Free(texts->texts[side]);
        PyMem_Free(texts->words[side]);
        texts->texts[side] = NULL;
        texts->words[side] = NULL;
    }
}

static PyObject *freeze(PyObject *object, int depth);

/* What is kept of an item: a new reference. A str of a subclass may refer to what keeps it, which
 * nobody could collect then: its text is kept instead. */
static PyObject *freeze_item(PyObject *item, int depth)
{
    if (is_sequence(item) && depth > 0)
        return freeze(item, depth - 1);
    return PyUnicode_Check(item) ? PyUnicode_FromObject(item) : Py_NewRef(item);
}

/* A tuple of a list's or tuple's items, those that are lists made tuples down to `depth`. */
static PyObject *freeze(PyObject *object, int depth)
{
    PyObject *tuple = PySequence_Tuple(object);
    Py_ssize_t count = tuple != NULL ? PyTuple_Size(tuple) : 0;
    PyObject *frozen = NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PyTuple_GetItem(tuple, i);
        if (i + AHEAD < count) /* objects are all over the memory */
            __builtin_prefetch(PyTuple_GetItem(tuple, i + AHEAD));
        if (PyUnicode_CheckExact(item))
            continue;
        PyObject *inner = freeze_item(item, depth);
        if (inner != NULL && frozen == NULL) {
            frozen = PyTuple_New(count);
            for (Py_ssize_t j = 0; frozen != NULL && j < count; j++)
                PyTuple_SetItem(frozen, j, Py_NewRef(PyTuple_GetItem(tuple, j)));
        }
        if (inner == NULL || frozen == NULL) {
            Py_XDECREF(inner);
            Py_XDECREF(frozen);
            Py_DECREF(tuple);
            return NULL;
        }
        PyTuple_SetItem(frozen, i, inner);
    }
    if (frozen == NULL)
        return tuple;
    Py_DECREF(tuple);
    return frozen;
}

static int allocate_side(ft_python_texts *texts, int side, Py_ssize_t count, int split_words)
{
    texts->texts[side] = PyMem_Calloc((size_t)count + 1, sizeof *texts->texts[side]);
    if (split_words)
        texts->words[side] = PyMem_Calloc((size_t)texts->rows + 1, sizeof *texts->words[side]);
    if (texts->texts[side] == NULL || (split_words && texts->words[side] == NULL)) {
        PyErr_NoMemory();
        return -1;
    }
    texts->sides[side] = (ft_texts){texts->texts[side], texts->words[side]};
    return 0;
}

/* A pair's text of a row of (text, text); NULL, with an exception, where the row is none. */
static PyObject *pair_item(PyObject *row, Py_ssize_t index, int side)
{
    if (PyTuple_Size(row) != 2) {
        PyErr_Format(PyExc_TypeError,
                     "row %zd holds %zd values: a row is a text or a pair of texts", index,
                     PyTuple_Size(row));
        return NULL;
    }
    return PyTuple_GetItem(row, side);
}

/* Rows of plain texts. */
static int read_texts(ft_python_texts *texts)
{
    static const char *const of_pair[] = {"the first text of row", "the second text of row"};
    PyObject *const *kept = texts->kept;
    if (allocate_side(texts, 0, texts->rows, 0) < 0 ||
        (kept[1] != NULL && allocate_side(texts, 1, texts->rows, 0) < 0))
        return -1;
    for (Py_ssize_t i = 0; i < texts->rows; i++) {
        PyObject *row = PyTuple_GetItem(kept[0], i);
        if (kept[1] != NULL || !PyTuple_Check(row)) {
            if (ft_python_text(row, "text", i, &texts->texts[0][i]) < 0)
                return -1;
            if (kept[1] != NULL && ft_python_text(PyTuple_GetItem(kept[1], i), "text_pair", i,
                                                  &texts->texts[1][i]) < 0)
                return -1;
            continue;
        }
        if (texts->texts[1] == NULL && allocate_side(texts, 1, texts->rows, 0) < 0)
            return -1;
        for (int side = 0; side < 2; side++) {
            PyObject *text = pair_item(row, i, side);
            if (text == NULL || ft_python_text(text, of_pair[side], i, &texts->texts[side][i]) < 0)
                return -1;
        }
    }
    return 0;
}

/* Whether a row is a pair of lists of words, rather than a list of words. */
static int is_pair_of_words(PyObject *row)
{
    return PyTuple_Check(row) && PyTuple_Size(row) > 0 && PyTuple_Check(PyTuple_GetItem(row, 0));
}

/* The words of a row's side; NULL without an exception where it has none, and with one where they
 * are no words. */
static PyObject *words_of(const ft_python_texts *texts, int side, Py_ssize_t i)
{
    PyObject *row = PyTuple_GetItem(texts->kept[0], i);
    PyObject *words = row;
    if (texts->kept[1] != NULL)
        words = side == 0 ? row : PyTuple_GetItem(texts->kept[1], i);
    else if (is_pair_of_words(row))
        words = pair_item(row, i, side);
    else if (side == 1)
        return NULL;
    if (words != NULL && !PyTuple_Check(words)) {
        PyObject *type = PyType_GetName(Py_TYPE(words));
        if (type != NULL)
            PyErr_Format(PyExc_TypeError,
                         "with is_split_into_words=True row %zd must be a list of words, not %U", i,
                         type);
        Py_XDECREF(type);
        return NULL;
    }
    return words;
}

/* One side of rows of words. */
static int read_words(ft_python_texts *texts, int side)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t i = 0; i < texts->rows; i++) {
        PyObject *words = words_of(texts, side, i);
        if (words == NULL && PyErr_Occurred())
            return -1;
        count += words != NULL ? PyTuple_Size(words) : 1;
    }
    if (allocate_side(texts, side, count, 1) < 0)
        return -1;
    ft_text *next = texts->texts[side];
    for (Py_ssize_t i = 0; i < texts->rows; i++) {
        PyObject *words = words_of(texts, side, i);
        if (words == NULL) {
            next++; /* no bytes: no second text */
        } else {
            for (Py_ssize_t j = 0; j < PyTuple_Size(words); j++)
                if (ft_python_text(PyTuple_GetItem(words, j), "a word of row", i, next++) < 0)
                    return -1;
        }
        texts->words[side][i + 1] = next - texts->texts[side];
    }
    return 0;
}

/* One row of one text, or of two: the way of a call with a short text, which should cost little. */
static int read_single(ft_python_texts *texts, PyObject *first, PyObject *second)
{
    texts->rows = 1;
    PyObject *given[2] = {first, second};
    for (int side = 0; side < 2 && given[side] != Py_None; side++) {
        texts->kept[side] = freeze_item(given[side], 0);
        if (texts->kept[side] == NULL)
            return -1;
        texts->texts[side] = &texts->inlined[side];
        texts->sides[side] = (ft_texts){texts->texts[side], NULL};
        if (ft_python_text(texts->kept[side], side == 0 ? "text" : "text_pair", 0,
                           texts->texts[side]) < 0)
            return -1;
    }
    return 0;
}

/* A row of words as a batch of one. */
static PyObject *batch_of(PyObject *words)
{
    PyObject *frozen = is_sequence(words) ? freeze(words, 0) : Py_NewRef(words);
    PyObject *batch = frozen != NULL ? PyTuple_Pack(1, frozen) : NULL;
    Py_XDECREF(frozen);
    return batch;
}

int ft_python_texts_read(ft_python_texts *texts, PyObject *first, PyObject *second, int is_batch,
                         int split_words)
{
    *texts = (ft_python_texts){0};
    if (!is_batch && !split_words)
        return read_single(texts, first, second);
    texts->kept[0] = is_batch ? freeze(first, second == Py_None ? 2 : 1) : batch_of(first);
    if (texts->kept[0] == NULL)
        return -1;
    if (second != Py_None) {
        texts->kept[1] = is_batch ? freeze(second, 1) : batch_of(second);
        if (texts->kept[1] == NULL)
            return -1;
    }
    texts->rows = PyTuple_Size(texts->kept[0]);
    if (texts->kept[1] != NULL && PyTuple_Size(texts->kept[1]) != texts->rows) {
        PyErr_Format(PyExc_ValueError,
                     "batch length of `text`: %zd does not match batch length of `text_pair`: %zd.",
                     texts->rows, PyTuple_Size(texts->kept[1]));
        return -1;
    }
    if (!split_words)
        return read_texts(texts);
    if (read_words(texts, 0) < 0)
        return -1;
    int paired = texts->kept[1] != NULL;
    for (Py_ssize_t i = 0; !paired && i < texts->rows; i++)
        paired = is_pair_of_words(PyTuple_GetItem(texts->kept[0], i));
    return paired ? read_words(texts, 1) : 0;
}
