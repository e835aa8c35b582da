#include "backend/cuda/driver/devices.h"

#include <stdio.h>
#include <string.h>

#include "backend/cuda/driver/libraries.h"

enum { LEAST_CAPABILITY = 75 };

/* Code that a newer CUDA compiled is not promised to run on an older one's driver. */
static void judge(const ft_cuda_driver *driver, ft_cuda_device *d)
{
    ft_cuda_library nvrtc;
    if (d->capability < LEAST_CAPABILITY) {
        snprintf(d->reason, sizeof d->reason,
                 "%s (sm_%d) is not supported: ftcore needs compute capability 7.5 (T4) or newer; "
                 "train on the CPU",
                 d->name, d->capability);
        return;
    }
    ft_cuda_library_find(FT_CUDA_LIBRARY_NVRTC, &nvrtc);
    if (nvrtc.handle != NULL && nvrtc.major > driver->version / 1000)
        snprintf(d->reason, sizeof d->reason,
                 "the NVIDIA driver runs CUDA %d.%d, and NVRTC is that of CUDA %d.%d (%.500s): "
                 "update the driver, or install the libraries for CUDA %d",
                 driver->version / 1000, driver->version / 10 % 100, nvrtc.major, nvrtc.minor,
                 nvrtc.path, driver->version / 1000);
}

static ft_status describe(const ft_cuda_driver *driver, int index, ft_cuda_device *d)
{
    int major, minor;
    memset(d, 0, sizeof *d);
    d->index = index;
    FT_CUDA_FORWARD(driver, device_get(&d->device, index), "asking for GPU %d", index);
    FT_CUDA_FORWARD(driver, device_name(d->name, sizeof d->name, d->device),
                    "asking for GPU %d's name", index);
    FT_CUDA_FORWARD(driver, device_memory(&d->memory, d->device), "asking for GPU %d's memory",
                    index);
    FT_CUDA_FORWARD(driver, device_attribute(&major, FT_CU_CAPABILITY_MAJOR, d->device),
                    "asking for GPU %d's compute capability", index);
    FT_CUDA_FORWARD(driver, device_attribute(&minor, FT_CU_CAPABILITY_MINOR, d->device),
                    "asking for GPU %d's compute capability", index);
    d->capability = 10 * major + minor;
    judge(driver, d);
    return FT_OK;
}

int ft_cuda_devices(ft_cuda_device devices[FT_CUDA_MOST_DEVICES])
{
    const ft_cuda_driver *driver;
    int count = 0;
    if (ft_cuda_driver_load(&driver) != FT_OK || driver->device_count(&count) != FT_CU_SUCCESS)
        return 0;
    if (count > FT_CUDA_MOST_DEVICES)
        count = FT_CUDA_MOST_DEVICES;
    for (int i = 0; i < count; i++)
        if (describe(driver, i, &devices[i]) != FT_OK)
            snprintf(devices[i].reason, sizeof devices[i].reason, "%s", ft_error_message());
    return count;
}

ft_status ft_cuda_device_find(const ft_cuda_driver *driver, int index, ft_cuda_device *out)
{
    int count = 0;
    FT_CUDA_FORWARD(driver, device_count(&count), "counting the GPUs");
    FT_RETURN_IF(count == 0, FT_ERROR_RUNTIME,
                 "the NVIDIA driver shows no GPU: is CUDA_VISIBLE_DEVICES set to none?");
    FT_RETURN_IF(index < 0 || index >= count, FT_ERROR_VALUE,
                 "there is no 'cuda:%d': GPUs are "
                 "numbered from 0 to %d here",
                 index, count - 1);
    FT_FORWARD(describe(driver, index, out));
    FT_RETURN_IF(out->reason[0] != '\0', FT_ERROR_RUNTIME, "%s", out->reason);
    return FT_OK;
}
