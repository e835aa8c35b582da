#include "backend/cuda/cublaslt/library.h"

#include <stdarg.h>
#include <stdio.h>

_Static_assert(offsetof(ft_cublaslt_choice, workspace) == 64 &&
                   offsetof(ft_cublaslt_choice, state) == 72 && sizeof(ft_cublaslt_choice) == 96,
               "a choice is laid out as cuBLASLt writes it");

ft_status ft_cublaslt_library_find(const ft_cuda_library *loaded, ft_cublaslt_library *out)
{
    ft_cublaslt_functions *f = &out->functions;
    const struct {
        const char *name;
        void *function; /* a pointer to a function */
    } wanted[] = {
        {"cublasLtGetVersion", &f->GetVersion},
        {"cublasLtGetStatusName", &f->GetStatusName},
        {"cublasLtGetStatusString", &f->GetStatusString},
        {"cublasLtCreate", &f->Create},
        {"cublasLtDestroy", &f->Destroy},
        {"cublasLtMatmulDescCreate", &f->MatmulDescCreate},
        {"cublasLtMatmulDescDestroy", &f->MatmulDescDestroy},
        {"cublasLtMatmulDescSetAttribute", &f->MatmulDescSetAttribute},
        {"cublasLtMatrixLayoutCreate", &f->MatrixLayoutCreate},
        {"cublasLtMatrixLayoutDestroy", &f->MatrixLayoutDestroy},
        {"cublasLtMatmulPreferenceCreate", &f->MatmulPreferenceCreate},
        {"cublasLtMatmulPreferenceDestroy", &f->MatmulPreferenceDestroy},
        {"cublasLtMatmulPreferenceSetAttribute", &f->MatmulPreferenceSetAttribute},
        {"cublasLtMatmulAlgoGetHeuristic", &f->MatmulAlgoGetHeuristic},
        {"cublasLtMatmul", &f->Matmul},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        FT_FORWARD(ft_cuda_library_function(loaded, wanted[i].name, wanted[i].function));
    out->version = (int)f->GetVersion();
    return FT_OK;
}

static const char *advice(int status)
{
    switch (status) {
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "; is the NVIDIA driver new enough for it?";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "; use smaller batches, or free what others hold (torch.cuda.empty_cache())";
    case CUBLAS_STATUS_ARCH_MISMATCH:
        return "; it does not know this GPU: install a newer nvidia-cublas, or train on the CPU "
               "(use_cpu=True)";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "; this process may be able to use the GPU no more: restart it (in a notebook, the "
               "runtime)";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "; train in another precision, or on the CPU (use_cpu=True)";
    default:
        return "";
    }
}

ft_status ft_cublaslt_check(const ft_cublaslt_library *library, int status, const char *doing, ...)
{
    if (__builtin_expect(status == CUBLAS_STATUS_SUCCESS, 1))
        return FT_OK;
    char what[256];
    va_list arguments;
    va_start(arguments, doing);
    vsnprintf(what, sizeof what, doing, arguments);
    va_end(arguments);
    return ft_error(status == CUBLAS_STATUS_ALLOC_FAILED ? FT_ERROR_MEMORY : FT_ERROR_RUNTIME,
                    "cuBLASLt %d.%d.%d, %s: %s (%.300s)%s", library->version / 10000,
                    library->version / 100 % 100, library->version % 100, what,
                    library->functions.GetStatusName(status),
                    library->functions.GetStatusString(status), advice(status));
}
