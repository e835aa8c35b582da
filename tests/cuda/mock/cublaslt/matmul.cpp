// The heuristic, which checks what it is asked for, and matmuls, which hold the caller to it.
#include "cublaslt.h"

#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <vector>

#include "interpret.h"

namespace cublaslt
{

Preference last_preference;
int matmuls[2];

namespace
{

enum {
    MAGIC = 0x6d6f636b,     // begins an algorithm of the mock's
    WORKSPACE_BYTES = 8192, // that it takes for long sums, where it is granted as much
    LONG_SUM = 128,
};

// What an algorithm was chosen for. An algorithm holds its number.
struct Problem {
    Operation operation;
    Layout a, b, c, d;
    uint32_t alignments[4];
    uint32_t bias_alignment;
    size_t workspace;
};

std::vector<Problem> problems;

uint32_t alignment_of(const void *pointer)
{
    uintptr_t address = (uintptr_t)pointer | 256;
    return (uint32_t)(address & -address);
}

// NVIDIA's table of what cublasLtMatmul takes together, as far as these types go.
bool is_supported(const Operation &o, int a, int b, int c, int d)
{
    return o.scale_type == CUDA_R_32F && a == b && c == d && (c == a || c == CUDA_R_32F) &&
           (a == CUDA_R_32F || o.compute_type == CUBLAS_COMPUTE_32F);
}

int check_sizes(const Problem &p)
{
    const Operation &o = p.operation;
    FT_REFUSE_IF((uint32_t)o.transposed_a > 1 || (uint32_t)o.transposed_b > 1,
                 "transposed otherwise than N or T");
    int64_t m = o.transposed_a ? p.a.columns : p.a.rows;
    int64_t inner = o.transposed_a ? p.a.rows : p.a.columns;
    int64_t inner_b = o.transposed_b ? p.b.columns : p.b.rows;
    int64_t n = o.transposed_b ? p.b.rows : p.b.columns;
    FT_REFUSE_IF(inner != inner_b, "A has an inner size of %ld, B of %ld", (long)inner,
                 (long)inner_b);
    FT_REFUSE_IF(p.d.rows != m || p.d.columns != n, "D is [%ld, %ld], not [%ld, %ld]",
                 (long)p.d.rows, (long)p.d.columns, (long)m, (long)n);
    FT_REFUSE_IF(!(p.c == p.d), "C and D have not the same layout");
    return CUBLAS_STATUS_SUCCESS;
}

int check(const Problem &p)
{
    FT_FORWARD_FAILURE(check_sizes(p));
    if (!is_supported(p.operation, p.a.type, p.b.type, p.c.type, p.d.type))
        return failure(CUBLAS_STATUS_NOT_SUPPORTED,
                       "types %d, %d, %d and %d, computed as %d, scaled in %d", p.a.type, p.b.type,
                       p.c.type, p.d.type, p.operation.compute_type, p.operation.scale_type);
    bool with_bias = p.operation.epilogue == CUBLASLT_EPILOGUE_BIAS;
    if (!with_bias && p.operation.epilogue != CUBLASLT_EPILOGUE_DEFAULT)
        return failure(CUBLAS_STATUS_NOT_SUPPORTED, "the mock has no epilogue %u",
                       p.operation.epilogue);
    FT_REFUSE_IF(with_bias && !p.operation.bias, "a bias, but not where it is");
    const int types[] = {p.a.type, p.b.type, p.c.type, p.d.type};
    for (int i = 0; i < 4; i++) {
        uint32_t alignment = p.alignments[i];
        FT_REFUSE_IF(alignment < type_bytes(types[i]) || (alignment & (alignment - 1)),
                     "a matrix aligned to %u bytes", alignment);
    }
    return CUBLAS_STATUS_SUCCESS;
}

int look_up(void *operation, void *a, void *b, void *c, void *d, Problem &out)
{
    FT_REFUSE_IF(!find<Operation>(operation), "no such operation");
    for (void *layout : {a, b, c, d})
        FT_REFUSE_IF(!find<Layout>(layout), "no such layout");
    out.operation = *find<Operation>(operation);
    out.a = *find<Layout>(a), out.b = *find<Layout>(b);
    out.c = *find<Layout>(c), out.d = *find<Layout>(d);
    return CUBLAS_STATUS_SUCCESS;
}

bool is_same(const Problem &p, const Problem &q)
{
    return p.operation.compute_type == q.operation.compute_type &&
           p.operation.scale_type == q.operation.scale_type &&
           p.operation.transposed_a == q.operation.transposed_a &&
           p.operation.transposed_b == q.operation.transposed_b &&
           p.operation.epilogue == q.operation.epilogue && p.a == q.a && p.b == q.b && p.c == q.c &&
           p.d == q.d;
}

bool overlap(const void *x, int64_t x_bytes, const void *y, int64_t y_bytes)
{
    return (const char *)x < (const char *)y + y_bytes &&
           (const char *)y < (const char *)x + x_bytes;
}

int check_memory(const Problem &p, const Work &w, size_t workspace_bytes)
{
    const void *const pointers[] = {w.a, w.b, w.c, w.d};
    const Layout *const layouts[] = {&p.a, &p.b, &p.c, &p.d};
    for (int i = 0; i < 4; i++) {
        FT_REFUSE_IF(!pointers[i], "matrix %c is NULL", "ABCD"[i]);
        FT_REFUSE_IF((uintptr_t)pointers[i] % p.alignments[i],
                     "matrix %c lies at %p, but was said to be aligned to %u bytes", "ABCD"[i],
                     pointers[i], p.alignments[i]);
    }
    for (int i = 0; i < 3; i++)
        FT_REFUSE_IF(!(i == 2 && w.c == w.d) &&
                         overlap(pointers[i], layouts[i]->bytes(), w.d, p.d.bytes()),
                     "D lies over %c", "ABC"[i]);
    FT_REFUSE_IF(p.bias_alignment && (!w.bias || (uintptr_t)w.bias % p.bias_alignment),
                 "the bias lies at %p, but was said to be aligned to %u bytes", w.bias,
                 p.bias_alignment);
    FT_REFUSE_IF(workspace_bytes < p.workspace, "a workspace of %zu bytes, not %zu",
                 workspace_bytes, p.workspace);
    FT_REFUSE_IF(p.workspace && (!w.workspace || (uintptr_t)w.workspace % 16),
                 "the workspace lies at %p", w.workspace);
    return CUBLAS_STATUS_SUCCESS;
}

// The mock driver's; nullptr: there is none, or the stream is none of its own.
decltype(&mock_enqueue) find_enqueue(void *stream)
{
    void *driver = stream ? dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD) : nullptr;
    return driver ? (decltype(&mock_enqueue))dlsym(driver, "mock_enqueue") : nullptr;
}

} // namespace

} // namespace cublaslt

