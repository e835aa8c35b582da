/* Memory of the core's as a capsule of DLPack, from which other libraries make tensors. */
#ifndef FT_PYTHON_DLPACK_EXPORT_H
#define FT_PYTHON_DLPACK_EXPORT_H

#include "python/module.h"

/* What __dlpack_device__ returns: memory of a GPU, or, where it is -1, of the host. */
PyObject *ft_dlpack_device(int gpu);

/* float32 of that shape (one or two dimensions), contiguous, which `owner` keeps alive until the
 * consumer lets go of it. versioned: the consumer knows major version 1. */
PyObject *ft_dlpack_export(PyObject *owner, int gpu, int dimensions, const npy_intp *shape,
                           void *data, int versioned);

#endif
