/* ftcore._core.cuda_devices, cuda_libraries, set_library_folders and compile_kernels: what there is
 * to train on beside the processor. */
#include "python/module.h"

#include <stdio.h>
#include <stdlib.h>

#include "backend/cuda/driver/compiler.h"
#include "backend/cuda/driver/devices.h"
#include "backend/cuda/driver/libraries.h"
#include "backend/precision.h"

/* None for "". Paths and names are the system's and may be any bytes. */
static PyObject *text_or_none(const char *text)
{
    if (text[0] == '\0')
        Py_RETURN_NONE;
    return PyUnicode_DecodeFSDefault(text);
}

static PyObject *set_library_folders(PyObject *module, PyObject *argument)
{
    (void)module;
    Py_ssize_t count = PyUnicode_Check(argument) ? -1 : PySequence_Size(argument);
    if (count < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "folders are a sequence of str, not one str");
        return NULL;
    }
    PyObject *result = NULL;
    PyObject **bytes = PyMem_Calloc(count + 1, sizeof *bytes);
    const char **folders = PyMem_Calloc(count + 1, sizeof *folders);
    Py_ssize_t have = 0;
    if (bytes == NULL || folders == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (; have < count; have++) {
        PyObject *item = PySequence_GetItem(argument, have);
        int good = item != NULL && PyUnicode_FSConverter(item, &bytes[have]);
        Py_XDECREF(item);
        if (!good)
            goto done;
        folders[have] = PyBytes_AsString(bytes[have]);
    }
    ft_status status = ft_cuda_set_library_folders(folders, (size_t)count);
    if (status == FT_OK)
        result = Py_NewRef(Py_None);
    else
        ft_python_raise(status);
done:
    for (Py_ssize_t i = 0; i < have; i++)
        Py_DECREF(bytes[i]);
    PyMem_Free(bytes);
    PyMem_Free(folders);
    return result;
}

static PyObject *describe_library(const ft_cuda_library *l, ft_cuda_library_kind kind)
{
    PyObject *version;
    if (l->major == 0)
        version = Py_NewRef(Py_None);
    else if (kind == FT_CUDA_LIBRARY_CUDNN || kind == FT_CUDA_LIBRARY_CUBLASLT)
        version = PyUnicode_FromFormat("%d.%d.%d", l->major, l->minor, l->patch);
    else
        version = PyUnicode_FromFormat("%d.%d", l->major, l->minor);
    return Py_BuildValue("{s:N,s:N,s:N}", "path", text_or_none(l->path), "version", version,
                         "error", text_or_none(l->error));
}

static PyObject *cuda_libraries(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    static const char *const names[] = {
        [FT_CUDA_LIBRARY_DRIVER] = "driver",
        [FT_CUDA_LIBRARY_NVRTC] = "nvrtc",
        [FT_CUDA_LIBRARY_CUDNN] = "cudnn",
        [FT_CUDA_LIBRARY_CUBLASLT] = "cublaslt",
    };
    ft_cuda_library libraries[FT_CUDA_LIBRARY_COUNT];
    Py_BEGIN_ALLOW_THREADS
    for (int i = 0; i < FT_CUDA_LIBRARY_COUNT; i++)
        ft_cuda_library_find(i, &libraries[i]);
    /* A driver that is there may yet refuse to start. */
    ft_cuda_library *library = &libraries[FT_CUDA_LIBRARY_DRIVER];
    const ft_cuda_driver *driver;
    if (library->handle != NULL && ft_cuda_driver_load(&driver) != FT_OK)
        snprintf(library->error, sizeof library->error, "%s", ft_error_message());
    Py_END_ALLOW_THREADS
    PyObject *result = PyDict_New();
    for (int i = 0; result != NULL && i < FT_CUDA_LIBRARY_COUNT; i++) {
        PyObject *value = describe_library(&libraries[i], i);
        if (value == NULL || PyDict_SetItemString(result, names[i], value) < 0)
            Py_CLEAR(result);
        Py_XDECREF(value);
    }
    return result;
}

static PyObject *describe_device(const ft_cuda_device *d)
{
    return Py_BuildValue("{s:i,s:N,s:(ii),s:n,s:N,s:N}", "index", d->index, "name",
                         PyUnicode_DecodeFSDefault(d->name), "capability", d->capability / 10,
                         d->capability % 10, "memory", (Py_ssize_t)d->memory, "usable",
                         PyBool_FromLong(d->reason[0] == '\0'), "reason", text_or_none(d->reason));
}

static PyObject *cuda_devices(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    ft_cuda_device *devices = PyMem_Calloc(FT_CUDA_MOST_DEVICES, sizeof *devices);
    if (devices == NULL)
        return PyErr_NoMemory();
    int count;
    Py_BEGIN_ALLOW_THREADS
    count = ft_cuda_devices(devices);
    Py_END_ALLOW_THREADS
    PyObject *result = PyList_New(count);
    for (int i = 0; result != NULL && i < count; i++) {
        PyObject *item = describe_device(&devices[i]);
        if (item == NULL || PyList_SetItem(result, i, item) < 0)
            Py_CLEAR(result);
    }
    PyMem_Free(devices);
    return result;
}

/* A dict of (source, precision) to what the driver would load. */
static PyObject *compile_kernels(PyObject *module, PyObject *argument)
{
    (void)module;
    long capability = PyLong_AsLong(argument);
    if (capability == -1 && PyErr_Occurred())
        return NULL;
    if (capability < 10 || capability > 9999)
        return PyErr_Format(PyExc_ValueError, "there is no compute capability sm_%ld", capability);
    ft_cuda_compiler compiler;
    ft_status status = ft_cuda_compiler_load((int)capability, &compiler);
    PyObject *result = status == FT_OK ? PyDict_New() : NULL;
    for (int i = 0; result != NULL && i < 3 * FT_KERNEL_SOURCE_COUNT; i++) {
        void *image;
        size_t bytes;
        Py_BEGIN_ALLOW_THREADS
        status = ft_cuda_compile(&compiler, i / 3, i % 3, false, &image, &bytes);
        Py_END_ALLOW_THREADS
        if (status != FT_OK) {
            Py_CLEAR(result);
            break;
        }
        PyObject *key =
            Py_BuildValue("(ss)", ft_kernel_sources[i / 3].file, ft_precision_name(i % 3));
        PyObject *value = PyBytes_FromStringAndSize(image, (Py_ssize_t)bytes);
        free(image);
        if (key == NULL || value == NULL || PyDict_SetItem(result, key, value) < 0)
            Py_CLEAR(result);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    if (status != FT_OK)
        ft_python_raise(status);
    return result;
}

static PyMethodDef functions[] = {
    {"set_library_folders", set_library_folders, METH_O,
     "set_library_folders(folders, /)\n--\n\nWhere NVIDIA's libraries are looked for besides."},
    {"cuda_libraries", cuda_libraries, METH_NOARGS,
     "cuda_libraries()\n--\n\nNVIDIA's libraries: where they were found, or why not."},
    {"cuda_devices", cuda_devices, METH_NOARGS,
     "cuda_devices()\n--\n\nThe NVIDIA GPUs, and whether they will do."},
    {"compile_kernels", compile_kernels, METH_O,
     "compile_kernels(capability, /)\n--\n\nEvery kernel for GPUs of that compute capability."},
    {NULL, NULL, 0, NULL},
};

int ft_python_add_devices(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
