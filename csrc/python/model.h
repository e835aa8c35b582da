/* The Python type ftcore._core.Model: model.c has its passes and attributes, model_memory.c what
 * reads and writes its memory. */
#ifndef FT_PYTHON_MODEL_H
#define FT_PYTHON_MODEL_H

#include <stdatomic.h>

#include "model/model.h"
#include "python/module.h"

typedef struct ft_model_object {
    PyObject_HEAD ft_model *model;
    const struct ft_backend *profile; /* the model's backend, where it is one that takes the time */
    atomic_flag busy;                 /* a call is under way, the GIL perhaps released */
} ft_model_object;

static inline ft_model *ft_python_model(PyObject *object)
{
    return ((ft_model_object *)object)->model;
}

/* A model takes one call at a time: -1, with RuntimeError set, where another thread is in one. */
int ft_python_model_begin(PyObject *self);
void ft_python_model_end(PyObject *self);

/* Seeds and numbers of steps, for PyArg_Parse's O&. */
int ft_python_seed(PyObject *object, void *out);
int ft_python_step(PyObject *object, void *out);

/* Which GPU its memory is on, or -1. */
int ft_python_model_gpu(PyObject *self);

/* None, or NULL with the exception of a failure set. */
PyObject *ft_python_finish(ft_status status);

/* model_gpu.c: what is done with arrays of others in a GPU's memory. */
extern const char ft_python_forward_padded_doc[];
PyObject *ft_python_model_forward_padded(PyObject *self, PyObject *arguments, PyObject *keywords);
PyObject *ft_python_model_backward_from(PyObject *self, PyObject *arguments);
PyObject *ft_python_model_follow(PyObject *self, PyObject *stream);
PyObject *ft_python_model_lead(PyObject *self, PyObject *stream);
PyObject *ft_python_model_download(PyObject *self, PyObject *array);

/* model_memory.c */
PyObject *ft_python_model_parameters(PyObject *self, PyObject *unused);
PyObject *ft_python_model_parameter(PyObject *self, PyObject *index);
PyObject *ft_python_model_gradient(PyObject *self, PyObject *index);
PyObject *ft_python_model_moments(PyObject *self, PyObject *index);
PyObject *ft_python_model_set_parameter(PyObject *self, PyObject *arguments);
PyObject *ft_python_model_set_gradient(PyObject *self, PyObject *arguments);
PyObject *ft_python_model_set_moments(PyObject *self, PyObject *arguments);
PyObject *ft_python_model_zero_moments(PyObject *self, PyObject *index);
PyObject *ft_python_model_reload_moments(PyObject *self, PyObject *unused);
PyObject *ft_python_model_copy_state(PyObject *self, PyObject *other);
PyObject *ft_python_model_parameter_address(PyObject *self, PyObject *index);
PyObject *ft_python_model_dlpack_device(PyObject *self, PyObject *unused);
PyObject *ft_python_model_parameter_dlpack(PyObject *self, PyObject *arguments, PyObject *keywords);

#endif
