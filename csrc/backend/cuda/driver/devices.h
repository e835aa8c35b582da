/* What GPUs there are, and whether they will do. */
#ifndef FT_BACKEND_CUDA_DRIVER_DEVICES_H
#define FT_BACKEND_CUDA_DRIVER_DEVICES_H

#include <stddef.h>

#include "backend/cuda/driver/driver.h"

typedef struct ft_cuda_device {
    int index;
    int device;     /* CUdevice */
    int capability; /* 10 * major + minor */
    size_t memory;  /* bytes */
    char name[256];
    char reason[1024]; /* why it will not do; "": it will */
} ft_cuda_device;

enum { FT_CUDA_MOST_DEVICES = 64 };

/* Those that the driver shows, at most FT_CUDA_MOST_DEVICES; none where there is no driver. */
int ft_cuda_devices(ft_cuda_device devices[FT_CUDA_MOST_DEVICES]);

/* The one of that index; refused where there is none or it will not do. */
ft_status ft_cuda_device_find(const ft_cuda_driver *, int index, ft_cuda_device *out);

#endif
