/* cuBLASLt's matrices are column-major, which makes ours their own transposes: a row-major [m, n]
 * is a column-major [n, m] in the same memory. So what it is asked for is out^T = b^T a^T: its A is
 * b, its B is a, and its bias, which it adds to each of D's columns, is added to each of our rows.
 */
#include "backend/cuda/cublaslt/plans.h"

#include <stdlib.h>
#include <string.h>

#include "backend/precision.h"
#include "common/hash.h"

enum { MOST_WORKSPACE = 32 << 20 /* bytes; what NVIDIA suggests for Hopper */ };

typedef struct ft_cublaslt_entry {
    ft_cublaslt_shape shape;
    ft_cublaslt_plan plan;
    struct ft_cublaslt_entry *next;
} ft_cublaslt_entry;

static int type_of(int32_t precision)
{
    switch (precision) {
    case FT_BFLOAT16:
        return CUDA_R_16BF;
    case FT_FLOAT16:
        return CUDA_R_16F;
    default:
        return CUDA_R_32F;
    }
}

/* ---- making one ---- */

/* A row-major matrix; transposed: one that lies there as [columns, rows]. */
static ft_status create_layout(const ft_cublaslt_library *library, int32_t precision, int32_t rows,
                               int32_t columns, bool transposed, ft_cublaslt_layout *out)
{
    int32_t lines = transposed ? columns : rows, length = transposed ? rows : columns;
    return ft_cublaslt_check(library,
                             library->functions.MatrixLayoutCreate(out, type_of(precision),
                                                                   (uint64_t)length,
                                                                   (uint64_t)lines, length),
                             "a matrix [%d, %d]", rows, columns);
}

static ft_status set_operation(const ft_cublaslt_library *library, ft_cublaslt_operation operation,
                               int name, int32_t value)
{
    return ft_cublaslt_check(
        library, library->functions.MatmulDescSetAttribute(operation, name, &value, sizeof value),
        "a product's attribute %d", name);
}

static ft_status create_operation(const ft_cublaslt_library *library, const ft_cublaslt_shape *s,
                                  ft_cublaslt_operation *out)
{
    int compute_type = s->tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    FT_FORWARD(ft_cublaslt_check(
        library, library->functions.MatmulDescCreate(out, compute_type, CUDA_R_32F), "a product"));
    FT_FORWARD(set_operation(library, *out, CUBLASLT_MATMUL_DESC_TRANSA,
                             s->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N));
    FT_FORWARD(set_operation(library, *out, CUBLASLT_MATMUL_DESC_TRANSB,
                             s->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N));
    return set_operation(library, *out, CUBLASLT_MATMUL_DESC_EPILOGUE,
                         s->bias_alignment ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT);
}

ft_status ft_cublaslt_set_bias(const ft_cublaslt_plans *plans, const ft_cublaslt_plan *plan,
                               const void *bias)
{
    return ft_cublaslt_check(
        plans->library,
        plans->library->functions.MatmulDescSetAttribute(
            plan->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
        "a product's bias");
}

static ft_status prefer(const ft_cublaslt_library *library, ft_cublaslt_preference preference,
                        int name, const void *value, size_t size)
{
    return ft_cublaslt_check(
        library, library->functions.MatmulPreferenceSetAttribute(preference, name, value, size),
        "an algorithm's preference %d", name);
}

/* Where sums are split, the parts are float32 and added up in an order that does not depend on how
 * the GPU schedules them. */
static ft_status set_preferences(const ft_cublaslt_library *library, const ft_cublaslt_shape *s,
                                 ft_cublaslt_preference preference)
{
    const uint64_t workspace = MOST_WORKSPACE;
    const uint32_t schemes =
        CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    const struct {
        int name;
        uint32_t value;
    } numbers[] = {
        {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, schemes},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, s->b_alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, s->a_alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, s->out_alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, s->out_alignment},
    };
    FT_FORWARD(prefer(library, preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                      sizeof workspace));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        FT_FORWARD(prefer(library, preference, numbers[i].name, &numbers[i].value,
                          sizeof numbers[i].value));
    return FT_OK;
}

