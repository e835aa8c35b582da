/* Products of 16-bit operands are cuBLASLt's, which has tensor cores for them; those of float32 are
 * our own. cuBLASLt's GELU is not through erf, so what is fused with its products is the bias. */
#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/cublaslt/cublaslt.h"
#include "backend/cuda/cuda.h"
#include "backend/cuda/products.h"

static ft_status float_forward(ft_cuda *cuda, const ft_linear *l)
{
    const ft_cuda_product xw = {
        .m = l->rows,
        .n = l->out,
        .k = l->in,
        .b_transposed = true,
        .activation = l->activation,
        .a = l->x,
        .b = l->weight,
        .bias = l->bias,
        .kept = l->activation == FT_ACTIVATION_GELU ? l->kept : NULL,
        .out = l->y,
    };
    void *scratch = NULL;
    size_t bytes = ft_cuda_product_scratch(cuda, &xw);
    if (bytes > 0)
        FT_FORWARD(ft_cuda_scratch(cuda, bytes, &scratch));
    return ft_cuda_record_product(cuda, &xw, scratch);
}

/* y = activation(z). */
static ft_status activate(ft_cuda *cuda, const ft_linear *l, const void *z)
{
    enum { ALIGNMENT = 16 };
    ft_activation_arguments arguments = {
        .z = z,
        .y = l->y,
        .count = (unsigned long long)l->rows * (unsigned long long)l->out,
        .activation = (int)l->activation,
    };
    arguments.vector = arguments.count % FT_ACTIVATION_WIDTH == 0 &&
                       ((uintptr_t)z | (uintptr_t)l->y) % ALIGNMENT == 0;
    uint64_t block = FT_ACTIVATION_THREADS * (arguments.vector ? FT_ACTIVATION_WIDTH : 1);
    return ft_cuda_launch(cuda,
                          &(ft_launch){
                              .kernel = FT_KERNEL_activation_forward,
                              .precision = l->precision,
                              .grid = {(uint32_t)((arguments.count + block - 1) / block), 1, 1},
                              .block = {FT_ACTIVATION_THREADS, 1, 1},
                              .arguments = &arguments,
                              .size = sizeof arguments,
                          });
}

static ft_status half_forward(ft_cuda *cuda, const ft_linear *l)
{
    void *z = l->activation == FT_ACTIVATION_GELU && l->kept != NULL ? l->kept : l->y;
    const ft_cuda_half_product xw = {
        .precision = l->precision,
        .out_precision = l->precision,
        .m = l->rows,
        .n = l->out,
        .k = l->in,
        .b_transposed = true,
        .a = l->x,
        .b = l->weight,
        .bias = l->rounded_bias,
        .out = z,
    };
    FT_FORWARD(ft_cublaslt_record_product(cuda, &xw));
    return l->activation == FT_ACTIVATION_NONE ? FT_OK : activate(cuda, l, z);
}

ft_status ft_cuda_linear_forward(ft_backend *backend, const ft_linear *l)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    if (l->rows == 0 || l->out == 0)
        return FT_OK;
    return l->precision == FT_FLOAT32 ? float_forward(cuda, l) : half_forward(cuda, l);
}

/* ---- backward ---- */

/* dz and dbias. */
typedef struct dz_plan {
    bool vector;
    uint32_t columns, chunks; /* of blocks */
    int32_t chunk_rows;
    size_t bytes; /* of the partial sums */
} dz_plan;

static dz_plan plan_dz(const ft_cuda *cuda, const ft_linear_gradient *g)
{
    enum { BLOCKS = 4, LEAST_ROWS = 4 * FT_DZ_ROWS }; /* on a multiprocessor; of a chunk */
    dz_plan plan = {.vector = g->out % 4 == 0 && (uintptr_t)g->dy % 16 == 0 &&
                              (uintptr_t)g->kept % 16 == 0};
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
    plan.bytes = plan.chunks > 1 ? plan.chunks * (size_t)g->out * sizeof(float) : 0;
    return plan;
}

