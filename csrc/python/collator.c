#include "python/arrays.h"
#include "python/batch.h"
#include "python/module.h"

#include "collator/order.h"
#include "collator/pack.h"

/* Checks that an array given beside input_ids [rows, length] has its shape. */
static int check_shape(PyArrayObject *array, const char *name, npy_intp rows, npy_intp length)
{
    if (PyArray_NDIM(array) == 2 && PyArray_DIM(array, 0) == rows &&
        PyArray_DIM(array, 1) == length)
        return 0;
    PyObject *shape = PyObject_GetAttrString((PyObject *)array, "shape");
    if (shape != NULL)
        PyErr_Format(PyExc_ValueError, "%s must have the shape of input_ids, (%zd, %zd), not %S",
                     name, (Py_ssize_t)rows, (Py_ssize_t)length, shape);
    Py_XDECREF(shape);
    return -1;
}

PyDoc_STRVAR(pack_padded_doc,
             "pack_padded(input_ids, attention_mask=None, token_type_ids=None, position_ids=None, "
             "labels=None)\n"
             "--\n\n"
             "Pack a padded batch.\n\n"
             "input_ids, attention_mask, token_type_ids and position_ids are [batch, length] "
             "integers (arrays,\n"
             "torch tensors or nested lists; position_ids may be [1, length]); labels are [batch] "
             "integers, or\n"
             "[batch] or [batch, width] floats. Tokens whose mask is 0 are dropped, wherever they "
             "are, but for\n"
             "the first of a row. Without position_ids a token's position is its column.\n\n"
             "Raises ValueError for a wrong shape, a row whose mask is all 0, or a value beyond 32 "
             "bits, and\n"
             "TypeError for values that are no integers.");

static PyObject *pack_padded(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"input_ids",    "attention_mask", "token_type_ids",
                            "position_ids", "labels",         NULL};
    PyObject *ids_object, *mask_object = Py_None, *types_object = Py_None;
    PyObject *positions_object = Py_None, *labels_object = Py_None, *result = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OOOO:pack_padded", names, &ids_object,
                                     &mask_object, &types_object, &positions_object,
                                     &labels_object))
        return NULL;

    PyArrayObject *mask = NULL, *types = NULL, *positions = NULL, *classes = NULL, *targets = NULL;
    ft_padded padded = {0};
    PyArrayObject *ids = ft_python_integers(ids_object, "input_ids");
    if (ids == NULL)
        return NULL;
    if (PyArray_NDIM(ids) != 2) {
        PyErr_Format(PyExc_ValueError,
                     "input_ids must be [batch, length], but has %d dimensions; for one sequence, "
                     "give a batch of one row",
                     PyArray_NDIM(ids));
        goto done;
    }
    npy_intp rows = PyArray_DIM(ids, 0), length = PyArray_DIM(ids, 1);
    padded.rows = rows;
    padded.length = length;
    padded.input_ids = PyArray_DATA(ids);
    if (mask_object != Py_None) {
        mask = ft_python_mask(mask_object, "attention_mask");
        if (mask == NULL || check_shape(mask, "attention_mask", rows, length) < 0)
            goto done;
        padded.attention_mask = PyArray_DATA(mask);
    }
    if (types_object != Py_None) {
        types = ft_python_integers(types_object, "token_type_ids");
        if (types == NULL || check_shape(types, "token_type_ids", rows, length) < 0)
            goto done;
        padded.token_type_ids = PyArray_DATA(types);
    }
    if (positions_object != Py_None) {
        positions = ft_python_integers(positions_object, "position_ids");
        if (positions == NULL)
            goto done;
        padded.one_row_of_positions =
            PyArray_NDIM(positions) == 2 && PyArray_DIM(positions, 0) == 1;
        if (check_shape(positions, "position_ids", padded.one_row_of_positions ? 1 : rows, length) <
            0)
            goto done;
        padded.position_ids = PyArray_DATA(positions);
    }
    if (labels_object != Py_None) {
        npy_intp width;
        if (ft_python_labels(labels_object, rows, &classes, &targets, &width) < 0)
            goto done;
        padded.class_labels = classes != NULL ? PyArray_DATA(classes) : NULL;
        padded.target_labels = targets != NULL ? PyArray_DATA(targets) : NULL;
        padded.label_width = width;
    }

    ft_batch batch;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_pack_padded(&padded, &batch);
    Py_END_ALLOW_THREADS
    if (status != FT_OK)
        ft_python_raise(status);
    else
        result = ft_python_batch_new(PyModule_GetState(module), &batch);
done:
    Py_DECREF(ids);
    Py_XDECREF((PyObject *)mask);
    Py_XDECREF((PyObject *)types);
    Py_XDECREF((PyObject *)positions);
    Py_XDECREF((PyObject *)classes);
    Py_XDECREF((PyObject *)targets);
    return result;
}

PyDoc_STRVAR(
    shuffled_order_doc,
    "shuffled_order(count, seed)\n"
    "--\n\n"
    "The order, int64 [count], in which Hugging Face's Trainer visits `count` rows in an epoch.\n\n"
    "seed is Trainer's data seed plus the number of the epoch, from 0.");

static PyObject *shuffled_order(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"count", "seed", NULL};
    Py_ssize_t count;
    PyObject *seed_object;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "nO:shuffled_order", names, &count,
                                     &seed_object))
        return NULL;
    if (count < 0 || count >= FT_ORDER_LIMIT) {
        PyErr_Format(PyExc_ValueError, "count must be from 0 to %zd, got %zd",
                     (Py_ssize_t)FT_ORDER_LIMIT - 1, count);
        return NULL;
    }
    PyObject *seed_index = PyNumber_Index(seed_object);
    if (seed_index == NULL)
        return NULL;
    uint64_t seed = PyLong_AsUnsignedLongLong(seed_index);
    Py_DECREF(seed_index);
    if (seed == (uint64_t)-1 && PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError, "seed must be from 0 to 2**64 - 1, got %R", seed_object);
        return NULL;
    }
    npy_intp shape = count;
    PyObject *order = PyArray_SimpleNew(1, &shape, NPY_INT64);
    if (order == NULL)
        return NULL;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_shuffled_order(count, seed, PyArray_DATA((PyArrayObject *)order));
    Py_END_ALLOW_THREADS
    if (status != FT_OK) {
        ft_python_raise(status);
        Py_CLEAR(order);
    }
    return order;
}

static PyMethodDef functions[] = {
    {"pack_padded", (PyCFunction)(void (*)(void))pack_padded, METH_VARARGS | METH_KEYWORDS,
     pack_padded_doc},
    {"shuffled_order", (PyCFunction)(void (*)(void))shuffled_order, METH_VARARGS | METH_KEYWORDS,
     shuffled_order_doc},
    {NULL, NULL, 0, NULL},
};

int ft_python_add_collator(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
