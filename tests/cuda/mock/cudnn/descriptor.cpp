#include "descriptor.h"

#include "failure.h"

namespace mock
{

namespace
{

const Use REQUIRED = Use::REQUIRED, OPTIONAL = Use::OPTIONAL, ANSWER = Use::ANSWER;
const int DESCRIPTOR = CUDNN_TYPE_BACKEND_DESCRIPTOR, DATA_TYPE = CUDNN_TYPE_DATA_TYPE;
const int INTEGER = CUDNN_TYPE_INT64, BOOLEAN = CUDNN_TYPE_BOOLEAN, HANDLE = CUDNN_TYPE_HANDLE;
const int64_t MANY = 1 << 30;
const int64_t MOST_DIMENSIONS = 8;

const std::vector<Kinds> ALL = {
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR,
     "tensor",
     {{CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, INTEGER, 1, 1, REQUIRED},
      {CUDNN_ATTR_TENSOR_DATA_TYPE, DATA_TYPE, 1, 1, REQUIRED},
      {CUDNN_ATTR_TENSOR_DIMENSIONS, INTEGER, 1, MOST_DIMENSIONS, REQUIRED},
      {CUDNN_ATTR_TENSOR_STRIDES, INTEGER, 1, MOST_DIMENSIONS, REQUIRED},
      {CUDNN_ATTR_TENSOR_UNIQUE_ID, INTEGER, 1, 1, REQUIRED},
      {CUDNN_ATTR_TENSOR_IS_VIRTUAL, BOOLEAN, 1, 1, OPTIONAL},
      {CUDNN_ATTR_TENSOR_IS_BY_VALUE, BOOLEAN, 1, 1, OPTIONAL},
      {CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC, DESCRIPTOR, 1, 1, OPTIONAL}}},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR,
     "pointwise",
     {{CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, 1, REQUIRED},
      {CUDNN_ATTR_POINTWISE_MATH_PREC, DATA_TYPE, 1, 1, REQUIRED},
      {CUDNN_ATTR_POINTWISE_AXIS, INTEGER, 1, 1, OPTIONAL}}},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
     "pointwise operation",
     {{CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, DESCRIPTOR, 1, 1, OPTIONAL},
      {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_POINTWISE_TDESC, DESCRIPTOR, 1, 1, OPTIONAL}}},
    {CUDNN_BACKEND_MATMUL_DESCRIPTOR,
     "matmul",
     {{CUDNN_ATTR_MATMUL_COMP_TYPE, DATA_TYPE, 1, 1, REQUIRED}}},
    {CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR,
     "matmul operation",
     {{CUDNN_ATTR_OPERATION_MATMUL_ADESC, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_MATMUL_BDESC, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_MATMUL_CDESC, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_MATMUL_DESC, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC, DESCRIPTOR, 1, 1, OPTIONAL},
      {CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC, DESCRIPTOR, 1, 1, OPTIONAL},
      {CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC, DESCRIPTOR, 1, 1, OPTIONAL}}},
    {CUDNN_BACKEND_REDUCTION_DESCRIPTOR,
     "reduction",
     {{CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, 1, REQUIRED},
      {CUDNN_ATTR_REDUCTION_COMP_TYPE, DATA_TYPE, 1, 1, REQUIRED}}},
    {CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR,
     "reduction operation",
     {{CUDNN_ATTR_OPERATION_REDUCTION_XDESC, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_REDUCTION_YDESC, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_REDUCTION_DESC, DESCRIPTOR, 1, 1, REQUIRED}}},
    {CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR,
     "reshape operation",
     {{CUDNN_ATTR_OPERATION_RESHAPE_XDESC, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_RESHAPE_YDESC, DESCRIPTOR, 1, 1, REQUIRED}}},
    {CUDNN_BACKEND_RNG_DESCRIPTOR,
     "rng",
     {{CUDNN_ATTR_RNG_DISTRIBUTION, CUDNN_TYPE_RNG_DISTRIBUTION, 1, 1, REQUIRED},
      {CUDNN_ATTR_RNG_BERNOULLI_DIST_PROBABILITY, CUDNN_TYPE_DOUBLE, 1, 1, REQUIRED}}},
    {CUDNN_BACKEND_OPERATION_RNG_DESCRIPTOR,
     "rng operation",
     {{CUDNN_ATTR_OPERATION_RNG_YDESC, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_RNG_SEED, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_RNG_DESC, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_OPERATION_RNG_OFFSET_DESC, DESCRIPTOR, 1, 1, REQUIRED}}},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR,
     "operation graph",
     {{CUDNN_ATTR_OPERATIONGRAPH_OPS, DESCRIPTOR, 1, MANY, REQUIRED},
      {CUDNN_ATTR_OPERATIONGRAPH_HANDLE, HANDLE, 1, 1, OPTIONAL}}},
    {CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR,
     "device properties",
     {{CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 1, MANY, REQUIRED}}},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
     "heuristics",
     {{CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, DESCRIPTOR, 1, 1, REQUIRED},
      {CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, 1, REQUIRED},
      {CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, DESCRIPTOR, 1, 1, OPTIONAL},
      {CUDNN_ATTR_ENGINEHEUR_RESULTS, DESCRIPTOR, 0, MANY, ANSWER}}},
    {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
     "engine configuration",
     {{CUDNN_ATTR_ENGINECFG_ENGINE, DESCRIPTOR, 1, 1, ANSWER}}},
    {CUDNN_BACKEND_ENGINE_DESCRIPTOR,
     "engine",
     {{CUDNN_ATTR_ENGINE_GLOBAL_INDEX, INTEGER, 1, 1, ANSWER}}},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR,
     "execution plan",
     {{CUDNN_ATTR_EXECUTION_PLAN_HANDLE, HANDLE, 1, 1, OPTIONAL},
      {CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, DESCRIPTOR, 1, 1, OPTIONAL},
      {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, DESCRIPTOR, 1, 1, OPTIONAL},
      {CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 1, MANY, OPTIONAL},
      {CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, INTEGER, 1, 1, ANSWER}}},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
     "variant pack",
     {{CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, INTEGER, 1, MANY, REQUIRED},
      {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 1, MANY, REQUIRED},
      {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, 1, OPTIONAL}}},
};

} // namespace

