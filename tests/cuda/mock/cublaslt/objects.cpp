// Layouts, operations and preferences, and their attributes.
#include "cublaslt.h"

#include <cstring>

namespace cublaslt
{

size_t type_bytes(int type)
{
    return type == CUDA_R_32F ? 4 : 2;
}

int64_t Layout::bytes() const
{
    return ((columns - 1) * leading + rows) * (int64_t)type_bytes(type);
}

bool Layout::operator==(const Layout &other) const
{
    return type == other.type && rows == other.rows && columns == other.columns &&
           leading == other.leading;
}

namespace
{

template <typename T> int create(void **out, T value)
{
    FT_REFUSE_IF(!out, "no place for what is created");
    T *object = new T(value);
    alive<T>().insert(object);
    *out = object;
    return CUBLAS_STATUS_SUCCESS;
}

template <typename T> int destroy(void *object)
{
    FT_REFUSE_IF(!alive<T>().erase((T *)object), "no such object");
    delete (T *)object;
    return CUBLAS_STATUS_SUCCESS;
}

template <typename T> int set(T *attribute, int name, const void *value, size_t size)
{
    FT_REFUSE_IF(!value, "attribute %d has no value", name);
    FT_REFUSE_IF(size != sizeof *attribute, "attribute %d has %zu bytes, not %zu", name,
                 sizeof *attribute, size);
    memcpy(attribute, value, size);
    return CUBLAS_STATUS_SUCCESS;
}

} // namespace

} // namespace cublaslt

using namespace cublaslt;

FT_EXPORT int cublasLtMatrixLayoutCreate(void **out, int type, uint64_t rows, uint64_t columns,
                                         int64_t leading)
{
    FT_HOOK(cublasLtMatrixLayoutCreate);
    FT_REFUSE_IF(type != CUDA_R_32F && type != CUDA_R_16F && type != CUDA_R_16BF, "type %d", type);
    FT_REFUSE_IF(rows == 0 || columns == 0 || rows > INT32_MAX || columns > INT32_MAX,
                 "a matrix of %zu rows and %zu columns", (size_t)rows, (size_t)columns);
    FT_REFUSE_IF(leading < (int64_t)rows, "columns of %zu rows are %ld apart", (size_t)rows,
                 (long)leading);
    return create(out, Layout{type, (int64_t)rows, (int64_t)columns, leading});
}

FT_EXPORT int cublasLtMatrixLayoutDestroy(void *layout)
{
    FT_HOOK(cublasLtMatrixLayoutDestroy);
    return destroy<Layout>(layout);
}

FT_EXPORT int cublasLtMatmulDescCreate(void **out, int compute_type, int scale_type)
{
    FT_HOOK(cublasLtMatmulDescCreate);
    FT_REFUSE_IF(compute_type != CUBLAS_COMPUTE_32F && compute_type != CUBLAS_COMPUTE_32F_FAST_TF32,
                 "the mock does not compute as %d", compute_type);
    return create(out, Operation{compute_type, scale_type, CUBLAS_OP_N, CUBLAS_OP_N,
                                 CUBLASLT_EPILOGUE_DEFAULT, nullptr});
}

FT_EXPORT int cublasLtMatmulDescDestroy(void *operation)
{
    FT_HOOK(cublasLtMatmulDescDestroy);
    return destroy<Operation>(operation);
}

FT_EXPORT int cublasLtMatmulDescSetAttribute(void *handle, int name, const void *value, size_t size)
{
    FT_HOOK(cublasLtMatmulDescSetAttribute);
    Operation *operation = find<Operation>(handle);
    FT_REFUSE_IF(!operation, "no such operation");
    switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return set(&operation->transposed_a, name, value, size);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return set(&operation->transposed_b, name, value, size);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return set(&operation->epilogue, name, value, size);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return set(&operation->bias, name, value, size);
    default:
        return failure(CUBLAS_STATUS_INVALID_VALUE, "the mock has no attribute %d", name);
    }
}

FT_EXPORT int cublasLtMatmulPreferenceCreate(void **out)
{
    FT_HOOK(cublasLtMatmulPreferenceCreate);
    return create(out, Preference{0, 7, {256, 256, 256, 256}});
}

FT_EXPORT int cublasLtMatmulPreferenceDestroy(void *preference)
{
    FT_HOOK(cublasLtMatmulPreferenceDestroy);
    return destroy<Preference>(preference);
}

FT_EXPORT int cublasLtMatmulPreferenceSetAttribute(void *handle, int name, const void *value,
                                                   size_t size)
{
    FT_HOOK(cublasLtMatmulPreferenceSetAttribute);
    Preference *preference = find<Preference>(handle);
    FT_REFUSE_IF(!preference, "no such preferences");
    switch (name) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return set(&preference->workspace, name, value, size);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return set(&preference->schemes, name, value, size);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return set(&preference->alignments[name - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], name,
                   value, size);
    default:
        return failure(CUBLAS_STATUS_INVALID_VALUE, "the mock has no preference %d", name);
    }
}
