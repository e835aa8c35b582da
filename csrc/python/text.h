/* What the tokenizer takes from Python: texts. */
#ifndef FT_PYTHON_TEXT_H
#define FT_PYTHON_TEXT_H

#include "python/module.h"
#include "tokenizer/tokenizer.h"

/* The UTF-8 form of a str, which Python keeps for as long as the str lives; -1 with a TypeError
 * that says which text it is where there is none: `what`, and `row` unless that is negative. */
int ft_python_text(PyObject *object, const char *what, Py_ssize_t row, ft_text *out);

#endif