static ft_status record_dz(ft_cuda *cuda, const ft_linear_gradient *g, dz_plan plan, void *scratch)
{
    ft_linear_dz_arguments arguments = {
        .dy = g->dy,
        .kept = g->kept,
        .partials = plan.chunks > 1 ? scratch : NULL,
        .dbias = g->dbias,
        .rows = g->rows,
        .columns = g->out,
        .chunk_rows = plan.chunk_rows,
        .chunks = (int)plan.chunks,
        .activation = (int)g->activation,
        .accumulate = g->accumulate,
        .vector = plan.vector,
    };
    ft_launch launch = {
        .kernel = FT_KERNEL_linear_dz,
        .precision = g->precision,
        .grid = {plan.columns, plan.chunks, 1},
        .block = {FT_DZ_LANES, FT_DZ_ROWS, 1},
        .arguments = &arguments,
        .size = sizeof arguments,
    };
    FT_FORWARD(ft_cuda_launch(cuda, &launch));
    if (plan.chunks == 1)
        return FT_OK;
    launch.kernel = FT_KERNEL_linear_dbias;
    launch.grid[0] = (uint32_t)((g->out + FT_DZ_LANES - 1) / FT_DZ_LANES);
    launch.grid[1] = 1;
    return ft_cuda_launch(cuda, &launch);
}

static ft_status float_backward(ft_cuda *cuda, const ft_linear_gradient *g)
{
    const ft_cuda_product dx = {
        .m = g->rows,
        .n = g->in,
        .k = g->out,
        .add = g->add_to_dx,
        .a = g->dy,
        .b = g->weight,
        .out = g->dx,
    };
    const ft_cuda_product dweight = {
        .m = g->out,
        .n = g->in,
        .k = g->rows,
        .a_transposed = true,
        .add = g->accumulate,
        .a = g->dy,
        .b = g->x,
        .out = g->dweight,
    };
    /* One after another they use the same scratch. */
    dz_plan dz = plan_dz(cuda, g);
    size_t bytes = dz.bytes, more = ft_cuda_product_scratch(cuda, &dweight);
    bytes = more > bytes ? more : bytes;
    more = g->dx ? ft_cuda_product_scratch(cuda, &dx) : 0;
    bytes = more > bytes ? more : bytes;
    void *scratch = NULL;
    if (bytes > 0)
        FT_FORWARD(ft_cuda_scratch(cuda, bytes, &scratch));
    FT_FORWARD(record_dz(cuda, g, dz, scratch));
    if (g->dx)
        FT_FORWARD(ft_cuda_record_product(cuda, &dx, scratch));
    return ft_cuda_record_product(cuda, &dweight, scratch);
}

static ft_status half_backward(ft_cuda *cuda, const ft_linear_gradient *g)
{
    dz_plan dz = plan_dz(cuda, g);
    void *scratch = NULL;
    if (dz.bytes > 0)
        FT_FORWARD(ft_cuda_scratch(cuda, dz.bytes, &scratch));
    FT_FORWARD(record_dz(cuda, g, dz, scratch));
    if (g->dx) {
        const ft_cuda_half_product dx = {
            .precision = g->precision,
            .out_precision = g->dx_precision,
            .m = g->rows,
            .n = g->in,
            .k = g->out,
            .add = g->add_to_dx,
            .a = g->dy,
            .b = g->weight,
            .out = g->dx,
        };
        FT_FORWARD(ft_cublaslt_record_product(cuda, &dx));
    }
    const ft_cuda_half_product dweight = {
        .precision = g->precision,
        .out_precision = FT_FLOAT32,
        .m = g->out,
        .n = g->in,
        .k = g->rows,
        .a_transposed = true,
        .add = g->accumulate,
        .a = g->dy,
        .b = g->x,
        .out = g->dweight,
    };
    return ft_cublaslt_record_product(cuda, &dweight);
}

ft_status ft_cuda_linear_backward(ft_backend *backend, const ft_linear_gradient *g)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    if (g->out == 0)
        return FT_OK;
    /* Without rows dweight is zeros, which cuBLASLt has no product for. */
    return g->precision == FT_FLOAT32 || g->rows == 0 ? float_backward(cuda, g)
                                                      : half_backward(cuda, g);
}
