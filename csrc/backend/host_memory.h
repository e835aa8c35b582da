/* Memory operations of the backends whose memory is the host's. */
#ifndef FT_BACKEND_HOST_MEMORY_H
#define FT_BACKEND_HOST_MEMORY_H

#include "backend/backend.h"

ft_status ft_host_allocate(ft_backend *, size_t bytes, void **out);
void ft_host_release(ft_backend *, void *memory);
ft_status ft_host_upload(ft_backend *, void *to, const void *from_host, size_t bytes);
ft_status ft_host_download(ft_backend *, void *to_host, const void *from, size_t bytes);
ft_status ft_host_zero(ft_backend *, void *memory, size_t bytes);

#endif
