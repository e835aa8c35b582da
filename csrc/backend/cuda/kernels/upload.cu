#include "common.cuh"
#include "upload.h"

FT_KERNEL(upload, FT_UPLOAD_THREADS)(const ft_upload_arguments arguments)
{
    const ft_upload a = arguments.uploads[blockIdx.y];
    int bytes = *a.bytes, first = blockIdx.x * blockDim.x + threadIdx.x;
    int step = gridDim.x * blockDim.x;
    if ((((size_t)a.to | bytes) & 3) == 0)
        for (int i = first; i < bytes / 4; i += step)
            ((unsigned *)a.to)[i] = ((const unsigned *)a.from)[i];
    else
        for (int i = first; i < bytes; i += step)
            ((unsigned char *)a.to)[i] = ((const unsigned char *)a.from)[i];
}
