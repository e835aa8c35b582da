#include "backend/host_memory.h"

#include <string.h>

#include "backend/bucket.h"
#include "common/available.h"
#include "common/memory.h"

/* Below this it is not worth asking what is free, which takes a tenth of a millisecond. */
static const size_t CHECKED = (size_t)16 << 20;

ft_status ft_host_allocate(ft_backend *backend, size_t bytes, void **out)
{
    (void)backend;
    *out = NULL;
    if (bytes >= CHECKED) {
        size_t available = ft_memory_available("");
        FT_RETURN_IF(bytes > available, FT_ERROR_MEMORY, "%s are needed, %s are free",
                     ft_size(bytes).text, ft_size(available).text);
    }
    return ft_allocate(bytes, out);
}

void ft_host_release(ft_backend *backend, void *memory)
{
    (void)backend;
    ft_release(memory);
}

ft_status ft_host_upload(ft_backend *backend, void *to, const void *from_host, size_t bytes)
{
    (void)backend;
    memcpy(to, from_host, bytes);
    return FT_OK;
}

ft_status ft_host_download(ft_backend *backend, void *to_host, const void *from, size_t bytes)
{
    (void)backend;
    memcpy(to_host, from, bytes);
    return FT_OK;
}

ft_status ft_host_zero(ft_backend *backend, void *memory, size_t bytes)
{
    (void)backend;
    memset(memory, 0, bytes);
    return FT_OK;
}

ft_status ft_host_submit(ft_backend *backend)
{
    (void)backend;
    return FT_OK;
}

ft_status ft_host_synchronize(ft_backend *backend)
{
    (void)backend;
    return FT_OK;
}

ft_status ft_host_check_tf32(ft_backend *backend)
{
    (void)backend;
    return ft_error(FT_ERROR_VALUE,
                    "TensorFloat-32 is for GPUs: on the CPU train without tf32, in float32, or in "
                    "bfloat16 (bf16=True)");
}

int32_t ft_host_bucket(const ft_backend *backend, int32_t tokens)
{
    (void)backend;
    return ft_bucket_of(tokens, 16);
}

size_t ft_host_attention_state(const ft_backend *backend, const ft_attention *a)
{
    (void)backend;
    size_t rows = a->first_only ? a->layout->sequences : a->layout->rows;
    return rows * a->heads * sizeof(float);
}

ft_status ft_host_copy(ft_backend *backend, void *to, const void *from, size_t bytes)
{
    (void)backend;
    memcpy(to, from, bytes);
    return FT_OK;
}

ft_status ft_host_order(ft_backend *backend, void *stream)
{
    (void)backend;
    (void)stream;
    return FT_OK;
}
