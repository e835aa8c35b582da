#include "backend/cuda/cudnn/graph.h"

void ft_cudnn_graph_start(ft_cudnn_graph *g, const ft_cudnn_library *library)
{
    *g = (ft_cudnn_graph){.library = library};
}

void ft_cudnn_graph_end(ft_cudnn_graph *g)
{
    while (g->descriptor_count > 0)
        g->library->functions.BackendDestroyDescriptor(g->descriptors[--g->descriptor_count]);
}

/* ---- descriptors and their attributes ---- */

ft_cudnn_descriptor ft_cudnn_descriptor_add(ft_cudnn_graph *g, int type)
{
    if (g->status != FT_OK)
        return NULL;
    if (g->descriptor_count == FT_CUDNN_MOST_DESCRIPTORS) {
        g->status = ft_error(FT_ERROR_RUNTIME, "a cuDNN graph has at most %d descriptors",
                             FT_CUDNN_MOST_DESCRIPTORS);
        return NULL;
    }
    ft_cudnn_descriptor d = NULL;
    g->status = ft_cudnn_check(g->library, g->library->functions.BackendCreateDescriptor(type, &d),
                               "a descriptor");
    if (g->status != FT_OK)
        return NULL;
    g->descriptors[g->descriptor_count++] = d;
    return d;
}

ft_cudnn_descriptor ft_cudnn_descriptor_take(ft_cudnn_graph *g, ft_cudnn_descriptor d)
{
    for (int i = 0; i < g->descriptor_count; i++)
        if (g->descriptors[i] == d)
            g->descriptors[i] = g->descriptors[--g->descriptor_count];
    return d;
}

void ft_cudnn_set(ft_cudnn_graph *g, ft_cudnn_descriptor d, int name, int type, int64_t count,
                  const void *elements)
{
    if (g->status != FT_OK)
        return;
    int status = g->library->functions.BackendSetAttribute(d, name, type, count, elements);
    if (status != CUDNN_STATUS_SUCCESS) {
        g->status = ft_cudnn_check(g->library, status, "an attribute");
        ft_error_within(g->status, "attribute %d", name);
    }
}

void ft_cudnn_finalize(ft_cudnn_graph *g, ft_cudnn_descriptor d, const char *what)
{
    if (g->status == FT_OK)
        g->status = ft_cudnn_check(g->library, g->library->functions.BackendFinalize(d), what);
}

