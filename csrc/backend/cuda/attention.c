/* cuDNN's attention where it has one for the operands and the GPU, our own kernels elsewhere. */
#include <math.h>

#include "backend/cuda/cuda.h"
#include "backend/cuda/cudnn/cudnn.h"
#include "backend/cuda/kernels/attention.h"
#include "backend/precision.h"

/* Our kernels, by the columns of a head that they have room for. */
typedef struct attention_kernels {
    int columns;
    ft_kernel forward, dq, dkdv, first_forward, first_backward;
} attention_kernels;

#define KERNELS_FOR(columns)                                                                       \
    {                                                                                              \
        columns, FT_KERNEL_attention_forward_##columns, FT_KERNEL_attention_dq_##columns,          \
            FT_KERNEL_attention_dkdv_##columns, FT_KERNEL_attention_first_forward_##columns,       \
            FT_KERNEL_attention_first_backward_##columns                                           \
    }

static const attention_kernels all_kernels[] = {KERNELS_FOR(32), KERNELS_FOR(64), KERNELS_FOR(128)};

static ft_status kernels_for(const ft_attention *a, const attention_kernels **out)
{
    const size_t count = sizeof all_kernels / sizeof *all_kernels;
    for (size_t i = 0; i < count; i++)
        if (a->head_dim <= all_kernels[i].columns) {
            *out = &all_kernels[i];
            return FT_OK;
        }
    return ft_error(FT_ERROR_VALUE,
                    "heads of %d columns: attention on a GPU takes heads of up to %d; train this "
                    "model on the CPU",
                    a->head_dim, all_kernels[count - 1].columns);
}

static int32_t query_rows(const ft_attention *a)
{
    return a->first_only ? a->layout->sequences : a->layout->rows;
}

size_t ft_cuda_attention_state(const ft_backend *backend, const ft_attention *a)
{
    const ft_cuda *cuda = (const ft_cuda *)backend;
    if (ft_cudnn_takes_attention(cuda, a))
        return ft_cudnn_attention_state(cuda, a);
    return (size_t)query_rows(a) * (size_t)a->heads * sizeof(float);
}

static bool is_aligned(const void *x, size_t bytes)
{
    return (uintptr_t)x % bytes == 0;
}

static ft_status arguments_of(ft_cuda *cuda, const ft_attention *a, const ft_attention_gradient *g,
                              float *delta, ft_attention_arguments *out)
{
    const ft_layout *l = a->layout;
    const ft_cuda_layout *layout;
    const ft_cuda_dropout *dropout;
    FT_FORWARD(ft_cuda_layout_variable(cuda, l, &layout));
    FT_FORWARD(ft_cuda_dropout_variable(cuda, &a->dropout, &dropout));
    size_t four = 4 * ft_precision_bytes(a->precision);
    bool vector = a->head_dim % 4 == 0 && a->q_stride % 4 == 0 && a->kv_stride % 4 == 0 &&
                  is_aligned(a->q, four) && is_aligned(a->k, four) && is_aligned(a->v, four) &&
                  is_aligned(a->out, four);
    *out = (ft_attention_arguments){
        .q = a->q,
        .k = a->k,
        .v = a->v,
        .out = a->out,
        .lse = a->lse,
        .cu_seqlens = l->cu_seqlens,
        .key_starts = l->key_starts,
        .layout = layout,
        .dropout = dropout,
        .sequences = l->sequences,
        .rows = l->rows,
        .query_rows = query_rows(a),
        .heads = a->heads,
        .head_dim = a->head_dim,
        .q_stride = a->q_stride,
        .kv_stride = a->kv_stride,
        .scale = 1.0f / sqrtf((float)a->head_dim),
    };
    if (g) {
        vector = vector && is_aligned(g->dout, four) && is_aligned(g->dq, four) &&
                 is_aligned(g->dk, four) && is_aligned(g->dv, four);
        out->dout = g->dout;
        out->dq = g->dq;
        out->dk = g->dk;
        out->dv = g->dv;
        out->delta = delta;
    }
    out->vector = vector;
    return FT_OK;
}

static ft_status launch(ft_cuda *cuda, const ft_attention *a, ft_kernel kernel, uint32_t x,
                        uint32_t y, uint32_t threads, uint32_t shared_bytes,
                        const ft_attention_arguments *arguments)
{
    return ft_cuda_launch(cuda, &(ft_launch){
                                    .kernel = kernel,
                                    .precision = a->precision,
                                    .grid = {x, y, 1},
                                    .block = {threads, 1, 1},
                                    .shared_bytes = shared_bytes,
                                    .arguments = arguments,
                                    .size = sizeof *arguments,
                                });
}

