/* ftcore._core.cuda_free_memory. */
#include "backend/cuda/driver/free_memory.h"
#include "python/module.h"

static PyObject *cuda_free_memory(PyObject *module, PyObject *argument)
{
    (void)module;
    int index;
    if (!PyArg_Parse(argument, "i:cuda_free_memory", &index))
        return NULL;
    size_t bytes = 0;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_cuda_free_memory(index, &bytes);
    Py_END_ALLOW_THREADS
    if (status != FT_OK) {
        ft_python_raise(status);
        return NULL;
    }
    return PyLong_FromSize_t(bytes);
}

static PyMethodDef functions[] = {
    {"cuda_free_memory", cuda_free_memory, METH_O,
     "cuda_free_memory(index, /)\n--\n\nThe bytes of a GPU's memory that no process has taken."},
    {NULL, NULL, 0, NULL},
};

int ft_python_add_free_memory(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