/* The first of what the heuristic proposes, which it holds to be the fastest. */
static ft_status choose(const ft_cublaslt_plans *plans, const ft_cublaslt_shape *s,
                        ft_cublaslt_preference preference, ft_cublaslt_plan *plan)
{
    const ft_cublaslt_library *library = plans->library;
    ft_cublaslt_choice choice;
    memset(&choice, 0, sizeof choice);
    int found = 0;
    FT_FORWARD(set_preferences(library, s, preference));
    int status = library->functions.MatmulAlgoGetHeuristic(plans->handle, plan->operation, plan->a,
                                                           plan->b, plan->out, plan->out,
                                                           preference, 1, &choice, &found);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = found > 0 ? choice.state : CUBLAS_STATUS_NOT_SUPPORTED;
    FT_FORWARD(ft_cublaslt_check(
        library, status, "an algorithm for [%d, %d] times [%d, %d] in %s, into %s%s", s->m, s->k,
        s->k, s->n, s->tf32 ? "TensorFloat-32" : ft_precision_name(s->precision),
        ft_precision_name(s->out_precision), s->bias_alignment ? " with bias" : ""));
    plan->algorithm = choice.algorithm;
    plan->workspace = choice.workspace;
    return FT_OK;
}

static ft_status choose_algorithm(const ft_cublaslt_plans *plans, const ft_cublaslt_shape *s,
                                  ft_cublaslt_plan *plan)
{
    const ft_cublaslt_functions *f = &plans->library->functions;
    ft_cublaslt_preference preference = NULL;
    FT_FORWARD(ft_cublaslt_check(plans->library, f->MatmulPreferenceCreate(&preference),
                                 "an algorithm's preferences"));
    ft_status status = choose(plans, s, preference, plan);
    f->MatmulPreferenceDestroy(preference);
    return status;
}

static ft_status make(const ft_cublaslt_plans *plans, const ft_cublaslt_shape *s, const void *bias,
                      ft_cublaslt_plan *out)
{
    const ft_cublaslt_library *library = plans->library;
    FT_FORWARD(create_layout(library, s->precision, s->k, s->n, s->b_transposed, &out->a));
    FT_FORWARD(create_layout(library, s->precision, s->m, s->k, s->a_transposed, &out->b));
    FT_FORWARD(create_layout(library, s->out_precision, s->m, s->n, false, &out->out));
    FT_FORWARD(create_operation(library, s, &out->operation));
    if (bias != NULL)
        FT_FORWARD(ft_cublaslt_set_bias(plans, out, bias));
    return choose_algorithm(plans, s, out);
}

/* ---- keeping them ---- */

static void free_entry(const ft_cublaslt_plans *plans, ft_cublaslt_entry *entry)
{
    const ft_cublaslt_functions *f = &plans->library->functions;
    ft_cublaslt_layout layouts[] = {entry->plan.a, entry->plan.b, entry->plan.out};
    for (int i = 0; i < 3; i++)
        if (layouts[i] != NULL)
            f->MatrixLayoutDestroy(layouts[i]);
    if (entry->plan.operation != NULL)
        f->MatmulDescDestroy(entry->plan.operation);
    free(entry);
}

ft_status ft_cublaslt_plan_find(ft_cublaslt_plans *plans, const ft_cublaslt_shape *shape,
                                const void *bias, const ft_cublaslt_plan **out)
{
    ft_cublaslt_entry **list =
        &plans->lists[ft_hash(shape, sizeof *shape) % FT_CUBLASLT_PLAN_LISTS];
    for (ft_cublaslt_entry *entry = *list; entry != NULL; entry = entry->next) {
        if (memcmp(&entry->shape, shape, sizeof *shape) == 0) {
            *out = &entry->plan;
            return FT_OK;
        }
    }
    ft_cublaslt_entry *entry = calloc(1, sizeof *entry);
    FT_RETURN_IF(entry == NULL, FT_ERROR_MEMORY, "cannot allocate a product's plan");
    ft_status status = make(plans, shape, bias, &entry->plan);
    if (status != FT_OK) {
        free_entry(plans, entry);
        return status;
    }
    entry->shape = *shape;
    entry->next = *list;
    *list = entry;
    *out = &entry->plan;
    return FT_OK;
}

void ft_cublaslt_plans_end(ft_cublaslt_plans *plans)
{
    for (int i = 0; i < FT_CUBLASLT_PLAN_LISTS; i++) {
        for (ft_cublaslt_entry *entry = plans->lists[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            free_entry(plans, entry);
        }
        plans->lists[i] = NULL;
    }
}
