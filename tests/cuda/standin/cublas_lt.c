/* A libcublasLt of no use: cuDNN ends the process where it finds none, or one without these
 * functions, but has engines that do without it. */
#include <stddef.h>

size_t cublasLtGetVersion(void)
{
    return 130000;
}

size_t cublasLtGetCudartVersion(void)
{
    return 13000;
}

/* CUBLAS_STATUS_NOT_INITIALIZED */
#define NONE(name)                                                                                 \
    int cublasLt##name(void)                                                                       \
    {                                                                                              \
        return 1;                                                                                  \
    }

NONE(Create)
NONE(Destroy)
NONE(GetProperty)
NONE(Matmul)
NONE(MatmulAlgoCapGetAttribute)
NONE(MatmulAlgoCheck)
NONE(MatmulAlgoConfigGetAttribute)
NONE(MatmulAlgoConfigSetAttribute)
NONE(MatmulAlgoGetHeuristic)
NONE(MatmulAlgoGetIds)
NONE(MatmulAlgoInit)
NONE(MatmulDescCreate)
NONE(MatmulDescDestroy)
NONE(MatmulDescGetAttribute)
NONE(MatmulDescSetAttribute)
NONE(MatmulPreferenceCreate)
NONE(MatmulPreferenceDestroy)
NONE(MatmulPreferenceGetAttribute)
NONE(MatmulPreferenceSetAttribute)
NONE(MatrixLayoutCreate)
NONE(MatrixLayoutDestroy)
NONE(MatrixLayoutGetAttribute)
NONE(MatrixLayoutSetAttribute)
