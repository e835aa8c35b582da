/* The Python type ftcore._core.Batch, which owns an ft_batch. */
#ifndef FT_PYTHON_BATCH_H
#define FT_PYTHON_BATCH_H

#include "common/batch.h"
#include "python/module.h"

/* The batch in `object`, which owns it; NULL, with TypeError set, where that is no Batch. */
const ft_batch *ft_python_batch(const ft_module_state *state, PyObject *object);

/* A Batch that takes over what `batch` holds, on failure too. */
PyObject *ft_python_batch_new(const ft_module_state *state, ft_batch *batch);

#endif
