#include "backend/cuda/driver/free_memory.h"

#include "backend/cuda/driver/devices.h"

static ft_status ask(const ft_cuda_driver *driver, void *context, size_t *out)
{
    size_t total;
    void *popped;
    FT_CUDA_FORWARD(driver, context_push(context), "asking for the GPU's free memory");
    ft_status status =
        ft_cuda_check(driver, driver->memory_info(out, &total), "asking for the GPU's free memory");
    driver->context_pop(&popped);
    return status;
}

ft_status ft_cuda_free_memory(int index, size_t *out)
{
    const ft_cuda_driver *driver;
    ft_cuda_device device;
    void *context;
    FT_FORWARD(ft_cuda_driver_load(&driver));
    FT_FORWARD(ft_cuda_device_find(driver, index, &device));
    FT_CUDA_FORWARD(driver, primary_retain(&context, device.device), "starting to use GPU %d",
                    index);
    ft_status status = ask(driver, context, out);
    driver->primary_release(device.device);
    return status;
}