static void set_descriptor(ft_cudnn_graph *g, ft_cudnn_descriptor d, int name,
                           ft_cudnn_descriptor value)
{
    if (value != NULL)
        ft_cudnn_set(g, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void set_number(ft_cudnn_graph *g, ft_cudnn_descriptor d, int name, int64_t value)
{
    ft_cudnn_set(g, d, name, CUDNN_TYPE_INT64, 1, &value);
}

static void set_flag(ft_cudnn_graph *g, ft_cudnn_descriptor d, int name)
{
    ft_cudnn_set(g, d, name, CUDNN_TYPE_BOOLEAN, 1, &(bool){true});
}

/* A value of one of cuDNN's enumerations, which are ints. */
static void set_choice(ft_cudnn_graph *g, ft_cudnn_descriptor d, int name, int type, int value)
{
    ft_cudnn_set(g, d, name, type, 1, &value);
}

static void add_operation(ft_cudnn_graph *g, ft_cudnn_descriptor operation, const char *what)
{
    ft_cudnn_finalize(g, operation, what);
    if (g->status != FT_OK)
        return;
    if (g->operation_count == FT_CUDNN_MOST_OPERATIONS) {
        g->status = ft_error(FT_ERROR_RUNTIME, "a cuDNN graph has at most %d operations",
                             FT_CUDNN_MOST_OPERATIONS);
        return;
    }
    g->operations[g->operation_count++] = operation;
}

/* ---- tensors ---- */

ft_cudnn_tensor ft_cudnn_tensor_add(ft_cudnn_graph *g, const ft_cudnn_tensor_form *form)
{
    ft_cudnn_descriptor d = ft_cudnn_descriptor_add(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    int64_t id = form->id != 0 ? form->id : FT_CUDNN_FIRST_VIRTUAL + g->virtuals++;
    set_choice(g, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, form->type);
    ft_cudnn_set(g, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, form->rank, form->sizes);
    ft_cudnn_set(g, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, form->rank, form->strides);
    set_number(g, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
    set_number(g, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, FT_CUDNN_ALIGNMENT);
    if (form->id == 0)
        set_flag(g, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
    if (form->by_value)
        set_flag(g, d, CUDNN_ATTR_TENSOR_IS_BY_VALUE);
    set_descriptor(g, d, CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC, form->ragged);
    ft_cudnn_finalize(g, d, "a tensor");
    return d;
}

/* ---- operations ---- */

void ft_cudnn_multiply(ft_cudnn_graph *g, ft_cudnn_tensor a, ft_cudnn_tensor b, ft_cudnn_tensor c,
                       const ft_cudnn_extent *extent)
{
    ft_cudnn_descriptor how = ft_cudnn_descriptor_add(g, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    set_choice(g, how, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    ft_cudnn_finalize(g, how, "a product");
    ft_cudnn_descriptor o = ft_cudnn_descriptor_add(g, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_MATMUL_DESC, how);
    if (extent != NULL) {
        set_descriptor(g, o, CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC, extent->rows);
        set_descriptor(g, o, CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC, extent->columns);
        set_descriptor(g, o, CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC, extent->inner);
    }
    add_operation(g, o, "a product's operation");
}

/* What is computed for each element, and in which type. */
static ft_cudnn_descriptor pointwise_mode(ft_cudnn_graph *g, int mode, int type, int axis)
{
    ft_cudnn_descriptor d = ft_cudnn_descriptor_add(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set_choice(g, d, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
    set_choice(g, d, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, type);
    if (axis >= 0)
        set_number(g, d, CUDNN_ATTR_POINTWISE_AXIS, axis);
    ft_cudnn_finalize(g, d, "a pointwise mode");
    return d;
}

static void add_pointwise(ft_cudnn_graph *g, ft_cudnn_descriptor mode, ft_cudnn_tensor x,
                          ft_cudnn_tensor b, ft_cudnn_tensor mask, ft_cudnn_tensor y)
{
    ft_cudnn_descriptor o =
        ft_cudnn_descriptor_add(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, mode);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_POINTWISE_TDESC, mask);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    add_operation(g, o, "a pointwise operation");
}

void ft_cudnn_pointwise(ft_cudnn_graph *g, int mode, ft_cudnn_tensor x, ft_cudnn_tensor b,
                        ft_cudnn_tensor y)
{
    add_pointwise(g, pointwise_mode(g, mode, CUDNN_DATA_FLOAT, -1), x, b, NULL, y);
}

void ft_cudnn_index(ft_cudnn_graph *g, ft_cudnn_tensor x, int axis, ft_cudnn_tensor y)
{
    add_pointwise(g, pointwise_mode(g, CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_INT32, axis), x, NULL,
                  NULL, y);
}

void ft_cudnn_compare(ft_cudnn_graph *g, int mode, ft_cudnn_tensor x, ft_cudnn_tensor b,
                      ft_cudnn_tensor y)
{
    add_pointwise(g, pointwise_mode(g, mode, CUDNN_DATA_BOOLEAN, -1), x, b, NULL, y);
}

void ft_cudnn_select(ft_cudnn_graph *g, ft_cudnn_tensor mask, ft_cudnn_tensor x,
                     ft_cudnn_tensor other, ft_cudnn_tensor y)
{
    add_pointwise(g, pointwise_mode(g, CUDNN_POINTWISE_BINARY_SELECT, CUDNN_DATA_FLOAT, -1), x,
                  other, mask, y);
}

void ft_cudnn_reduce(ft_cudnn_graph *g, int operation, ft_cudnn_tensor x, ft_cudnn_tensor y)
{
    ft_cudnn_descriptor how = ft_cudnn_descriptor_add(g, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    set_choice(g, how, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    set_choice(g, how, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE,
               operation);
    ft_cudnn_finalize(g, how, "a reduction");
    ft_cudnn_descriptor o =
        ft_cudnn_descriptor_add(g, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_REDUCTION_DESC, how);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y);
    add_operation(g, o, "a reduction's operation");
}

void ft_cudnn_bernoulli(ft_cudnn_graph *g, double probability, ft_cudnn_tensor seed,
                        ft_cudnn_tensor offset, ft_cudnn_tensor y)
{
    ft_cudnn_descriptor how = ft_cudnn_descriptor_add(g, CUDNN_BACKEND_RNG_DESCRIPTOR);
    set_choice(g, how, CUDNN_ATTR_RNG_DISTRIBUTION, CUDNN_TYPE_RNG_DISTRIBUTION,
               CUDNN_RNG_DISTRIBUTION_BERNOULLI);
    ft_cudnn_set(g, how, CUDNN_ATTR_RNG_BERNOULLI_DIST_PROBABILITY, CUDNN_TYPE_DOUBLE, 1,
                 &probability);
    ft_cudnn_finalize(g, how, "random numbers");
    ft_cudnn_descriptor o = ft_cudnn_descriptor_add(g, CUDNN_BACKEND_OPERATION_RNG_DESCRIPTOR);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_RNG_DESC, how);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_RNG_SEED, seed);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_RNG_OFFSET_DESC, offset);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_RNG_YDESC, y);
    add_operation(g, o, "random numbers' operation");
}

void ft_cudnn_reshape(ft_cudnn_graph *g, ft_cudnn_tensor x, ft_cudnn_tensor y)
{
    ft_cudnn_descriptor o = ft_cudnn_descriptor_add(g, CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y);
    add_operation(g, o, "a reshape");
}
