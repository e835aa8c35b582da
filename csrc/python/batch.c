#include "python/batch.h"

#include "collator/pack.h"

typedef struct batch_object {
    PyObject_HEAD ft_batch batch;
} batch_object;

const ft_batch *ft_python_batch(const ft_module_state *state, PyObject *object)
{
    /* Not isinstance, which believes an object's own word; Batch has no subclasses. */
    if (!Py_IS_TYPE(object, state->batch_type)) {
        PyErr_Format(PyExc_TypeError, "expected a Batch, got %R", (PyObject *)Py_TYPE(object));
        return NULL;
    }
    return &((batch_object *)object)->batch;
}

PyObject *ft_python_batch_new(const ft_module_state *state, ft_batch *batch)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(state->batch_type, Py_tp_alloc);
    batch_object *self = (batch_object *)allocate(state->batch_type, 0);
    if (self == NULL) {
        ft_batch_release(batch);
        return NULL;
    }
    self->batch = *batch;
    return (PyObject *)self;
}

static void batch_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ft_batch_release(&((batch_object *)self)->batch);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

/* Which count or array of the batch an attribute shows. */
enum {
    SEQUENCES,
    TOKENS,
    MAX_LENGTH,
    INPUT_IDS,
    TOKEN_TYPE_IDS,
    POSITION_IDS,
    CU_SEQLENS,
    KEY_STARTS,
    LABELS
};

static PyObject *batch_get_count(PyObject *self, void *closure)
{
    const ft_batch *batch = &((batch_object *)self)->batch;
    switch ((intptr_t)closure) {
    case SEQUENCES:
        return PyLong_FromLong(batch->sequences);
    case TOKENS:
        return PyLong_FromLong(batch->tokens);
    default:
        return PyLong_FromLong(batch->max_length);
    }
}

static PyObject *batch_get_array(PyObject *self, void *closure)
{
    const ft_batch *batch = &((batch_object *)self)->batch;
    npy_intp tokens = batch->tokens, sequences = batch->sequences, offsets = sequences + 1;
    switch ((intptr_t)closure) {
    case INPUT_IDS:
        return ft_python_view(self, 1, &tokens, NPY_INT32, batch->input_ids, 0);
    case TOKEN_TYPE_IDS:
        return ft_python_view(self, 1, &tokens, NPY_INT32, batch->token_type_ids, 0);
    case POSITION_IDS:
        return ft_python_view(self, 1, &tokens, NPY_INT32, batch->position_ids, 0);
    case CU_SEQLENS:
        return ft_python_view(self, 1, &offsets, NPY_INT32, batch->cu_seqlens, 0);
    default:
        if (batch->key_starts == NULL)
            Py_RETURN_NONE;
        return ft_python_view(self, 1, &sequences, NPY_INT32, batch->key_starts, 0);
    }
}

static PyObject *batch_get_labels(PyObject *self, void *Py_UNUSED(closure))
{
    const ft_batch *batch = &((batch_object *)self)->batch;
    npy_intp shape[] = {batch->sequences, batch->label_width};
    if (batch->class_labels != NULL)
        return ft_python_view(self, 1, shape, NPY_INT64, batch->class_labels, 0);
    if (batch->target_labels != NULL)
        return ft_python_view(self, 2, shape, NPY_FLOAT32, batch->target_labels, 0);
    Py_RETURN_NONE;
}

static PyObject *batch_repr(PyObject *self)
{
    const ft_batch *batch = &((batch_object *)self)->batch;
    return PyUnicode_FromFormat("Batch(sequences=%d, tokens=%d, max_length=%d)", batch->sequences,
                                batch->tokens, batch->max_length);
}

#define COUNT(name, which, doc) {name, batch_get_count, NULL, doc, (void *)(intptr_t)which}
#define ARRAY(name, which, doc) {name, batch_get_array, NULL, doc, (void *)(intptr_t)which}

static PyGetSetDef batch_attributes[] = {
    COUNT("sequences", SEQUENCES, "How many sequences there are."),
    COUNT("tokens", TOKENS, "How many tokens they have in all."),
    COUNT("max_length", MAX_LENGTH, "How many tokens the longest has."),
    ARRAY("input_ids", INPUT_IDS, "int32 [tokens]"),
    ARRAY("token_type_ids", TOKEN_TYPE_IDS, "int32 [tokens]"),
    ARRAY("position_ids", POSITION_IDS, "int32 [tokens]"),
    ARRAY("cu_seqlens", CU_SEQLENS,
          "int32 [sequences + 1]: sequence s is tokens cu_seqlens[s] to cu_seqlens[s + 1]."),
    ARRAY(
        "key_starts", KEY_STARTS,
        "int32 [sequences], or None where it is cu_seqlens[:-1]: the first token of each sequence "
        "that attention looks at."),
    {"labels", batch_get_labels, NULL, "int64 [sequences], float32 [sequences, width], or None.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot batch_slots[] = {
    {Py_tp_doc, "A packed batch: sequences end to end with no padding between them. Its arrays are "
                "read-only views."},
    {Py_tp_dealloc, batch_dealloc},
    {Py_tp_getset, batch_attributes},
    {Py_tp_repr, batch_repr},
    {0, NULL},
};

static PyType_Spec batch_spec = {
    .name = "ftcore._core.Batch",
    .basicsize = sizeof(batch_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = batch_slots,
};

int ft_python_add_batch(PyObject *module)
{
    ft_module_state *state = PyModule_GetState(module);
    state->batch_type = ft_python_add_type(module, &batch_spec);
    return state->batch_type == NULL ? -1 : 0;
}
