/* Rows of integers as users hold them (lists, tuples, NumPy arrays, torch tensors), read one after
 * the other into one flat buffer. */
#ifndef FT_PYTHON_INTEGERS_H
#define FT_PYTHON_INTEGERS_H

#include "python/module.h"

typedef struct ft_integer_buffer {
    int64_t *values;
    size_t count, capacity;
} ft_integer_buffer;

/* Appends the integers of one row. Returns how many there were, or -1 with an exception that names
 * the row and the column. */
Py_ssize_t ft_python_append_row(ft_integer_buffer *buffer, PyObject *row_object, const char *column,
                                Py_ssize_t row);

void ft_integer_buffer_release(ft_integer_buffer *buffer);

/* Item i of a list, as a new reference; NULL with IndexError where it has become shorter. */
PyObject *ft_python_list_item(PyObject *list, Py_ssize_t i);

#endif
