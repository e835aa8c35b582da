/* ftcore._core.cpu_info and wait_briefly: what the CPU backend computes with, and how its threads
 * wait. */
#include "python/module.h"

#ifdef FT_HAVE_ONEDNN

#    include "backend/cpu/description.h"
#    include "backend/cpu/waiting.h"

static PyObject *tuple_of(const char *const *names, int count)
{
    PyObject *tuple = PyTuple_New(count);
    for (int i = 0; tuple != NULL && i < count; i++) {
        PyObject *name = PyUnicode_FromString(names[i]);
        if (name == NULL || PyTuple_SetItem(tuple, i, name) < 0)
            Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *cpu_info(PyObject *module, PyObject *arguments)
{
    (void)module, (void)arguments;
    ft_cpu_description d;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_cpu_describe(&d);
    Py_END_ALLOW_THREADS
    if (status != FT_OK) {
        ft_python_raise(status);
        return NULL;
    }
    PyObject *available = tuple_of(d.available, d.available_count);
    PyObject *path =
        d.onednn_path[0] == '\0' ? Py_NewRef(Py_None) : PyUnicode_DecodeFSDefault(d.onednn_path);
    PyObject *version = PyUnicode_FromFormat("%d.%d.%d", d.onednn_version[0], d.onednn_version[1],
                                             d.onednn_version[2]);
    if (available == NULL || path == NULL || version == NULL) {
        Py_XDECREF(available);
        Py_XDECREF(path);
        Py_XDECREF(version);
        return NULL;
    }
    return Py_BuildValue("{s:i,s:s,s:N,s:O,s:N,s:N}", "threads", d.threads, "kernels", d.kernels,
                         "available", available, "bfloat16", d.bfloat16 ? Py_True : Py_False,
                         "onednn", version, "onednn_path", path);
}

static PyObject *wait_briefly(PyObject *module, PyObject *arguments)
{
    (void)module, (void)arguments;
    ft_cpu_want_brief_waits();
    Py_RETURN_NONE;
}

#else

static PyObject *cpu_info(PyObject *module, PyObject *arguments)
{
    (void)module, (void)arguments;
    PyErr_SetString(PyExc_RuntimeError,
                    "this build of ftcore has no oneDNN, so that the CPU computes in plain loops: "
                    "set ONEDNN_ROOT and reinstall");
    return NULL;
}

static PyObject *wait_briefly(PyObject *module, PyObject *arguments)
{
    (void)module, (void)arguments; /* there is one thread alone */
    Py_RETURN_NONE;
}

#endif

static PyMethodDef functions[] = {
    {"cpu_info", cpu_info, METH_NOARGS, "cpu_info()\n--\n\nWhat the CPU backend computes with."},
    {"wait_briefly", wait_briefly, METH_NOARGS,
     "wait_briefly()\n--\n\nHas OpenMP's threads sleep soon where they wait, from the next step "
     "on."},
    {NULL, NULL, 0, NULL},
};

int ft_python_add_cpu_info(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
