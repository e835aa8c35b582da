#include "backend/cuda/kernels/embedding.h"

#include "backend/cuda/launch.h"
#include "backend/cuda/norm.h"

ft_status ft_cuda_embedding_forward(ft_backend *backend, const ft_embedding *e)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    bool aligned = FT_CUDA_ALIGNED(e->word, e->position, e->type, e->gamma, e->beta, e->sum, e->out,
                                   e->stream);
    ft_embedding_forward_arguments arguments = {
        .norm =
            {
                .gamma = e->gamma,
                .beta = e->beta,
                .mean = e->mean,
                .rstd = e->rstd,
                .rows = e->rows,
                .hidden = e->hidden,
                .in_registers = ft_cuda_norm_in_registers(e->hidden, aligned),
                .eps = e->eps,
            },
        .input_ids = e->input_ids,
        .position_ids = e->position_ids,
        .token_type_ids = e->token_type_ids,
        .word = e->word,
        .position = e->position,
        .type = e->type,
        .sum = e->sum,
        .out = e->out,
        .stream = e->stream,
    };
    FT_FORWARD(ft_cuda_dropout_variable(cuda, &e->dropout, &arguments.norm.dropout));
    FT_FORWARD(ft_cuda_int_variable(cuda, e->tokens, &arguments.norm.tokens));
    return ft_cuda_norm_forward(cuda, FT_KERNEL_embedding_forward, e->precision, &arguments.norm,
                                sizeof arguments);
}

/* dout becomes the gradient of the tables' sum. */
static ft_status norm_backward(ft_cuda *cuda, const ft_embedding *e, const ft_embedding_gradient *g,
                               const int32_t *tokens)
{
    bool aligned = FT_CUDA_ALIGNED(e->sum, e->gamma, g->dout);
    ft_embedding_norm_arguments arguments = {
        .norm =
            {
                .gamma = e->gamma,
                .mean = e->mean,
                .rstd = e->rstd,
                .tokens = tokens,
                .rows = e->rows,
                .hidden = e->hidden,
                .in_registers = ft_cuda_norm_in_registers(e->hidden, aligned),
            },
        .sum = e->sum,
        .dout = g->dout,
    };
    FT_FORWARD(ft_cuda_dropout_variable(cuda, &e->dropout, &arguments.norm.dropout));
    return ft_cuda_norm_backward(cuda, FT_KERNEL_embedding_norm_backward, e->precision,
                                 &arguments.norm, sizeof arguments, g->dgamma, g->dbeta,
                                 g->accumulate);
}

static ft_status add_to_tables(ft_cuda *cuda, const ft_embedding *e, const ft_embedding_gradient *g,
                               const int32_t *tokens)
{
    const ft_embedding_tables_arguments arguments = {
        .word = {.ids = e->input_ids,
                 .dtable = g->dword,
                 .flags = g->word_rows,
                 .skipped = g->padding_id},
        .position = {.ids = e->position_ids, .dtable = g->dposition, .skipped = -1},
        .d = g->dout,
        .tokens = tokens,
        .hidden = e->hidden,
        .fours = e->hidden % 4 == 0 && FT_CUDA_ALIGNED(g->dword, g->dposition, g->dout),
    };
    const ft_launch launch = {
        .kernel = FT_KERNEL_embedding_tables,
        .precision = e->precision,
        .grid = {e->rows, 2, 1},
        .block = {FT_EMBEDDING_THREADS, 1, 1},
        .arguments = &arguments,
        .size = sizeof arguments,
    };
    return ft_cuda_launch(cuda, &launch);
}

static ft_status add_to_types(ft_cuda *cuda, const ft_embedding *e, const ft_embedding_gradient *g,
                              const int32_t *tokens)
{
    const ft_embedding_types_arguments arguments = {
        .ids = e->token_type_ids,
        .dtable = g->dtype,
        .d = g->dout,
        .tokens = tokens,
        .hidden = e->hidden,
    };
    uint32_t blocks = ft_cuda_blocks(e->hidden, FT_EMBEDDING_TYPE_COLUMNS, UINT32_MAX);
    return ft_cuda_launch_line(cuda, FT_KERNEL_embedding_types, e->precision, blocks,
                               FT_EMBEDDING_TYPE_THREADS, &arguments, sizeof arguments);
}

ft_status ft_cuda_embedding_backward(ft_backend *backend, const ft_embedding *e,
                                     const ft_embedding_gradient *g)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    const int32_t *tokens;
    FT_FORWARD(ft_cuda_int_variable(cuda, e->tokens, &tokens));
    FT_FORWARD(norm_backward(cuda, e, g, tokens));
    if (e->rows == 0)
        return FT_OK;
    FT_FORWARD(add_to_tables(cuda, e, g, tokens));
    return e->type ? add_to_types(cuda, e, g, tokens) : FT_OK;
}
