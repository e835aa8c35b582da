#include "python/update.h"

#include <float.h>
#include <math.h>

void ft_update_arguments_release(ft_update_arguments *u)
{
    PyMem_Free(u->groups);
    Py_CLEAR(u->group_of);
}

int ft_update_arguments_get(const ft_parameter_table *table, PyObject *groups, PyObject *group_of,
                            long long step, double max_norm, ft_update_arguments *u)
{
    Py_ssize_t count = PySequence_Size(groups);
    if (count < 0)
        return -1;
    u->groups = PyMem_Calloc(count ? count : 1, sizeof *u->groups);
    if (u->groups == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        ft_adamw *g = &u->groups[i];
        PyObject *item = PySequence_GetItem(groups, i);
        int parsed = item && PyTuple_Check(item) &&
                     PyArg_ParseTuple(item, "ddddd", &g->lr, &g->beta1, &g->beta2, &g->eps,
                                      &g->weight_decay);
        Py_XDECREF(item);
        if (!parsed) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_TypeError,
                                "a group is a tuple (lr, beta1, beta2, eps, weight_decay)");
            return -1;
        }
        g->step = step;
    }
    /* A copy: what was checked must not change while the step runs without the GIL. */
    u->group_of = (PyArrayObject *)PyArray_FROM_OTF(group_of, NPY_INT32,
                                                    NPY_ARRAY_IN_ARRAY | NPY_ARRAY_ENSURECOPY);
    if (u->group_of == NULL)
        return -1;
    if (PyArray_SIZE(u->group_of) != table->count) {
        PyErr_Format(PyExc_ValueError, "group_of has %zd entries, the model %d parameters",
                     (Py_ssize_t)PyArray_SIZE(u->group_of), table->count);
        return -1;
    }
    u->update = (ft_update){
        .groups = u->groups,
        .group_count = (int32_t)count,
        .group_of = PyArray_DATA(u->group_of),
        /* A limit too small for a float is still a limit. */
        .max_norm = max_norm > 0 ? fmaxf((float)max_norm, FLT_MIN) : (float)max_norm,
    };
    return 0;
}
