#include "backend/cuda/products.h"

#include "backend/cuda/cublaslt/cublaslt.h"
#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/kernels/sgemm.h"

_Static_assert((int)FT_ACTIVATION_NONE == (int)FT_CUDA_NO_ACTIVATION &&
                   (int)FT_ACTIVATION_GELU == (int)FT_CUDA_GELU &&
                   (int)FT_ACTIVATION_TANH == (int)FT_CUDA_TANH &&
                   (int)FT_ACTIVATION_RELU == (int)FT_CUDA_RELU,
               "kernels number activations as backend.h does");

/* How a product is shared out among blocks. */
typedef struct product_plan {
    bool large;
    uint32_t row_tiles, column_tiles, splits;
    int32_t split_depth;
} product_plan;

static int32_t ceiling(int32_t count, int32_t size)
{
    return count / size + (count % size != 0);
}

/* Large tiles where out fills a good part of them. Where there are fewer tiles than the GPU holds
 * blocks, k is split too, as long as a split has enough to do to be worth its partial sums. */
static product_plan plan_product(const ft_cuda *cuda, const ft_cuda_product *p)
{
    enum {
        LARGE_BLOCKS = 2, /* that a multiprocessor holds */
        SMALL_BLOCKS = 4,
        LARGE_SPLIT = 256, /* the least depth of a split */
        SMALL_SPLIT = 64,
        MOST_SPLITS = 16,
    };
    product_plan plan = {.large =
                             p->m > FT_SGEMM_LARGE_ROWS / 2 && p->n > FT_SGEMM_LARGE_COLUMNS / 2};
    int32_t depth = plan.large ? FT_SGEMM_LARGE_DEPTH : FT_SGEMM_SMALL_DEPTH;
    int32_t least = plan.large ? LARGE_SPLIT : SMALL_SPLIT;
    plan.row_tiles =
        (uint32_t)ceiling(p->m, plan.large ? FT_SGEMM_LARGE_ROWS : FT_SGEMM_SMALL_ROWS);
    plan.column_tiles =
        (uint32_t)ceiling(p->n, plan.large ? FT_SGEMM_LARGE_COLUMNS : FT_SGEMM_SMALL_COLUMNS);
    size_t tiles = (size_t)plan.row_tiles * plan.column_tiles;
    size_t room = (size_t)cuda->multiprocessors * (plan.large ? LARGE_BLOCKS : SMALL_BLOCKS);
    int32_t splits = (int32_t)(room / tiles < MOST_SPLITS ? room / tiles : MOST_SPLITS);
    if (splits > p->k / least)
        splits = p->k / least;
    if (splits < 1)
        splits = 1;
    plan.split_depth = ceiling(ceiling(p->k, splits), depth) * depth;
    plan.splits = p->k > 0 ? (uint32_t)ceiling(p->k, plan.split_depth) : 1;
    return plan;
}

/* Whether a matrix's lines, `length` long, may be read sixteen bytes at a time. */
static bool is_vector(const void *matrix, int32_t length)
{
    return (uintptr_t)matrix % 16 == 0 && length % 4 == 0;
}

static ft_kernel kernel_of(const ft_cuda_product *p, bool large)
{
    if (p->a_transposed)
        return large ? FT_KERNEL_sgemm_tn_large : FT_KERNEL_sgemm_tn_small;
    if (p->b_transposed)
        return large ? FT_KERNEL_sgemm_nt_large : FT_KERNEL_sgemm_nt_small;
    return large ? FT_KERNEL_sgemm_nn_large : FT_KERNEL_sgemm_nn_small;
}

static ft_status record_float_product(ft_cuda *cuda, const ft_cuda_product *p)
{
    product_plan plan = plan_product(cuda, p);
    size_t count = (size_t)p->m * (size_t)p->n;
    void *partials = NULL;
    if (plan.splits > 1)
        FT_FORWARD(ft_cuda_scratch(cuda, plan.splits * count * sizeof(float), &partials));
    ft_sgemm_arguments arguments = {
        .a = p->a,
        .b = p->b,
        .bias = p->bias,
        .kept = p->kept,
        .out = p->out,
        .partials = partials,
        .m = p->m,
        .n = p->n,
        .k = p->k,
        .split_depth = plan.split_depth,
        .splits = (int)plan.splits,
        .activation = (int)p->activation,
        .add = p->add,
        .vector_a = is_vector(p->a, p->a_transposed ? p->m : p->k),
        .vector_b = is_vector(p->b, p->b_transposed ? p->k : p->n),
        .vector_out = is_vector(p->out, p->n) && (p->kept == NULL || is_vector(p->kept, p->n)),
    };
    ft_launch launch = {
        .kernel = kernel_of(p, plan.large),
        .precision = FT_FLOAT32,
        .grid = {plan.column_tiles, plan.row_tiles, plan.splits},
        .block = {plan.large ? FT_SGEMM_LARGE_THREADS : FT_SGEMM_SMALL_THREADS, 1, 1},
        .arguments = &arguments,
        .size = sizeof arguments,
    };
    FT_FORWARD(ft_cuda_launch(cuda, &launch));
    if (plan.splits == 1)
        return FT_OK;
    launch.kernel = FT_KERNEL_sgemm_sum;
    launch.grid[0] = (uint32_t)((count + FT_SGEMM_SUM_THREADS - 1) / FT_SGEMM_SUM_THREADS);
    launch.grid[1] = launch.grid[2] = 1;
    launch.block[0] = FT_SGEMM_SUM_THREADS;
    return ft_cuda_launch(cuda, &launch);
}

ft_status ft_cuda_record_product(ft_cuda *cuda, const ft_cuda_product *p)
{
    if (p->m == 0 || p->n == 0)
        return FT_OK;
    /* Sums of nothing are zeros, for which cuBLASLt has no product. */
    bool zeros = p->k == 0 && p->out_precision == FT_FLOAT32;
    return p->precision == FT_FLOAT32 || zeros ? record_float_product(cuda, p)
                                               : ft_cublaslt_record_product(cuda, p);
}
