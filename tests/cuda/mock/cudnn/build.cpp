#include "build.h"

#include <algorithm>

#include "failure.h"

namespace mock
{

namespace
{

Tensor tensor_of(const Descriptor &descriptor)
{
    Tensor tensor{};
    tensor.uid = descriptor.scalar<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID);
    tensor.type = descriptor.scalar<int>(CUDNN_ATTR_TENSOR_DATA_TYPE);
    tensor.dims = descriptor.array<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
    tensor.strides = descriptor.array<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
    tensor.alignment = descriptor.scalar<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
    tensor.is_virtual = descriptor.scalar<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL, false);
    tensor.by_value = descriptor.scalar<bool>(CUDNN_ATTR_TENSOR_IS_BY_VALUE, false);
    if (descriptor.has(CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC))
        tensor.ragged =
            descriptor
                .reference(CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC, CUDNN_BACKEND_TENSOR_DESCRIPTOR)
                .scalar<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID);
    return tensor;
}

void check_ragged(const Tensor &tensor, const Tensor &offsets)
{
    if (tensor.rank() != 4)
        refuse("ragged tensor %ld has %zu dimensions, not 4", (long)tensor.uid, tensor.rank());
    if (offsets.type != CUDNN_DATA_INT32 || offsets.is_virtual || offsets.by_value ||
        offsets.ragged != NONE || offsets.dims[0] != tensor.dims[0] + 1 ||
        offsets.elements() != tensor.dims[0] + 1)
        refuse("the offsets of ragged tensor %ld (%ld) are %s %s, not INT32 [batches + 1] in "
               "memory",
               (long)tensor.uid, (long)offsets.uid, type_name(offsets.type),
               text(offsets.dims).c_str());
}

// Whether no two elements share memory: each dimension steps over all that the smaller ones span.
// Where a ragged tensor's batches lie is known only when it runs.
bool apart(const Tensor &tensor)
{
    std::vector<std::pair<int64_t, int64_t>> steps;
    for (size_t i = tensor.ragged == NONE ? 0 : 1; i < tensor.rank(); i++)
        if (tensor.dims[i] > 1)
            steps.emplace_back(tensor.strides[i], tensor.dims[i]);
    std::sort(steps.begin(), steps.end());
    int64_t span = 1;
    for (auto [stride, dim] : steps) {
        if (stride < span)
            return false;
        span = stride * (dim - 1) + span;
    }
    return true;
}

