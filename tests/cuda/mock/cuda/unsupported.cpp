/* What NVIDIA's libraries look for in a driver, and do without. */
#include "driver.h"

using namespace driver;

/* NVRTC asks for it as soon as there is a driver. */
FT_EXPORT int cuGetExportTable(const void **table, const void *)
{
    *table = nullptr;
    return NOT_SUPPORTED;
}

/* Linked to by cuDNN's libraries, which build graphs without a GPU if these are there. */
#define FT_UNSUPPORTED(function)                                                                   \
    FT_EXPORT int function()                                                                       \
    {                                                                                              \
        return NOT_SUPPORTED;                                                                      \
    }

FT_UNSUPPORTED(cuCtxGetLimit)
FT_UNSUPPORTED(cuCtxPopCurrent)
FT_UNSUPPORTED(cuCtxPushCurrent)
FT_UNSUPPORTED(cuKernelGetAttribute)
FT_UNSUPPORTED(cuKernelGetFunction)
FT_UNSUPPORTED(cuKernelSetAttribute)
FT_UNSUPPORTED(cuLaunchCooperativeKernel)
FT_UNSUPPORTED(cuLaunchKernelEx)
FT_UNSUPPORTED(cuLibraryGetKernel)
FT_UNSUPPORTED(cuLibraryLoadData)
FT_UNSUPPORTED(cuLibraryLoadFromFile)
FT_UNSUPPORTED(cuLibraryUnload)
FT_UNSUPPORTED(cuLinkAddData)
FT_UNSUPPORTED(cuLinkComplete)
FT_UNSUPPORTED(cuLinkCreate)
FT_UNSUPPORTED(cuLinkDestroy)
FT_UNSUPPORTED(cuOccupancyMaxPotentialClusterSize)
FT_UNSUPPORTED(cuStreamGetCtx)
FT_UNSUPPORTED(cuTensorMapEncodeIm2col)
FT_UNSUPPORTED(cuTensorMapEncodeTiled)
