/* What the backends have in common whose memory is the host's: memory itself, operations that are
 * done at once, and products of float32 that are no less. */
#ifndef FT_BACKEND_HOST_MEMORY_H
#define FT_BACKEND_HOST_MEMORY_H

#include "backend/backend.h"

ft_status ft_host_allocate(ft_backend *, size_t bytes, void **out);
void ft_host_release(ft_backend *, void *memory);
ft_status ft_host_upload(ft_backend *, void *to, const void *from_host, size_t bytes);
ft_status ft_host_download(ft_backend *, void *to_host, const void *from, size_t bytes);
ft_status ft_host_zero(ft_backend *, void *memory, size_t bytes);
ft_status ft_host_copy(ft_backend *, void *to, const void *from, size_t bytes);

/* Operations that were carried out when they were asked for. */
ft_status ft_host_submit(ft_backend *);
ft_status ft_host_synchronize(ft_backend *);
/* `follow` and `lead`: no stream has to do with host memory. */
ft_status ft_host_order(ft_backend *, void *stream);

ft_status ft_host_check_tf32(ft_backend *);

/* At most 15 rows are too many, or, of a batch of more than a thousand, one in 32. */
int32_t ft_host_bucket(const ft_backend *, int32_t tokens);
/* A float for each query row of each head. */
size_t ft_host_attention_state(const ft_backend *, const ft_attention *);

#endif
