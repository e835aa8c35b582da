/* What the tokenizer takes from Python: texts and token ids. */
#ifndef FT_PYTHON_TEXT_H
#define FT_PYTHON_TEXT_H

#include "python/module.h"
#include "tokenizer/tokenizer.h"

/* The UTF-8 form of a str, which Python keeps for as long as the str lives; -1 with a TypeError
 * that says which text it is (`what` and `row`) where there is none. */
int ft_python_text(PyObject *object, const char *what, Py_ssize_t row, ft_text *out);

/* A token id, from 0 to 2^31 - 1; -1 with a TypeError or a ValueError that says whose it is. */
int ft_python_id(PyObject *object, const char *what, int32_t *out);

#endif
