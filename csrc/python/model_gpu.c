/* _core.Model on arrays of others in the GPU's memory: nothing of them is copied to the host. */
#include <stdlib.h>

#include "python/gpu_array.h"
#include "python/model.h"

/* The functions that get an array of the batch return 1; 0 where it does not fit, which whoever
 * packs the batch on the host will say better; or -1 with an exception. A vector is a matrix of one
 * column. `last` is the last of the types of number that it may have. */

/* As many as kernels count; none are no batch. */
static bool is_extent(int64_t extent)
{
    return extent > 0 && extent <= 1 << 30;
}

static int get_array(PyObject *self, PyObject *object, const char *name, ft_number last,
                     ft_array *out, const ft_gpu_array **array)
{
    *out = (ft_array){0};
    if (ft_python_gpu_array(ft_python_state(Py_TYPE(self)), object, name, ft_python_model_gpu(self),
                            array) < 0)
        return -1;
    const ft_gpu_array *a = *array;
    if (a != NULL)
        *out = (ft_array){a->data, a->type, a->strides[0], a->strides[1]};
    return a == NULL || (a->type <= last && is_extent(a->shape[0]) && is_extent(a->shape[1]));
}

static int get_ids(PyObject *self, PyObject *object, ft_padded_arrays *p)
{
    const ft_gpu_array *a;
    int got = get_array(self, object, "input_ids", FT_NUMBER_UINT8, &p->input_ids, &a);
    if (got <= 0 || a == NULL)
        return got < 0 ? -1 : 0;
    p->rows = (int32_t)a->shape[0];
    p->length = (int32_t)a->shape[1];
    return a->dimensions == 2;
}

/* What is [rows, length], or, where `one_row` allows it, [1, length]. */
static int get_tokens(PyObject *self, PyObject *object, const char *name, ft_number last,
                      bool one_row, const ft_padded_arrays *p, ft_array *out)
{
    const ft_gpu_array *a;
    int got = get_array(self, object, name, last, out, &a);
    if (got <= 0 || a == NULL)
        return got;
    if (one_row && a->shape[0] == 1)
        out->row_stride = 0;
    else if (a->shape[0] != p->rows)
        return 0;
    return a->dimensions == 2 && a->shape[1] == p->length;
}

static int get_labels(PyObject *self, PyObject *object, ft_padded_arrays *p)
{
    const ft_gpu_array *a;
    bool classes = ft_model_problem(ft_python_model(self)) == FT_PROBLEM_SINGLE_LABEL;
    int got = get_array(self, object, "labels", classes ? FT_NUMBER_UINT8 : FT_NUMBER_FLOAT64,
                        &p->labels, &a);
    if (got <= 0 || a == NULL)
        return got;
    p->label_width = (int32_t)a->shape[1];
    return a->dimensions > 0 && a->shape[0] == p->rows;
}

/* objects: input ids, mask, types, positions, labels. */
static int get_padded(PyObject *self, PyObject *const *objects, ft_padded_arrays *p)
{
    int got = get_ids(self, objects[0], p);
    if (got > 0)
        got = get_tokens(self, objects[1], "attention_mask", FT_NUMBER_BOOL, false, p,
                         &p->attention_mask);
    if (got > 0)
        got = get_tokens(self, objects[2], "token_type_ids", FT_NUMBER_UINT8, false, p,
                         &p->token_type_ids);
    if (got > 0)
        got = get_tokens(self, objects[3], "position_ids", FT_NUMBER_UINT8, true, p,
                         &p->position_ids);
    return got > 0 ? get_labels(self, objects[4], p) : got;
}

