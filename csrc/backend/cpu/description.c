#define _GNU_SOURCE
#include "backend/cpu/description.h"

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>

ft_status ft_cpu_describe(ft_cpu_description *out)
{
    ft_backend *backend;
    FT_FORWARD(ft_backend_cpu_create(0, &backend));
    const ft_backend_operations *operations = backend->operations;
    *out = (ft_cpu_description){
        .threads = operations->threads(backend),
        .bfloat16 = operations->check_precision(backend, FT_BFLOAT16) == FT_OK,
        .kernels = ft_cpu_of(backend)->kernels->name,
    };
    operations->destroy(backend);
    out->available_count = ft_cpu_kernels_available(out->available);
    const dnnl_version_t *version = dnnl_version();
    out->onednn_version[0] = version->major;
    out->onednn_version[1] = version->minor;
    out->onednn_version[2] = version->patch;
    Dl_info library;
    if (dladdr((const void *)(uintptr_t)dnnl_version, &library) && library.dli_fname != NULL)
        snprintf(out->onednn_path, sizeof out->onednn_path, "%s", library.dli_fname);
    return FT_OK;
}
