/* _core.Backend's methods for padded batches of other people's arrays, of any strides. */
#include "python/gpu_array.h"
#include "python/operations.h"

/* An operand [rows, columns] of a type of ft_number; None: not given. */
static int get_array(ft_call *call, PyObject *object, const char *name, ft_array *out)
{
    PyArrayObject *array = (PyArrayObject *)object;
    int type = 0;
    *out = (ft_array){0};
    if (object == Py_None)
        return 0;
    if (!PyArray_Check(object) || PyArray_NDIM(array) != 2) {
        PyErr_Format(PyExc_TypeError, "%s must be an array of two dimensions", name);
        return -1;
    }
    while (type < FT_NUMBER_COUNT && ft_number_numpy((ft_number)type) != PyArray_TYPE(array))
        type++;
    if (type == FT_NUMBER_COUNT || !PyArray_ISBEHAVED_RO(array)) {
        PyErr_Format(PyExc_TypeError, "%s has numbers that are not taken", name);
        return -1;
    }
    ft_gpu_array shown = {.type = (ft_number)type, .dimensions = 2};
    for (int i = 0; i < 2; i++) {
        shown.shape[i] = PyArray_DIM(array, i);
        shown.strides[i] = PyArray_STRIDE(array, i);
    }
    size_t bytes = 0, before = 0;
    ft_gpu_array_span(&shown, &bytes, &before); /* NumPy's arrays always have one */
    char *start = ft_call_reach(call, PyArray_BYTES(array) - before, bytes ? bytes : 1, false);
    if (start == NULL)
        return -1;
    *out = (ft_array){start + before, (ft_number)type, shown.strides[0], shown.strides[1]};
    return 0;
}

static int has_shape(PyObject *object, const char *name, npy_intp rows, npy_intp columns)
{
    if (object == Py_None || (ft_operand_size(object, 0) == rows &&
                              (columns == FT_ANY || ft_operand_size(object, 1) == columns)))
        return 1;
    PyErr_Format(PyExc_ValueError, "%s has another shape", name);
    return 0;
}

/* The arguments that the two methods have in common; cu_seqlens: where the method takes it. */
static int get_padded(ft_call *call, PyObject *args, PyObject *kwargs, ft_padded_arrays *p,
                      PyObject **cu_seqlens)
{
    const char *names[] = {
        "input_ids", "attention_mask", "token_type_ids", "position_ids",
        "labels",    "class_labels",   "limits",         cu_seqlens ? "cu_seqlens" : NULL,
        NULL};
    PyObject *ids, *mask = Py_None, *types = Py_None, *positions = Py_None, *labels = Py_None;
    int class_labels = 1;
    if (!PARSE(cu_seqlens ? "O|OOOOp(iiii)O" : "O|OOOOp(iiii)", &ids, &mask, &types, &positions,
               &labels, &class_labels, &p->vocabulary, &p->positions, &p->types, &p->classes,
               cu_seqlens) ||
        get_array(call, ids, "input_ids", &p->input_ids) < 0 ||
        get_array(call, mask, "attention_mask", &p->attention_mask) < 0 ||
        get_array(call, types, "token_type_ids", &p->token_type_ids) < 0 ||
        get_array(call, positions, "position_ids", &p->position_ids) < 0 ||
        get_array(call, labels, "labels", &p->labels) < 0)
        return -1;
    npy_intp rows = ft_operand_size(ids, 0), length = ft_operand_size(ids, 1);
    p->rows = (int32_t)rows;
    p->length = (int32_t)length;
    p->class_labels = class_labels;
    p->label_width = labels == Py_None ? 0 : (int32_t)ft_operand_size(labels, 1);
    int fits = has_shape(mask, "attention_mask", rows, length) &&
               has_shape(types, "token_type_ids", rows, length) &&
               has_shape(positions, "position_ids", rows, length) &&
               has_shape(labels, "labels", rows, class_labels ? 1 : FT_ANY);
    return fits ? 0 : -1;
}

FT_OPERATIONS_METHOD(padded_lengths)
{
    ft_padded_arrays p = {0};
    if (get_padded(call, args, kwargs, &p, NULL) < 0)
        return NULL;
    npy_intp rows = p.rows;
    PyObject *lengths = PyArray_SimpleNew(1, &rows, NPY_INT32);
    if (lengths != NULL && RUN(padded_lengths, &p, PyArray_DATA((PyArrayObject *)lengths)) < 0)
        Py_CLEAR(lengths);
    return lengths;
}

FT_OPERATIONS_METHOD(pack)
{
    ft_padded_arrays p = {0};
    ft_packed_arrays packed = {0};
    ft_layout layout;
    PyObject *cu_seqlens = Py_None;
    if (get_padded(call, args, kwargs, &p, &cu_seqlens) < 0 ||
        ft_call_layout(call, cu_seqlens, Py_None, FT_ANY, &layout) < 0)
        return NULL;
    if (layout.sequences != p.rows)
        return PyErr_Format(PyExc_ValueError, "cu_seqlens are of %d rows", layout.sequences);
    packed.cu_seqlens = layout.cu_seqlens;
    NEED(packed.input_ids = ft_call_add(call, NPY_INT32, FT_SHAPE(layout.tokens)));
    NEED(packed.token_type_ids = ft_call_add(call, NPY_INT32, FT_SHAPE(layout.tokens)));
    NEED(packed.position_ids = ft_call_add(call, NPY_INT32, FT_SHAPE(layout.tokens)));
    if (p.labels.data == NULL)
        ft_call_add_none(call);
    else if (p.class_labels)
        NEED(packed.class_labels = ft_call_add(call, NPY_INT64, FT_SHAPE(p.rows)));
    else
        NEED(packed.target_labels = NEW_F32(p.rows, p.label_width));
    NEED(RUN(pack, &p, &packed) == 0);
    return ft_call_results(call);
}
