/* The object of _core.Vocabulary, and token ids from Python. */
#ifndef FT_PYTHON_VOCABULARY_H
#define FT_PYTHON_VOCABULARY_H

#include "python/module.h"
#include "tokenizer/vocabulary.h"

typedef struct ft_vocabulary_object {
    PyObject_HEAD ft_vocabulary vocabulary;
    PyObject *text; /* keeps the bytes that the vocabulary shares; may be NULL */
} ft_vocabulary_object;

/* A token id, from 0 to 2^31 - 1; -1 with a TypeError or a ValueError that says whose it is. */
int ft_python_id(PyObject *object, const char *what, int32_t *out);

#endif