using namespace cublaslt;

FT_EXPORT int cublasLtMatmulAlgoGetHeuristic(ft_cublaslt_handle handle, void *operation, void *a,
                                             void *b, void *c, void *d, void *wishes, int wanted,
                                             ft_cublaslt_choice *choices, int *found)
{
    FT_HOOK(cublasLtMatmulAlgoGetHeuristic);
    FT_REFUSE_IF(!is_handle(handle), "no such handle");
    FT_REFUSE_IF(!find<Preference>(wishes), "no such preferences");
    FT_REFUSE_IF(wanted < 1 || !choices || !found, "no room for an algorithm");
    const Preference &preference = last_preference = *find<Preference>(wishes);
    Problem p{};
    FT_FORWARD_FAILURE(look_up(operation, a, b, c, d, p));
    memcpy(p.alignments, preference.alignments, sizeof p.alignments);
    FT_FORWARD_FAILURE(check(p));
    if (p.operation.epilogue == CUBLASLT_EPILOGUE_BIAS)
        p.bias_alignment = alignment_of(p.operation.bias);
    int64_t inner = p.operation.transposed_a ? p.a.rows : p.a.columns;
    p.workspace =
        inner >= LONG_SUM && preference.workspace >= WORKSPACE_BYTES ? WORKSPACE_BYTES : 0;
    choices[0] = {};
    choices[0].algorithm.data[0] = MAGIC;
    choices[0].algorithm.data[1] = problems.size();
    choices[0].workspace = p.workspace;
    problems.push_back(p);
    *found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

FT_EXPORT int cublasLtMatmul(ft_cublaslt_handle handle, void *operation, const void *alpha,
                             const void *a, void *layout_a, const void *b, void *layout_b,
                             const void *beta, const void *c, void *layout_c, void *d,
                             void *layout_d, const ft_cublaslt_algorithm *algorithm,
                             void *workspace, size_t workspace_bytes, void *stream)
{
    FT_HOOK(cublasLtMatmul);
    FT_REFUSE_IF(!is_handle(handle), "no such handle");
    FT_REFUSE_IF(!alpha || !beta, "alpha or beta is NULL");
    FT_REFUSE_IF(!algorithm || algorithm->data[0] != MAGIC || algorithm->data[1] >= problems.size(),
                 "an algorithm that no heuristic named");
    const Problem &promised = problems[algorithm->data[1]];
    Problem p{};
    FT_FORWARD_FAILURE(look_up(operation, layout_a, layout_b, layout_c, layout_d, p));
    FT_REFUSE_IF(!is_same(p, promised), "the algorithm was chosen for something else");
    Work w{};
    w.operation = p.operation;
    w.layout_a = p.a, w.layout_b = p.b, w.layout_d = p.d;
    w.a = a, w.b = b, w.c = c, w.d = d;
    w.bias = promised.bias_alignment ? p.operation.bias : nullptr;
    w.workspace = workspace, w.workspace_bytes = promised.workspace;
    memcpy(&w.alpha, alpha, sizeof w.alpha);
    memcpy(&w.beta, beta, sizeof w.beta);
    FT_FORWARD_FAILURE(check_memory(promised, w, workspace_bytes));
    matmuls[p.operation.compute_type == CUBLAS_COMPUTE_32F_FAST_TF32]++;
    auto enqueue = find_enqueue(stream);
    int result = enqueue ? enqueue(stream, interpret, &w, sizeof w) : interpret(&w);
    return result ? failure(CUBLAS_STATUS_EXECUTION_FAILED, "CUresult %d", result)
                  : CUBLAS_STATUS_SUCCESS;
}
