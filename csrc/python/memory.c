/* The function available_memory. */
#include "common/available.h"
#include "python/module.h"

static PyObject *available_memory(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"root", NULL};
    (void)module;
    const char *root = "";
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|s:available_memory", names, &root))
        return NULL;
    size_t available;
    Py_BEGIN_ALLOW_THREADS
    available = ft_memory_available(root);
    Py_END_ALLOW_THREADS
    if (available == SIZE_MAX)
        Py_RETURN_NONE;
    return PyLong_FromSize_t(available);
}

static PyMethodDef functions[] = {
    {"available_memory", (PyCFunction)(void (*)(void))available_memory,
     METH_VARARGS | METH_KEYWORDS,
     "available_memory(root='')\n--\n\n"
     "The bytes that this process may still take, or None where the system does not say."},
    {NULL, NULL, 0, NULL},
};

int ft_python_add_memory(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
