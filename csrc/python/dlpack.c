#include "python/dlpack.h"

#include <stdlib.h>

#include "common/memory.h"

typedef struct ft_tensor_calls {
    DLPackVersion version;
    struct ft_tensor_calls *older;
    void (*allocate)(void);
    void (*from_object)(void);
    int (*to_object)(DLManagedTensorVersioned *tensor, void **object);
    int (*view_object)(void *object, DLTensor *out); /* may be NULL */
    void (*current_stream)(void);
} ft_tensor_calls;

static const ft_tensor_calls *look_up_calls(PyTypeObject *type)
{
    PyObject *capsule = PyObject_GetAttrString((PyObject *)type, "__dlpack_c_exchange_api__");
    /* What it points to lives as long as the process. */
    const ft_tensor_calls *calls =
        capsule != NULL ? PyCapsule_GetPointer(capsule, "dlpack_exchange_api") : NULL;
    Py_XDECREF(capsule);
    PyErr_Clear();
    while (calls != NULL && calls->version.major > DLPACK_MAJOR_VERSION)
        calls = calls->older;
    return calls != NULL && calls->version.major == DLPACK_MAJOR_VERSION ? calls : NULL;
}

ft_tensors ft_tensors_of_type(ft_module_state *state, PyObject *object)
{
    ft_tensors tensors = {0};
    if (!PyType_Check(object))
        return tensors;
    tensors.type = (PyTypeObject *)object;
#ifdef Py_GIL_DISABLED
    (void)state;
    tensors.calls = look_up_calls(tensors.type);
#else
    tensors.calls = state->tensor_calls;
    if (state->tensor_type != tensors.type) {
        tensors.calls = look_up_calls(tensors.type);
        PyTypeObject *before = state->tensor_type;
        state->tensor_type = (PyTypeObject *)Py_NewRef(object);
        state->tensor_calls = tensors.calls;
        Py_XDECREF((PyObject *)before); /* may run any code */
    }
#endif
    return tensors;
}

/* The NumPy number of a tensor's type, or NPY_NOTYPE where ft_integer_view has none for it. */
static int numpy_type(const DLTensor *tensor)
{
    if (tensor->dtype.lanes != 1)
        return NPY_NOTYPE;
    if (tensor->dtype.code == kDLInt)
        return tensor->dtype.bits == 64   ? NPY_INT64
               : tensor->dtype.bits == 32 ? NPY_INT32
                                          : NPY_NOTYPE;
    return tensor->dtype.code == kDLBool && tensor->dtype.bits == 8 ? NPY_BOOL : NPY_NOTYPE;
}

int ft_tensor_look(const ft_tensors *tensors, PyObject *object, DLTensor *out)
{
    if (tensors->calls == NULL || tensors->calls->view_object == NULL ||
        Py_TYPE(object) != tensors->type)
        return 0;
    if (tensors->calls->view_object(object, out) == 0)
        return 1;
    PyErr_Clear(); /* it has no memory that can be shown, such as one of the meta device */
    return 0;
}

int ft_tensor_view(const ft_tensors *tensors, PyObject *object, int dimensions,
                   ft_integer_view *view)
{
    DLTensor tensor;
    if (!ft_tensor_look(tensors, object, &tensor))
        return 0;
    int type = numpy_type(&tensor);
    if (tensor.device.device_type != kDLCPU || tensor.ndim != dimensions || type == NPY_NOTYPE)
        return 0;
    int64_t stride = dimensions > 0 && tensor.strides != NULL ? tensor.strides[0] : 1;
    *view = (ft_integer_view){
        .data = (const char *)tensor.data + tensor.byte_offset,
        .count = dimensions > 0 ? tensor.shape[0] : 1,
        .stride = stride * (tensor.dtype.bits / 8),
        .type = type,
    };
    return 1;
}

/* What a tensor's numbers lie behind, in one piece of memory. */
typedef struct block {
    DLManagedTensorVersioned managed;
    int64_t shape[2], strides[2];
} block;

/* May be called by any thread, with or without the GIL. */
static void release_block(DLManagedTensorVersioned *managed)
{
    free(managed);
}

/* Not from ft_allocate: zeros that are about to be overwritten would be a tenth of a collator's
 * call. */
static block *allocate_block(int64_t rows, int64_t width)
{
    size_t room = SIZE_MAX / 2 - sizeof(block) - FT_ALIGNMENT;
    block *new = NULL;
    if (width == 0 || (size_t)rows <= room / sizeof(int64_t) / (size_t)width)
        new = malloc(sizeof *new + FT_ALIGNMENT + (size_t)(rows * width) * sizeof(int64_t));
    if (new == NULL)
        PyErr_Format(PyExc_MemoryError, "cannot allocate a tensor of %lld times %lld integers",
                     (long long)rows, (long long)width);
    return new;
}

PyObject *ft_tensor_new(const ft_tensors *tensors, int dimensions, const npy_intp *shape,
                        int64_t **values)
{
    int64_t rows = shape[0], width = dimensions > 1 ? shape[1] : 1;
    block *new = allocate_block(rows, width);
    if (new == NULL)
        return NULL;
    *new = (block){.shape = {rows, width}, .strides = {width, 1}};
    *values = (int64_t *)ft_align((size_t)(new + 1));
    new->managed = (DLManagedTensorVersioned){
        .version = {DLPACK_MAJOR_VERSION, 0},
        .deleter = release_block,
        .dl_tensor =
            {
                .data = *values,
                .device = {kDLCPU, 0},
                .ndim = dimensions,
                .dtype = {kDLInt, 64, 1},
                .shape = new->shape,
                .strides = new->strides,
            },
    };
    void *object = NULL;
    /* It takes the block over even where it fails. */
    return tensors->calls->to_object(&new->managed, &object) == 0 ? object : NULL;
}
