/* From what users hold (NumPy arrays, torch tensors, nested lists) to the arrays that the core
 * reads. Every function sets a Python exception naming the argument when it fails. */
#ifndef FT_PYTHON_ARRAYS_H
#define FT_PYTHON_ARRAYS_H

#include "python/module.h"

/* A contiguous int64 array of any shape; integers only. A new reference or NULL. */
PyArrayObject *ft_python_integers(PyObject *object, const char *name);

/* The same for an attention mask, which may also be of booleans, or of floats that are 0 or 1. */
PyArrayObject *ft_python_mask(PyObject *object, const char *name);

/* Labels of `rows` rows: of integers or booleans, int64 [rows] in *classes; of floats, float32
 * [rows] or [rows, width] in *targets. The other is set to NULL. */
int ft_python_labels(PyObject *object, npy_intp rows, PyArrayObject **classes,
                     PyArrayObject **targets, npy_intp *width);

/* The label of one row: an integer, int64 [1] in *classes; a float or a list of floats, float32
 * [width] in *targets. The other is set to NULL. */
int ft_python_label(PyObject *object, const char *name, PyArrayObject **classes,
                    PyArrayObject **targets, npy_intp *width);

#endif
