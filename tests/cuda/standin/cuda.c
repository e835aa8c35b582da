/* A libcuda.so.1 of a machine without a GPU: cuDNN loads, finds no device, and can still compile
 * for one that is described to it. Every function fails with CUDA_ERROR_NO_DEVICE; what cuDNN links
 * to must be there all the same. */
#define NONE(name)                                                                                 \
    int name(void)                                                                                 \
    {                                                                                              \
        return 100;                                                                                \
    }

/* Must say zero: otherwise cuDNN tries to load what it has compiled. */
int cuDeviceGetCount(int *count)
{
    *count = 0;
    return 100;
}

int cuGetErrorString(int error, const char **message)
{
    (void)error;
    *message = "no device: a stand-in for the driver";
    return 0;
}

NONE(cuCtxGetCurrent)
NONE(cuCtxGetLimit)
NONE(cuCtxPopCurrent)
NONE(cuCtxPushCurrent)
NONE(cuDeviceGet)
NONE(cuDriverGetVersion)
NONE(cuGetErrorName)
NONE(cuKernelGetAttribute)
NONE(cuKernelGetFunction)
NONE(cuKernelSetAttribute)
NONE(cuLaunchCooperativeKernel)
NONE(cuLaunchKernel)
NONE(cuLaunchKernelEx)
NONE(cuLibraryGetKernel)
NONE(cuLibraryLoadData)
NONE(cuLibraryLoadFromFile)
NONE(cuLibraryUnload)
NONE(cuLinkAddData)
NONE(cuLinkComplete)
NONE(cuLinkCreate)
NONE(cuLinkDestroy)
NONE(cuModuleGetFunction)
NONE(cuModuleLoadData)
NONE(cuModuleUnload)
NONE(cuOccupancyMaxPotentialClusterSize)
NONE(cuStreamGetCtx)
NONE(cuTensorMapEncodeIm2col)
NONE(cuTensorMapEncodeTiled)