int add_tensor(Program &program, const Descriptor &operation, int name)
{
    if (!operation.has(name))
        return NONE;
    const Descriptor &descriptor = operation.reference(name, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    int added = program.add(tensor_of(descriptor));
    if (descriptor.has(CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC))
        program.add(tensor_of(descriptor.reference(CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC,
                                                   CUDNN_BACKEND_TENSOR_DESCRIPTOR)));
    return added;
}

struct Operand {
    Role role;
    int attribute;
};

const std::vector<Operand> &operands_of(int kind)
{
    static const std::vector<Operand> matmul = {
        {A, CUDNN_ATTR_OPERATION_MATMUL_ADESC},
        {B, CUDNN_ATTR_OPERATION_MATMUL_BDESC},
        {OUT, CUDNN_ATTR_OPERATION_MATMUL_CDESC},
        {M, CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC},
        {N, CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC},
        {K, CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC}};
    static const std::vector<Operand> pointwise = {{A, CUDNN_ATTR_OPERATION_POINTWISE_XDESC},
                                                   {B, CUDNN_ATTR_OPERATION_POINTWISE_BDESC},
                                                   {T, CUDNN_ATTR_OPERATION_POINTWISE_TDESC},
                                                   {OUT, CUDNN_ATTR_OPERATION_POINTWISE_YDESC}};
    static const std::vector<Operand> reduction = {{A, CUDNN_ATTR_OPERATION_REDUCTION_XDESC},
                                                   {OUT, CUDNN_ATTR_OPERATION_REDUCTION_YDESC}};
    static const std::vector<Operand> reshape = {{A, CUDNN_ATTR_OPERATION_RESHAPE_XDESC},
                                                 {OUT, CUDNN_ATTR_OPERATION_RESHAPE_YDESC}};
    static const std::vector<Operand> rng = {{OUT, CUDNN_ATTR_OPERATION_RNG_YDESC},
                                             {SEED, CUDNN_ATTR_OPERATION_RNG_SEED},
                                             {OFFSET, CUDNN_ATTR_OPERATION_RNG_OFFSET_DESC}};
    switch (kind) {
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
        return matmul;
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return pointwise;
    case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
        return reduction;
    case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
        return reshape;
    default:
        return rng;
    }
}

void need_float(int type, const char *what)
{
    if (type != CUDNN_DATA_FLOAT)
        fail(CUDNN_STATUS_NOT_SUPPORTED, "%s in %s; the mock computes in FLOAT", what,
             type_name(type));
}

Step step_of(Program &program, const Descriptor &operation)
{
    Step step{};
    for (const Operand &operand : operands_of(operation.kind))
        step.tensors[operand.role] = add_tensor(program, operation, operand.attribute);
    switch (operation.kind) {
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR: {
        const Descriptor &how =
            operation.reference(CUDNN_ATTR_OPERATION_MATMUL_DESC, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
        step.kind = Kind::MATMUL;
        need_float(how.scalar<int>(CUDNN_ATTR_MATMUL_COMP_TYPE), "a matmul");
        break;
    }
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: {
        const Descriptor &how = operation.reference(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
                                                    CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
        step.kind = Kind::POINTWISE;
        step.mode = how.scalar<int>(CUDNN_ATTR_POINTWISE_MODE);
        step.axis = how.scalar<int64_t>(CUDNN_ATTR_POINTWISE_AXIS, NONE);
        break;
    }
    case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR: {
        const Descriptor &how = operation.reference(CUDNN_ATTR_OPERATION_REDUCTION_DESC,
                                                    CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
        step.kind = Kind::REDUCTION;
        step.mode = how.scalar<int>(CUDNN_ATTR_REDUCTION_OPERATOR);
        need_float(how.scalar<int>(CUDNN_ATTR_REDUCTION_COMP_TYPE), "a reduction");
        break;
    }
    case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
        step.kind = Kind::RESHAPE;
        break;
    default: {
        const Descriptor &how =
            operation.reference(CUDNN_ATTR_OPERATION_RNG_DESC, CUDNN_BACKEND_RNG_DESCRIPTOR);
        step.kind = Kind::RNG;
        step.probability = how.scalar<double>(CUDNN_ATTR_RNG_BERNOULLI_DIST_PROBABILITY);
        break;
    }
    }
    program.check(step);
    return step;
}

} // namespace

bool is_operation(int kind)
{
    return kind == CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR ||
           kind == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR ||
           kind == CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR ||
           kind == CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR ||
           kind == CUDNN_BACKEND_OPERATION_RNG_DESCRIPTOR;
}

void check_tensor(const Descriptor &descriptor)
{
    Tensor tensor = tensor_of(descriptor);
    int64_t bytes = (int64_t)type_bytes(tensor.type), alignment = tensor.alignment;
    if (tensor.dims.size() != tensor.strides.size())
        refuse("tensor %ld has %zu dimensions and %zu strides", (long)tensor.uid,
               tensor.dims.size(), tensor.strides.size());
    for (size_t i = 0; i < tensor.rank(); i++)
        if (tensor.dims[i] <= 0 || tensor.strides[i] <= 0)
            refuse("tensor %ld: dimensions %s, strides %s", (long)tensor.uid,
                   text(tensor.dims).c_str(), text(tensor.strides).c_str());
    if (alignment < bytes || (alignment & (alignment - 1)))
        refuse("tensor %ld of %s: alignment %ld", (long)tensor.uid, type_name(tensor.type),
               (long)alignment);
    if (tensor.is_virtual && tensor.by_value)
        refuse("tensor %ld is virtual and by value", (long)tensor.uid);
    if (tensor.by_value && tensor.elements() != 1)
        refuse("tensor %ld is by value, and has %ld elements", (long)tensor.uid,
               (long)tensor.elements());
    if (tensor.ragged != NONE)
        check_ragged(tensor, tensor_of(descriptor.reference(CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC,
                                                            CUDNN_BACKEND_TENSOR_DESCRIPTOR)));
}

void check_operation(const Descriptor &operation)
{
    Program alone;
    step_of(alone, operation);
}

std::shared_ptr<const Program> build_program(const Descriptor &graph)
{
    auto program = std::make_shared<Program>();
    for (const Reference &operation : graph.value(CUDNN_ATTR_OPERATIONGRAPH_OPS).references) {
        if (!is_operation(operation->kind))
            refuse("'%s' is no operation", operation->name());
        check_usable(*operation, operation->kind);
        program->steps.push_back(step_of(*program, *operation));
    }
    program->order();
    for (const Step &step : program->steps) {
        const Tensor &out = *program->at(step, OUT);
        if (!out.is_virtual && !apart(out))
            refuse("elements of output %ld share memory: dimensions %s, strides %s", (long)out.uid,
                   text(out.dims).c_str(), text(out.strides).c_str());
    }
    return program;
}

} // namespace mock
