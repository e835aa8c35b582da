#include <stdlib.h>

#include "backend/cuda/cublaslt/cublaslt.h"
#include "backend/cuda/cublaslt/plans.h"
#include "backend/cuda/tape.h"
#include "backend/precision.h"

struct ft_cublaslt {
    ft_cublaslt_library library;
    ft_cublaslt_plans plans;
};

/* ---- life ---- */

static ft_status start(ft_cublaslt *c)
{
    ft_cuda_library loaded;
    FT_FORWARD(ft_cuda_library_need(FT_CUDA_LIBRARY_CUBLASLT, &loaded));
    FT_FORWARD(ft_cublaslt_library_find(&loaded, &c->library));
    c->plans.library = &c->library;
    return ft_cublaslt_check(&c->library, c->library.functions.Create(&c->plans.handle),
                             "starting on this GPU");
}

ft_status ft_cublaslt_create(ft_cublaslt **out)
{
    ft_cublaslt *c = calloc(1, sizeof *c);
    FT_RETURN_IF(c == NULL, FT_ERROR_MEMORY, "cannot allocate what cuBLASLt needs");
    ft_status status = start(c);
    if (status != FT_OK) {
        ft_cublaslt_destroy(c);
        return status;
    }
    *out = c;
    return FT_OK;
}

void ft_cublaslt_destroy(ft_cublaslt *c)
{
    ft_cublaslt_plans_end(&c->plans);
    if (c->plans.handle != NULL)
        c->library.functions.Destroy(c->plans.handle);
    free(c);
}

/* ---- execution ---- */

/* A product as it lies on the tape: starts as zeros, which have no padding. */
typedef struct product_call {
    const ft_cublaslt_plan *plan;
    const void *a, *b, *bias; /* ours; bias NULL: none */
    void *out, *workspace;
    float beta;
    int32_t unused;
} product_call;

/* Of the tape's calls. The plan is that of other layers too, so their biases are set here; what is
 * captured keeps this one. */
static ft_status execute(ft_cuda *cuda, const void *arguments)
{
    const product_call *call = arguments;
    const ft_cublaslt_plan *plan = call->plan;
    const ft_cublaslt *c = cuda->cublaslt;
    const ft_cublaslt_functions *f = &c->library.functions;
    const float alpha = 1.0f;
    if (call->bias != NULL)
        FT_FORWARD(ft_cublaslt_set_bias(&c->plans, plan, call->bias));
    return ft_cublaslt_check(&c->library,
                             f->Matmul(c->plans.handle, plan->operation, &alpha, call->b, plan->a,
                                       call->a, plan->b, &call->beta, call->out, plan->out,
                                       call->out, plan->out, &plan->algorithm, call->workspace,
                                       plan->workspace, cuda->stream),
                             "a product");
}

/* The largest power of two that divides the address, up to what device memory begins at. */
static uint32_t alignment_of(const void *memory)
{
    uintptr_t address = (uintptr_t)memory | 256;
    return (uint32_t)(address & -address);
}

ft_status ft_cublaslt_record_product(ft_cuda *cuda, const ft_cublaslt_product *p)
{
    if (p->m == 0 || p->n == 0)
        return FT_OK;
    if (p->k == 0 && p->bias == NULL) { /* sums of nothing, for which cuBLASLt has no product */
        size_t bytes = (size_t)p->m * (size_t)p->n * ft_precision_bytes(p->out_precision);
        return p->add ? FT_OK : ft_cuda_zero(cuda, p->out, bytes);
    }
    FT_RETURN_IF(p->bias != NULL && p->out_precision != p->precision, FT_ERROR_VALUE,
                 "a product with a bias in %s cannot be %s", ft_precision_name(p->precision),
                 ft_precision_name(p->out_precision));
    const ft_cublaslt_shape shape = {
        .precision = p->precision,
        .out_precision = p->out_precision,
        .m = p->m,
        .n = p->n,
        .k = p->k,
        .a_transposed = p->a_transposed,
        .b_transposed = p->b_transposed,
        .tf32 = p->tf32 && p->precision == FT_FLOAT32,
        .a_alignment = alignment_of(p->a),
        .b_alignment = alignment_of(p->b),
        .out_alignment = alignment_of(p->out),
        .bias_alignment = p->bias != NULL ? alignment_of(p->bias) : 0,
    };
    product_call call = {
        .a = p->a, .b = p->b, .bias = p->bias, .out = p->out, .beta = p->add ? 1.0f : 0.0f};
    FT_FORWARD(ft_cublaslt_plan_find(&cuda->cublaslt->plans, &shape, p->bias, &call.plan));
    if (call.plan->workspace > 0)
        FT_FORWARD(ft_cuda_scratch(cuda, call.plan->workspace, &call.workspace));
    return ft_cuda_record_call(cuda, execute, &call, sizeof call);
}
