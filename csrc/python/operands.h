/* Checked access to the NumPy arrays that a backend's operations are called with: nothing is
 * converted, what does not fit is refused by name. */
#ifndef FT_PYTHON_OPERANDS_H
#define FT_PYTHON_OPERANDS_H

#include "backend/backend.h"
#include "python/module.h"

enum { FT_ANY = -1 };

/* Shapes in calls: FT_SHAPE(FT_ANY, hidden) gives `dimensions, shape`. */
#define FT_SHAPE(...)                                                                              \
    (int)(sizeof((npy_intp[]){__VA_ARGS__}) / sizeof(npy_intp)), (const npy_intp[])                \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* The data of a C-contiguous array of that type and shape (FT_ANY: any size); NULL with an
 * exception otherwise. The memory is the caller's. */
void *ft_operand(PyObject *object, const char *name, int type, int dimensions,
                 const npy_intp *shape);

/* The same, but it must be writable. */
void *ft_operand_writable(PyObject *object, const char *name, int type, int dimensions,
                          const npy_intp *shape);

/* What arrays of a precision hold: NPY_FLOAT32, or NPY_UINT16 for bfloat16, which NumPy lacks,
 * or NPY_FLOAT16. */
int ft_operand_type(ft_precision precision);

/* The precision that an array's type stands for: 0, or -1 with TypeError. */
int ft_operand_precision(PyObject *object, const char *name, ft_precision *out);

/* "float32", "bfloat16" or "float16": 0, or -1 with ValueError. */
int ft_operand_parse_precision(const char *name, ft_precision *out);

/* A matrix of that type whose rows may be further apart than they are long: *stride is how far. */
void *ft_operand_strided(PyObject *object, const char *name, int type, npy_intp rows,
                         npy_intp columns, int32_t *stride);

npy_intp ft_operand_size(PyObject *array, int dimension);

/* 0 where all of an int32 array [any] lie in [0, limit); -1 with IndexError. */
int ft_operand_ids(PyObject *array, npy_intp limit, const char *name);

/* None, or (p, seed, step, micro_step, site). */
int ft_operand_dropout(PyObject *object, ft_dropout *out);

/* The layout of packed rows. cu_seqlens int32 [sequences + 1]; key_starts int32 [sequences], or
 * None: then each sequence's first row is its first key, and the layout's are cu_seqlens' own.
 * rows FT_ANY: as many as tokens. */
int ft_operand_layout(PyObject *cu_seqlens, PyObject *key_starts, npy_intp rows, ft_layout *out);

#endif
