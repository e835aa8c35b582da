/* Shared by the files of this folder: the CPython and NumPy headers, the module's state, and the
 * one way in which a failure of the core becomes a Python exception. One .c per Python type; each
 * gives an ft_python_add_* function that module.c calls when the module is executed. */
#ifndef FT_PYTHON_MODULE_H
#define FT_PYTHON_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define PY_ARRAY_UNIQUE_SYMBOL ft_numpy_api
#ifndef FT_IMPORTS_NUMPY
#    define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include "common/status.h"

typedef struct ft_module_state {
    PyTypeObject *backend_type;
    PyTypeObject *batch_type;
    PyTypeObject *columns_type;
    PyTypeObject *gpu_array_type;
    PyTypeObject *model_type;
    PyTypeObject *vocabulary_type;
    PyTypeObject *tokenizer_type;
    PyTypeObject *encoding_type;
    PyTypeObject *encode_options_type;
    PyTypeObject *tensor_type; /* that tensor_calls belong to; see dlpack.h */
    const struct ft_tensor_calls *tensor_calls;
} ft_module_state;

/* The state of the module that defines `type` (a heap type made with PyType_FromModuleAndSpec). */
static inline ft_module_state *ft_python_state(PyTypeObject *type)
{
    return PyType_GetModuleState(type);
}

/* Sets the Python exception for the failure that the core reported last on this thread. */
void ft_python_raise(ft_status status);

/* A heap type from spec, added to the module under its name; a new reference, or NULL. */
PyTypeObject *ft_python_add_type(PyObject *module, PyType_Spec *spec);

/* A NumPy array over memory owned by `owner`, which it keeps alive. Returns NULL on error. */
PyObject *ft_python_view(PyObject *owner, int dimensions, const npy_intp *shape, int type,
                         void *data, int writable);

int ft_python_add_backend(PyObject *module);        /* operations.c */
int ft_python_add_batch(PyObject *module);          /* batch.c */
int ft_python_add_columns(PyObject *module);        /* columns.c */
int ft_python_add_collator(PyObject *module);       /* collator.c */
int ft_python_add_padding(PyObject *module);        /* padding.c */
int ft_python_add_memory(PyObject *module);         /* memory.c */
int ft_python_add_gpu_array(PyObject *module);      /* gpu_array.c */
int ft_python_add_model(PyObject *module);          /* model.c */
int ft_python_add_vocabulary(PyObject *module);     /* vocabulary.c */
int ft_python_add_tokenizer(PyObject *module);      /* tokenizer.c */
int ft_python_add_encoding(PyObject *module);       /* encoding.c */
int ft_python_add_encode_options(PyObject *module); /* encode_options.c */
int ft_python_add_limits(PyObject *module);         /* limits.c */
int ft_python_add_cpu_info(PyObject *module);       /* cpu_info.c */
int ft_python_add_devices(PyObject *module);        /* devices.c */
int ft_python_add_free_memory(PyObject *module);    /* free_memory.c */

#endif
