/* The CUDA driver as a table of functions, and its errors as ours. */
#ifndef FT_BACKEND_CUDA_DRIVER_DRIVER_H
#define FT_BACKEND_CUDA_DRIVER_DRIVER_H

#include <stddef.h>

#include "backend/cuda/driver/driver_api.h"
#include "common/status.h"

typedef struct ft_cuda_driver {
#define FT_CU_FUNCTION(member, symbol, parameters) int(*member) parameters;
    FT_CU_FUNCTIONS(FT_CU_FUNCTION)
#undef FT_CU_FUNCTION
    int version; /* the newest CUDA that it runs: 1000 * major + 10 * minor */
} ft_cuda_driver;

/* Loads and initialises the driver, once; the table stays for the process's life. */
ft_status ft_cuda_driver_load(const ft_cuda_driver **out);

/* Refuses in a child that was forked since: there nothing of the driver's must be called, nor what
 * the parent has of it be released. */
ft_status ft_cuda_driver_usable(void);

/* FT_OK, or the failure of what was being done: "<doing>: <NVIDIA's name and text>, and what to do
 * about it". */
ft_status ft_cuda_check(const ft_cuda_driver *, int result, const char *doing, ...)
    __attribute__((format(printf, 3, 4)));

/* Memory of the device whose context is current. */
ft_status ft_cuda_memory_allocate(const ft_cuda_driver *, size_t bytes, void **out);

/* Forwards the failure of a call of the driver's. */
#define FT_CUDA_FORWARD(driver, call, ...)                                                         \
    FT_FORWARD(ft_cuda_check((driver), (driver)->call, __VA_ARGS__))

#endif