const Kinds &kind_of(int kind)
{
    for (const Kinds &known : ALL)
        if (known.kind == kind)
            return known;
    fail(CUDNN_STATUS_NOT_SUPPORTED, "descriptors of type %d are none that the mock knows", kind);
}

size_t element_bytes(int attribute_type)
{
    switch (attribute_type) {
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
        return 1;
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return 8;
    default: // an enumeration
        return 4;
    }
}

void check_usable(const Descriptor &descriptor, int kind)
{
    if (descriptor.kind != kind)
        refuse("a descriptor of kind '%s' where '%s' is needed", descriptor.name(),
               kind_of(kind).name);
    if (descriptor.destroyed)
        refuse("the %s descriptor that is referred to was destroyed", descriptor.name());
    if (!descriptor.finalized)
        refuse("the %s descriptor that is referred to is not finalised", descriptor.name());
}

const char *Descriptor::name() const
{
    return kind_of(kind).name;
}

const Attribute &Descriptor::attribute(int name, int type) const
{
    for (const Attribute &known : kind_of(kind).attributes) {
        if (known.name != name)
            continue;
        if (known.type != type)
            refuse("attribute %d of '%s' has elements of type %d, not %d", name, this->name(),
                   known.type, type);
        return known;
    }
    refuse("'%s' has no attribute %d", this->name(), name);
}

void Descriptor::set(int name, int type, int64_t count, Value value)
{
    if (finalized)
        refuse("attribute %d of '%s' is set after it was finalised", name, this->name());
    const Attribute &known = attribute(name, type);
    if (known.use == Use::ANSWER)
        refuse("attribute %d of '%s' cannot be set", name, this->name());
    if (count < known.fewest || count > known.most)
        refuse("attribute %d of '%s' with %ld elements", name, this->name(), (long)count);
    values[name] = std::move(value);
}

bool Descriptor::has(int name) const
{
    return values.count(name) != 0;
}

const Value &Descriptor::value(int name) const
{
    auto found = values.find(name);
    if (found == values.end())
        refuse("attribute %d of '%s' is not set", name, this->name());
    return found->second;
}

std::string Descriptor::characters(int name) const
{
    const std::vector<uint8_t> &bytes = value(name).bytes;
    std::string all(bytes.begin(), bytes.end());
    return all.c_str(); // up to a terminating zero, if there is one
}

const Descriptor &Descriptor::reference(int name, int of_kind) const
{
    const Descriptor &other = *value(name).references.at(0);
    check_usable(other, of_kind);
    return other;
}

void Descriptor::check_complete() const
{
    for (const Attribute &known : kind_of(kind).attributes)
        if (known.use == Use::REQUIRED && !has(known.name))
            refuse("'%s' is finalised without attribute %d", name(), known.name);
}

} // namespace mock
