/* What tokenizer.c and encoding.c share: the objects of _core.Tokenizer and _core.Encoding. */
#ifndef FT_PYTHON_TOKENIZER_H
#define FT_PYTHON_TOKENIZER_H

#include "python/module.h"
#include "tokenizer/tokenizer.h"

typedef struct ft_tokenizer_object {
    PyObject_HEAD ft_tokenizer *tokenizer;
    PyObject *vocabulary; /* keeps what the tokenizer shares */
    PyObject **numbers;   /* [number_count]: the Python int of each id; both NULL until wanted */
    Py_ssize_t number_count;
} ft_tokenizer_object;

typedef struct ft_encoding_object {
    PyObject_HEAD ft_tokenizer_object *owner;
    ft_encoding encoding;
} ft_encoding_object;

/* A new _core.Encoding without rows; NULL on error. */
ft_encoding_object *ft_python_encoding(ft_tokenizer_object *owner);

/* A method that takes keyword arguments, as a table of methods wants it. */
#define FT_METHOD(function) ((PyCFunction)(void (*)(void))(function))

#endif
