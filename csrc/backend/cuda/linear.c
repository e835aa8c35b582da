/* Linear layers: a product and what goes with it. cuBLASLt's GELU is not through erf, so what is
 * fused with products is the bias alone. */
#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/behind.h"
#include "backend/cuda/cublaslt/cublaslt.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/sums.h"

_Static_assert((int)FT_ACTIVATION_NONE == (int)FT_CUDA_NO_ACTIVATION &&
                   (int)FT_ACTIVATION_GELU == (int)FT_CUDA_GELU &&
                   (int)FT_ACTIVATION_TANH == (int)FT_CUDA_TANH &&
                   (int)FT_ACTIVATION_RELU == (int)FT_CUDA_RELU,
               "kernels number activations as backend.h does");

/* y = activation(z). */
static ft_status activate(ft_cuda *cuda, const ft_linear *l, const void *z)
{
    ft_activation_arguments arguments = {
        .z = z,
        .y = l->y,
        .count = (unsigned long long)l->rows * (unsigned long long)l->out,
        .activation = (int)l->activation,
    };
    arguments.vector = arguments.count % FT_ACTIVATION_WIDTH == 0 && FT_CUDA_ALIGNED(z, l->y);
    uint64_t block = FT_ACTIVATION_THREADS * (arguments.vector ? FT_ACTIVATION_WIDTH : 1);
    return ft_cuda_launch_line(cuda, FT_KERNEL_activation_forward, l->precision,
                               ft_cuda_blocks(arguments.count, block, INT32_MAX),
                               FT_ACTIVATION_THREADS, &arguments, sizeof arguments);
}

ft_status ft_cuda_linear_forward(ft_backend *backend, const ft_linear *l)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    if (l->rows == 0 || l->out == 0)
        return FT_OK;
    bool keeps = l->activation == FT_ACTIVATION_GELU && l->kept != NULL;
    void *z = keeps ? l->kept : l->y;
    const ft_cublaslt_product xw = {
        .precision = l->precision,
        .out_precision = l->precision,
        .m = l->rows,
        .n = l->out,
        .k = l->in,
        .b_transposed = true,
        .tf32 = l->tf32,
        .a = l->x,
        .b = l->weight,
        .bias = l->precision == FT_FLOAT32 ? l->bias : l->rounded_bias,
        .out = z,
    };
    FT_FORWARD(ft_cublaslt_record_product(cuda, &xw));
    return l->activation == FT_ACTIVATION_NONE ? FT_OK : activate(cuda, l, z);
}

/* ---- backward ---- */

/* dz and dbias. */
typedef struct dz_plan {
    bool vector;
    uint32_t columns, chunks; /* of blocks */
    int32_t chunk_rows;
} dz_plan;

static dz_plan plan_dz(const ft_cuda *cuda, const ft_linear_gradient *g)
{
    enum { BLOCKS = 4, LEAST_ROWS = 4 * FT_DZ_ROWS }; /* on a multiprocessor; of a chunk */
    dz_plan plan = {.vector = g->out % 4 == 0 && FT_CUDA_ALIGNED(g->dy, g->kept)};
    int32_t width = FT_DZ_LANES * (plan.vector ? 4 : 1);
    plan.columns = (uint32_t)((g->out + width - 1) / width);
    int32_t chunks = BLOCKS * cuda->multiprocessors / (int32_t)plan.columns;
    int32_t most = (g->rows + LEAST_ROWS - 1) / LEAST_ROWS;
    if (chunks > most)
        chunks = most;
    if (chunks < 1)
        chunks = 1;
    plan.chunk_rows = (g->rows + chunks - 1) / chunks;
    plan.chunks =
        plan.chunk_rows > 0 ? (uint32_t)((g->rows + plan.chunk_rows - 1) / plan.chunk_rows) : 1;
    return plan;
}

static ft_status record_dz(ft_cuda *cuda, const ft_linear_gradient *g)
{
    dz_plan plan = plan_dz(cuda, g);
    ft_linear_dz_arguments arguments = {
        .dy = g->dy,
        .kept = g->kept,
        .layout = ft_cuda_take_behind(cuda, g),
        .rows = g->rows,
        .columns = g->out,
        .chunk_rows = plan.chunk_rows,
        .activation = (int)g->activation,
        .vector = plan.vector,
    };
    const ft_launch launch = {
        .kernel = FT_KERNEL_linear_dz,
        .precision = g->precision,
        .grid = {plan.columns, plan.chunks, 1},
        .block = {FT_DZ_LANES, FT_DZ_ROWS, 1},
        .arguments = &arguments,
        .size = sizeof arguments,
    };
    const ft_cuda_sum dbias = {g->dbias, g->out};
    FT_FORWARD(ft_cuda_finish_behind(cuda)); /* another matrix's */
    FT_FORWARD(ft_cuda_sum_later(cuda, plan.chunks, &dbias, 1, g->accumulate, &arguments.partials));
    return ft_cuda_launch(cuda, &launch);
}

ft_status ft_cuda_linear_backward(ft_backend *backend, const ft_linear_gradient *g)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    if (g->out == 0)
        return FT_OK;
    FT_FORWARD(record_dz(cuda, g));
    const ft_cublaslt_product dx = {
        .precision = g->precision,
        .out_precision = g->dx_precision,
        .m = g->rows,
        .n = g->in,
        .k = g->out,
        .add = g->add_to_dx,
        .tf32 = g->tf32,
        .a = g->dy,
        .b = g->weight,
        .out = g->dx,
    };
    if (g->dx)
        FT_FORWARD(ft_cublaslt_record_product(cuda, &dx));
    const ft_cublaslt_product dweight = {
        .precision = g->precision,
        .out_precision = FT_FLOAT32,
        .m = g->out,
        .n = g->in,
        .k = g->rows,
        .a_transposed = true,
        .add = g->accumulate,
        .tf32 = g->tf32,
        .a = g->dy,
        .b = g->x,
        .out = g->dweight,
    };
    return ft_cublaslt_record_product(cuda, &dweight);
}
