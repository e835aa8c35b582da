/* Rows of integers as users hold them (lists, tuples, NumPy arrays, tensors), read one after the
 * other into one flat buffer. */
#ifndef FT_PYTHON_INTEGERS_H
#define FT_PYTHON_INTEGERS_H

#include "python/module.h"

/* Integers at equal distances in memory that somebody else owns. */
typedef struct ft_integer_view {
    const char *data; /* aligned or not */
    npy_intp count, stride /* in bytes */;
    int type; /* NPY_INT64, NPY_INT32 or NPY_BOOL */
} ft_integer_view;

typedef struct ft_integer_buffer {
    int64_t *values;
    size_t count, capacity;
    const struct ft_tensors *tensors; /* the kind of tensors that are read in place, or NULL */
} ft_integer_buffer;

/* Whether `object` is a NumPy array, or a tensor of that kind, of integers that can be viewed and
 * of that many dimensions (0 or 1). The view holds while `object` lives and no Python code runs.
 * Sets no exception. */
int ft_python_view_integers(PyObject *object, int dimensions, const struct ft_tensors *tensors,
                            ft_integer_view *view);

void ft_integer_view_copy(const ft_integer_view *view, int64_t *out);

/* Appends what is viewed; -1 with MemoryError. */
int ft_integer_buffer_append(ft_integer_buffer *buffer, const ft_integer_view *view);

/* Appends the integers of one row. Returns how many there were, or -1 with an exception that names
 * the row and the column. */
Py_ssize_t ft_python_append_row(ft_integer_buffer *buffer, PyObject *row_object, const char *column,
                                Py_ssize_t row);

void ft_integer_buffer_release(ft_integer_buffer *buffer);

/* Whether `object` is one integer of 64 bits: an int, or an int64 or int32 scalar, array without
 * dimensions or tensor. Booleans and other types are not. Sets no exception. */
int ft_python_integer(PyObject *object, const struct ft_tensors *tensors, int64_t *out);

/* Item i of a list, as a new reference; NULL with IndexError where it has become shorter. */
PyObject *ft_python_list_item(PyObject *list, Py_ssize_t i);

#endif
