/* NVIDIA's libraries, found and opened when they are needed: none is linked. Each is looked for
 * among what the process has loaded already (torch brings its own), then in the folders that Python
 * names (those of NVIDIA's wheels), then where the system keeps libraries. */
#ifndef FT_BACKEND_CUDA_DRIVER_LIBRARIES_H
#define FT_BACKEND_CUDA_DRIVER_LIBRARIES_H

#include <stddef.h>

#include "common/status.h"

typedef enum ft_cuda_library_kind {
    FT_CUDA_LIBRARY_DRIVER = 0, /* libcuda.so.1 */
    FT_CUDA_LIBRARY_NVRTC,      /* libnvrtc.so.12 or .13 */
    FT_CUDA_LIBRARY_CUDNN,      /* libcudnn.so.9 */
    FT_CUDA_LIBRARY_CUBLASLT,   /* libcublasLt.so.12 or .13: the one that cuDNN needs */
    FT_CUDA_LIBRARY_COUNT,
} ft_cuda_library_kind;

typedef struct ft_cuda_library {
    void *handle;     /* of dlopen; NULL: it cannot be used, and error says why */
    int major, minor; /* of the driver: the newest CUDA that it runs; of others: their version */
    int patch;        /* of cuBLASLt and cuDNN */
    int cuda_major;   /* the CUDA that it belongs to: 12 or 13 */
    char path[1024];  /* the file that it came from; "": not found */
    char error[1024];
} ft_cuda_library;

/* Where to look besides, from now on; copied. */
ft_status ft_cuda_set_library_folders(const char *const *folders, size_t count);

/* Opens a library, or gives the one that was opened: once found, it stays for the process's life.
 * One that was not found is looked for again the next time. Never fails: see handle. */
void ft_cuda_library_find(ft_cuda_library_kind, ft_cuda_library *out);

/* The same for those who need it: FT_ERROR_RUNTIME with its error where it cannot be used. */
ft_status ft_cuda_library_need(ft_cuda_library_kind, ft_cuda_library *out);

/* The library's function of that name; refused by name where it has none. */
ft_status ft_cuda_library_function(const ft_cuda_library *, const char *name, void **out);

#endif
