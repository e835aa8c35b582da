#include "backend/backend.h"

#include <stdlib.h>

#include "backend/host_memory.h"
#include "backend/reference/reference.h"

static void reference_destroy(ft_backend *backend)
{
    free(backend);
}

static ft_status check_precision(ft_backend *backend, ft_precision precision)
{
    (void)backend;
    (void)precision;
    return FT_OK;
}

static int reference_threads(const ft_backend *backend)
{
    (void)backend;
    return 1;
}

static ft_status reference_set_threads(ft_backend *backend, int threads)
{
    (void)backend;
    return ft_backend_check_threads(threads);
}

static const ft_backend_operations reference_operations = {
    .name = "reference",
    .host_memory = true,
    .destroy = reference_destroy,
    .check_precision = check_precision,
    .check_tf32 = ft_host_check_tf32,
    .threads = reference_threads,
    .set_threads = reference_set_threads,
    .submit = ft_host_submit,
    .synchronize = ft_host_synchronize,
    .bucket = ft_host_bucket,
    .attention_state = ft_host_attention_state,
    .allocate = ft_host_allocate,
    .release = ft_host_release,
    .upload = ft_host_upload,
    .download = ft_host_download,
    .zero = ft_host_zero,
    .copy = ft_host_copy,
    .follow = ft_host_order,
    .lead = ft_host_order,
    .padded_lengths = ft_reference_padded_lengths,
    .pack = ft_reference_pack,
    .embedding_forward = ft_reference_embedding_forward,
    .embedding_backward = ft_reference_embedding_backward,
    .linear_forward = ft_reference_linear_forward,
    .linear_backward = ft_reference_linear_backward,
    .attention_forward = ft_reference_attention_forward,
    .attention_backward = ft_reference_attention_backward,
    .residual_norm_forward = ft_reference_residual_norm_forward,
    .residual_norm_backward = ft_reference_residual_norm_backward,
    .first_rows_gather = ft_reference_first_rows_gather,
    .first_rows_scatter = ft_reference_first_rows_scatter,
    .dropout = ft_reference_dropout,
    .loss = ft_reference_loss,
    .scale_add = ft_reference_scale_add,
    .scale_by = ft_reference_scale_by,
    .sum_of_squares = ft_reference_sum_of_squares,
    .clip = ft_reference_clip,
    .adamw = ft_reference_adamw,
    .cast = ft_reference_cast,
    .zero_rows = ft_reference_zero_rows,
    .add_flags = ft_reference_add_flags,
};

ft_status ft_backend_reference_create(ft_backend **out)
{
    *out = malloc(sizeof **out);
    FT_RETURN_IF(*out == NULL, FT_ERROR_MEMORY, "cannot allocate a backend");
    **out = (ft_backend){.operations = &reference_operations};
    return FT_OK;
}
