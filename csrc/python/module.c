#define FT_IMPORTS_NUMPY
#include "python/module.h"

void ft_python_raise(ft_status status)
{
    PyObject *type;
    switch (status) {
    case FT_ERROR_MEMORY:
        type = PyExc_MemoryError;
        break;
    case FT_ERROR_VALUE:
        type = PyExc_ValueError;
        break;
    case FT_ERROR_TYPE:
        type = PyExc_TypeError;
        break;
    case FT_ERROR_INDEX:
        type = PyExc_IndexError;
        break;
    case FT_ERROR_KEY:
        type = PyExc_KeyError;
        break;
    case FT_ERROR_OS:
        type = PyExc_OSError;
        break;
    case FT_ERROR_ARITHMETIC:
        type = PyExc_FloatingPointError;
        break;
    default:
        type = PyExc_RuntimeError;
    }
    PyErr_SetString(type, ft_error_message());
}

PyTypeObject *ft_python_add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type == NULL)
        return NULL;
    if (PyModule_AddType(module, (PyTypeObject *)type) < 0)
        Py_CLEAR(type);
    return (PyTypeObject *)type;
}

PyObject *ft_python_view(PyObject *owner, int dimensions, const npy_intp *shape, int type,
                         void *data, int writable)
{
    PyObject *array = PyArray_New(&PyArray_Type, dimensions, (npy_intp *)shape, type, NULL, data, 0,
                                  writable ? NPY_ARRAY_CARRAY : NPY_ARRAY_CARRAY_RO, NULL);
    if (array == NULL)
        return NULL;
    Py_INCREF(owner);
    if (PyArray_SetBaseObject((PyArrayObject *)array, owner) < 0)
        Py_CLEAR(array);
    return array;
}

static int module_execute(PyObject *module)
{
    if (_import_array() < 0)
        return -1;
    int (*const parts[])(PyObject *) = {
        ft_python_add_backend,
        ft_python_add_batch,
        ft_python_add_columns,
        ft_python_add_collator,
        ft_python_add_padding,
        ft_python_add_memory,
        ft_python_add_gpu_array,
        ft_python_add_model,
        ft_python_add_vocabulary,
        ft_python_add_tokenizer,
        ft_python_add_encoding,
        ft_python_add_encode_options,
        ft_python_add_limits,
        ft_python_add_cpu_info,
        ft_python_add_devices,
        ft_python_add_free_memory,
        NULL,
    };
    for (int i = 0; parts[i] != NULL; i++)
        if (parts[i](module) < 0)
            return -1;
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    ft_module_state *state = PyModule_GetState(module);
    Py_VISIT(state->backend_type);
    Py_VISIT(state->batch_type);
    Py_VISIT(state->columns_type);
    Py_VISIT(state->gpu_array_type);
    Py_VISIT(state->model_type);
    Py_VISIT(state->vocabulary_type);
    Py_VISIT(state->tokenizer_type);
    Py_VISIT(state->encoding_type);
    Py_VISIT(state->encode_options_type);
    Py_VISIT(state->tensor_type);
    return 0;
}

static int module_clear(PyObject *module)
{
    ft_module_state *state = PyModule_GetState(module);
    Py_CLEAR(state->backend_type);
    Py_CLEAR(state->batch_type);
    Py_CLEAR(state->columns_type);
    Py_CLEAR(state->gpu_array_type);
    Py_CLEAR(state->model_type);
    Py_CLEAR(state->vocabulary_type);
    Py_CLEAR(state->tokenizer_type);
    Py_CLEAR(state->encoding_type);
    Py_CLEAR(state->encode_options_type);
    Py_CLEAR(state->tensor_type);
    return 0;
}

static void module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_execute},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ftcore._core",
    .m_doc = "The C core of ftcore: tokenizer, collator and train step.",
    .m_size = sizeof(ft_module_state),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&module_definition);
}