/* float32 [count] in one piece; None: NULL. */
static int get_floats(PyObject *self, PyObject *object, const char *name, size_t count,
                      bool writable, float **out)
{
    const ft_gpu_array *a;
    *out = NULL;
    if (ft_python_gpu_array(ft_python_state(Py_TYPE(self)), object, name, ft_python_model_gpu(self),
                            &a) < 0)
        return -1;
    if (a == NULL)
        return 0;
    *out = a->data;
    if (a->type == FT_NUMBER_FLOAT32 && (size_t)(a->shape[0] * a->shape[1]) == count &&
        ft_gpu_array_is_contiguous(a) && !(writable && a->read_only))
        return 0;
    PyErr_Format(PyExc_ValueError, "%s must be %zu float32 numbers in one piece%s", name, count,
                 writable ? ", to be written to" : "");
    return -1;
}

/* ---- forward ---- */

const char ft_python_forward_padded_doc[] =
    "forward_padded(input_ids, attention_mask, token_type_ids, position_ids, labels, loss=None, "
    "logits=None, training=False, seed=0, step=0, keep=False)\n--\n\n"
    "As forward, of a padded batch of GpuArrays; all but the first may be None. None where it "
    "must\n"
    "be packed on the host to learn what is wrong with it.\n\n"
    "logits, and loss where there are labels: float32 GpuArrays to write to; without them the\n"
    "results are copied to the host.";

/* What the pass gave, as model_forward's. */
static PyObject *results_on_host(ft_model *model, PyObject *logits)
{
    float loss = 0;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_download_outputs(model, &loss, PyArray_DATA((PyArrayObject *)logits));
    Py_END_ALLOW_THREADS
    if (status != FT_OK)
        return ft_python_finish(status);
    return ft_model_has_loss(model) ? Py_BuildValue("(dO)", (double)loss, logits)
                                    : Py_BuildValue("(OO)", Py_None, logits);
}

/* Within the model's call. loss and logits may be NULL. */
static PyObject *run(PyObject *self, const ft_padded_arrays *padded, const ft_pass *pass,
                     float *loss, float *logits, int labels)
{
    ft_model *model = ft_python_model(self);
    bool taken;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_model_forward_padded(model, padded, pass, &taken);
    if (status == FT_OK && taken && logits != NULL)
        status = ft_model_copy_outputs(model, loss, logits);
    Py_END_ALLOW_THREADS
    if (status != FT_OK || !taken)
        return ft_python_finish(status);
    if (logits != NULL)
        return PyTuple_New(0);
    npy_intp shape[2] = {padded->rows, labels};
    PyObject *array = PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    PyObject *results = array != NULL ? results_on_host(model, array) : NULL;
    Py_XDECREF(array);
    return results;
}

PyObject *ft_python_model_forward_padded(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"input_ids", "attention_mask", "token_type_ids", "position_ids",
                            "labels",    "loss",           "logits",         "training",
                            "seed",      "step",           "keep",           NULL};
    PyObject *inputs[5], *loss_object = Py_None, *logits_object = Py_None;
    int training = 0, keep = 0, labels = ft_model_get_config(ft_python_model(self))->num_labels;
    unsigned long long seed = 0, step = 0;
    float *loss, *logits;
    ft_padded_arrays padded = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOOOO|OOpO&O&p:forward_padded", names,
                                     &inputs[0], &inputs[1], &inputs[2], &inputs[3], &inputs[4],
                                     &loss_object, &logits_object, &training, ft_python_seed, &seed,
                                     ft_python_step, &step, &keep))
        return NULL;
    int got = get_padded(self, inputs, &padded);
    if (got <= 0)
        return got < 0 ? NULL : Py_NewRef(Py_None);
    if (get_floats(self, loss_object, "loss", 1, true, &loss) < 0 ||
        get_floats(self, logits_object, "logits", (size_t)padded.rows * (size_t)labels, true,
                   &logits) < 0)
        return NULL;
    if (logits != NULL && loss == NULL && padded.labels.data != NULL) {
        PyErr_SetString(PyExc_ValueError, "there is no array for the loss");
        return NULL;
    }
    if (ft_python_model_begin(self) < 0)
        return NULL;
    const ft_pass pass = {
        .training = training, .keep = keep || training, .seed = seed, .step = (uint32_t)step};
    PyObject *results = run(self, &padded, &pass, loss, logits, labels);
    ft_python_model_end(self);
    return results;
}