/* Tiles of `size` rows for the longest sequence; its length is taken for a multiple of 64, so that
 * tapes of batches of much the same length are equal. */
static int tiles_of(const ft_attention *a, int size)
{
    enum { STEP = 64 };
    int32_t length = (a->layout->max_length + STEP - 1) / STEP * STEP;
    return (length + size - 1) / size;
}

/* How a pass over tiles is launched. */
typedef struct tile_pass {
    ft_kernel kernel;
    int size; /* of a tile */
    uint32_t threads;
    int shared_floats;
} tile_pass;

typedef struct tile_passes {
    tile_pass forward, dq, dkdv;
} tile_passes;

static tile_passes passes_for(const ft_attention *a, const attention_kernels *k)
{
    enum { ROWS = FT_ATTENTION_TENSOR_ROWS, THREADS = FT_ATTENTION_TENSOR_THREADS };
    if (a->precision == FT_FLOAT16 && k->columns <= FT_ATTENTION_TENSOR_COLUMNS)
        return (tile_passes){.forward = {k->forward, ROWS, THREADS, 0},
                             .dq = {k->dq, ROWS, THREADS, 0},
                             .dkdv = {k->dkdv, ROWS, THREADS, 0}};
    int c = k->columns, forward = FT_ATTENTION_FORWARD_QUERIES(c);
    int backward = FT_ATTENTION_BACKWARD_QUERIES(c);
    return (tile_passes){
        .forward = {k->forward, forward, FT_ATTENTION_FORWARD_THREADS,
                    FT_ATTENTION_SHARED_FLOATS(c, forward, 1, 1)},
        .dq = {k->dq, backward, FT_ATTENTION_BACKWARD_THREADS,
               FT_ATTENTION_SHARED_FLOATS(c, backward, 2, 1)},
        .dkdv = {k->dkdv, FT_ATTENTION_KEYS, FT_ATTENTION_BACKWARD_THREADS,
                 FT_ATTENTION_SHARED_FLOATS(c, backward, 2, 2)},
    };
}

static ft_status launch_tiles(ft_cuda *cuda, const ft_attention *a, const tile_pass *pass,
                              ft_attention_arguments *arguments)
{
    arguments->tiles = tiles_of(a, pass->size);
    uint32_t blocks = (uint32_t)(a->layout->sequences + 1) * (uint32_t)arguments->tiles;
    return launch(cuda, a, pass->kernel, blocks, (uint32_t)a->heads, pass->threads,
                  (uint32_t)pass->shared_floats * (uint32_t)sizeof(float), arguments);
}

ft_status ft_cuda_attention_forward(ft_backend *backend, const ft_attention *a)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    if (ft_cudnn_takes_attention(cuda, a))
        return ft_cudnn_attention_forward(cuda, a);
    const attention_kernels *kernels = NULL;
    ft_attention_arguments arguments;
    FT_FORWARD(kernels_for(a, &kernels));
    FT_FORWARD(arguments_of(cuda, a, NULL, NULL, &arguments));
    if (a->first_only)
        return launch(cuda, a, kernels->first_forward, (uint32_t)a->layout->sequences,
                      (uint32_t)a->heads, FT_ATTENTION_FIRST_THREADS, 0, &arguments);
    tile_passes passes = passes_for(a, kernels);
    return launch_tiles(cuda, a, &passes.forward, &arguments);
}

ft_status ft_cuda_attention_backward(ft_backend *backend, const ft_attention *a,
                                     const ft_attention_gradient *g)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    FT_RETURN_IF(a->out == NULL, FT_ERROR_VALUE, "backward of attention on a GPU needs out");
    if (ft_cudnn_takes_attention(cuda, a))
        return ft_cudnn_attention_backward(cuda, a, g);
    const attention_kernels *kernels = NULL;
    ft_attention_arguments arguments;
    FT_FORWARD(kernels_for(a, &kernels));
    if (a->first_only) {
        FT_FORWARD(arguments_of(cuda, a, g, NULL, &arguments));
        return launch(cuda, a, kernels->first_backward, (uint32_t)a->layout->sequences + 1,
                      (uint32_t)a->heads, FT_ATTENTION_FIRST_THREADS, 0, &arguments);
    }
    void *delta;
    size_t count = (size_t)a->heads * (size_t)query_rows(a);
    FT_FORWARD(ft_cuda_scratch(cuda, count * sizeof(float), &delta));
    FT_FORWARD(arguments_of(cuda, a, g, delta, &arguments));
    tile_passes passes = passes_for(a, kernels);
    FT_FORWARD(launch_tiles(cuda, a, &passes.dq, &arguments));
    return launch_tiles(cuda, a, &passes.dkdv, &arguments);
}
