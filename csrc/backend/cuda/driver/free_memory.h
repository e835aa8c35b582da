/* How much of a GPU's memory is free. */
#ifndef FT_BACKEND_CUDA_DRIVER_FREE_MEMORY_H
#define FT_BACKEND_CUDA_DRIVER_FREE_MEMORY_H

#include <stddef.h>

#include "common/status.h"

/* Bytes that no process has taken. Refused where there is no such GPU or it will not do. */
ft_status ft_cuda_free_memory(int index, size_t *out);

#endif
