#include "backend/cuda/kernels/pack.h"

#include "backend/cuda/launch.h"
#include "backend/cuda/tape.h"
#include "common/batch.h"

static ft_cuda_array array_of(const ft_array *a)
{
    return (ft_cuda_array){.data = a->data,
                           .row_stride = a->row_stride,
                           .column_stride = a->column_stride,
                           .type = (int)a->type};
}

static ft_cuda_padded padded_of(const ft_padded_arrays *p)
{
    return (ft_cuda_padded){
        .input_ids = array_of(&p->input_ids),
        .attention_mask = array_of(&p->attention_mask),
        .token_type_ids = array_of(&p->token_type_ids),
        .position_ids = array_of(&p->position_ids),
        .labels = array_of(&p->labels),
        .length = p->length,
        .label_width = p->label_width,
        .class_labels = p->class_labels,
        .vocabulary = p->vocabulary,
        .positions = p->positions,
        .types = p->types,
        .classes = p->classes,
    };
}

ft_status ft_cuda_padded_lengths(ft_backend *backend, const ft_padded_arrays *p, int32_t *lengths)
{
    ft_cuda *cuda = ft_cuda_of(backend);
    size_t bytes = p->rows * sizeof *lengths;
    void *scratch;
    FT_FORWARD(ft_cuda_scratch(cuda, bytes, &scratch));
    const ft_padded_lengths_arguments arguments = {
        .padded = padded_of(p), .lengths = scratch, .ignored = FT_IGNORE_LABEL};
    FT_FORWARD(ft_cuda_launch_line(cuda, FT_KERNEL_padded_lengths, FT_FLOAT32, (uint32_t)p->rows,
                                   FT_PACK_THREADS, &arguments, sizeof arguments));
    return ft_cuda_download(cuda, lengths, scratch, bytes);
}

ft_status ft_cuda_pack(ft_backend *backend, const ft_padded_arrays *p, const ft_packed_arrays *to)
{
    const ft_pack_arguments arguments = {
        .padded = padded_of(p),
        .cu_seqlens = to->cu_seqlens,
        .input_ids = to->input_ids,
        .token_type_ids = to->token_type_ids,
        .position_ids = to->position_ids,
        .class_labels = (long long *)to->class_labels,
        .target_labels = to->target_labels,
        .ignored = FT_IGNORE_LABEL,
    };
    return ft_cuda_launch_line(ft_cuda_of(backend), FT_KERNEL_pack, FT_FLOAT32, (uint32_t)p->rows,
                               FT_PACK_THREADS, &arguments, sizeof arguments);
}
