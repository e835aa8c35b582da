#include "python/dlpack_export.h"

#include <stdlib.h>

#include "python/dlpack_abi.h"

typedef struct export
{
    union {
        DLManagedTensor plain;
        DLManagedTensorVersioned versioned;
    } tensor;
    int64_t shape[2], strides[2];
    PyObject *owner;
}
export;

/* May be called by any thread, with or without the GIL. */
static void release(export *e)
{
    if (Py_IsInitialized()) {
        PyGILState_STATE state = PyGILState_Ensure();
        Py_DECREF(e->owner);
        PyGILState_Release(state);
    }
    free(e);
}

static void release_plain(DLManagedTensor *tensor)
{
    release(tensor->manager_ctx);
}

static void release_versioned(DLManagedTensorVersioned *tensor)
{
    release(tensor->manager_ctx);
}

/* A consumer renames the capsule when it takes over what is in it. */
static void destroy_plain(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, "dltensor"))
        release_plain(PyCapsule_GetPointer(capsule, "dltensor"));
}

static void destroy_versioned(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, "dltensor_versioned"))
        release_versioned(PyCapsule_GetPointer(capsule, "dltensor_versioned"));
}

PyObject *ft_dlpack_device(int gpu)
{
    return gpu < 0 ? Py_BuildValue("(ii)", kDLCPU, 0) : Py_BuildValue("(ii)", kDLCUDA, gpu);
}

static PyObject *new_capsule(export *e, const DLTensor *tensor, int versioned)
{
    if (!versioned) {
        e->tensor.plain = (DLManagedTensor){*tensor, e, release_plain};
        return PyCapsule_New(&e->tensor.plain, "dltensor", destroy_plain);
    }
    e->tensor.versioned = (DLManagedTensorVersioned){.version = {DLPACK_MAJOR_VERSION, 0},
                                                     .manager_ctx = e,
                                                     .deleter = release_versioned,
                                                     .dl_tensor = *tensor};
    return PyCapsule_New(&e->tensor.versioned, "dltensor_versioned", destroy_versioned);
}

PyObject *ft_dlpack_export(PyObject *owner, int gpu, int dimensions, const npy_intp *shape,
                           void *data, int versioned)
{
    export *e = calloc(1, sizeof *e);
    if (e == NULL)
        return PyErr_NoMemory();
    for (int i = dimensions - 1; i >= 0; i--) {
        e->shape[i] = shape[i];
        e->strides[i] = i == dimensions - 1 ? 1 : e->strides[i + 1] * e->shape[i + 1];
    }
    const DLTensor tensor = {
        .data = data,
        .device = {gpu < 0 ? kDLCPU : kDLCUDA, gpu < 0 ? 0 : gpu},
        .ndim = dimensions,
        .dtype = {kDLFloat, 32, 1},
        .shape = e->shape,
        .strides = e->strides,
    };
    e->owner = Py_NewRef(owner);
    PyObject *capsule = new_capsule(e, &tensor, versioned);
    if (capsule == NULL)
        release(e);
    return capsule;
}