/* ---- backward, streams, copies ---- */

PyObject *ft_python_model_backward_from(PyObject *self, PyObject *arguments)
{
    PyObject *scale_object, *dlogits_object;
    float *scale, *dlogits;
    ft_model *model = ft_python_model(self);
    if (!PyArg_ParseTuple(arguments, "OO:backward_from", &scale_object, &dlogits_object) ||
        ft_python_model_begin(self) < 0)
        return NULL;
    ft_status status = FT_OK;
    if (get_floats(self, scale_object, "loss_scale", 1, false, &scale) == 0 &&
        get_floats(self, dlogits_object, "dlogits", ft_model_logit_count(model), false, &dlogits) ==
            0) {
        Py_BEGIN_ALLOW_THREADS
        status = ft_model_backward_from(model, scale, dlogits);
        Py_END_ALLOW_THREADS
    }
    ft_python_model_end(self);
    return PyErr_Occurred() ? NULL : ft_python_finish(status);
}

static PyObject *order(PyObject *self, PyObject *stream,
                       ft_status (*with_stream)(ft_model *, void *))
{
    void *handle = stream == Py_None ? NULL : PyLong_AsVoidPtr(stream);
    if (PyErr_Occurred() || ft_python_model_begin(self) < 0)
        return NULL;
    ft_model *model = ft_python_model(self);
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = stream == Py_None ? ft_model_synchronize(model) : with_stream(model, handle);
    Py_END_ALLOW_THREADS
    ft_python_model_end(self);
    return ft_python_finish(status);
}

PyObject *ft_python_model_follow(PyObject *self, PyObject *stream)
{
    return order(self, stream, ft_model_follow);
}

PyObject *ft_python_model_lead(PyObject *self, PyObject *stream)
{
    return order(self, stream, ft_model_lead);
}

/* A view of the bytes that were copied, with the shape and the strides of the array. */
static PyObject *view_of(PyObject *bytes, const ft_gpu_array *a, size_t before)
{
    npy_intp shape[2] = {a->shape[0], a->shape[1]}, strides[2] = {a->strides[0], a->strides[1]};
    PyObject *view =
        PyArray_New(&PyArray_Type, a->dimensions, shape, ft_number_numpy(a->type), strides,
                    PyArray_BYTES((PyArrayObject *)bytes) + before, 0, 0, NULL);
    if (view != NULL && PyArray_SetBaseObject((PyArrayObject *)view, Py_NewRef(bytes)) < 0)
        Py_CLEAR(view);
    return view;
}

PyObject *ft_python_model_download(PyObject *self, PyObject *object)
{
    const ft_gpu_array *a;
    if (ft_python_gpu_array(ft_python_state(Py_TYPE(self)), object, "array",
                            ft_python_model_gpu(self), &a) < 0)
        return NULL;
    if (a == NULL)
        Py_RETURN_NONE;
    size_t span = 0, before = 0;
    ft_gpu_array_span(a, &span, &before); /* what cannot be counted is no GpuArray */
    npy_intp count = (npy_intp)span;
    PyObject *bytes = PyArray_SimpleNew(1, &count, NPY_UINT8), *view = NULL;
    if (bytes != NULL && ft_python_model_begin(self) == 0) {
        ft_status status;
        Py_BEGIN_ALLOW_THREADS
        status = ft_model_download(ft_python_model(self), PyArray_DATA((PyArrayObject *)bytes),
                                   (char *)a->data - before, (size_t)count);
        Py_END_ALLOW_THREADS
        ft_python_model_end(self);
        if (status == FT_OK)
            view = view_of(bytes, a, before);
        else
            ft_python_raise(status);
    }
    Py_XDECREF(bytes);
    return view;
}
