/* Tensors of a library that is not linked against, read and made through the C functions that
 * their Python type may offer for DLPack (__dlpack_c_exchange_api__), as torch's does. */
#ifndef FT_PYTHON_DLPACK_H
#define FT_PYTHON_DLPACK_H

#include "python/dlpack_abi.h"
#include "python/integers.h"

typedef struct ft_tensors {
    PyTypeObject *type;                  /* borrowed */
    const struct ft_tensor_calls *calls; /* NULL: the type offers none */
} ft_tensors;

/* How to reach tensors of that type, which may be None; remembered for the last type, which takes a
 * twentieth off a collator's call. Sets no exception. */
ft_tensors ft_tensors_of_type(ft_module_state *state, PyObject *type);

/* Whether `object` is such a tensor, seen in *out while it is alive and no other code runs; nothing
 * is done for the order of streams. Sets no exception. */
int ft_tensor_look(const ft_tensors *tensors, PyObject *object, DLTensor *out);

/* Whether `object` is such a tensor, in the processor's memory, of that many dimensions (0 or 1)
 * and of a type of ft_integer_view. The view holds while the tensor is alive and no other code
 * runs. Sets no exception. */
int ft_tensor_view(const ft_tensors *tensors, PyObject *object, int dimensions,
                   ft_integer_view *view);

/* A tensor of int64 [rows] or [rows, width] (one or two dimensions), whose *values the caller
 * fills. NULL with an exception. */
PyObject *ft_tensor_new(const ft_tensors *tensors, int dimensions, const npy_intp *shape,
                        int64_t **values);

#endif
