/* Constants of NVIDIA's driver API that are used here, under names of ours; a test compares them
 * with NVIDIA's header. */
#ifndef FT_BACKEND_CUDA_DRIVER_DRIVER_API_H
#define FT_BACKEND_CUDA_DRIVER_DRIVER_API_H

#include <stdint.h>

typedef uint64_t ft_cu_pointer; /* CUdeviceptr */

/* FT_CU_CONSTANT(ours, NVIDIA's, value) */
#define FT_CU_CONSTANTS(FT_CU_CONSTANT)                                                            \
    FT_CU_CONSTANT(FT_CU_SUCCESS, CUDA_SUCCESS, 0)                                                 \
    FT_CU_CONSTANT(FT_CU_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY, 2)                               \
    FT_CU_CONSTANT(FT_CU_NOT_INITIALIZED, CUDA_ERROR_NOT_INITIALIZED, 3)                           \
    FT_CU_CONSTANT(FT_CU_NO_DEVICE, CUDA_ERROR_NO_DEVICE, 100)                                     \
    FT_CU_CONSTANT(FT_CU_NO_BINARY, CUDA_ERROR_NO_BINARY_FOR_GPU, 209)                             \
    FT_CU_CONSTANT(FT_CU_ECC_UNCORRECTABLE, CUDA_ERROR_ECC_UNCORRECTABLE, 214)                     \
    FT_CU_CONSTANT(FT_CU_UNSUPPORTED_PTX, CUDA_ERROR_UNSUPPORTED_PTX_VERSION, 222)                 \
    FT_CU_CONSTANT(FT_CU_ILLEGAL_ADDRESS, CUDA_ERROR_ILLEGAL_ADDRESS, 700)                         \
    FT_CU_CONSTANT(FT_CU_LAUNCH_TIMEOUT, CUDA_ERROR_LAUNCH_TIMEOUT, 702)                           \
    FT_CU_CONSTANT(FT_CU_CONTEXT_IS_DESTROYED, CUDA_ERROR_CONTEXT_IS_DESTROYED, 709)               \
    FT_CU_CONSTANT(FT_CU_ASSERT, CUDA_ERROR_ASSERT, 710)                                           \
    FT_CU_CONSTANT(FT_CU_HARDWARE_STACK_ERROR, CUDA_ERROR_HARDWARE_STACK_ERROR, 714)               \
    FT_CU_CONSTANT(FT_CU_ILLEGAL_INSTRUCTION, CUDA_ERROR_ILLEGAL_INSTRUCTION, 715)                 \
    FT_CU_CONSTANT(FT_CU_MISALIGNED_ADDRESS, CUDA_ERROR_MISALIGNED_ADDRESS, 716)                   \
    FT_CU_CONSTANT(FT_CU_INVALID_ADDRESS_SPACE, CUDA_ERROR_INVALID_ADDRESS_SPACE, 717)             \
    FT_CU_CONSTANT(FT_CU_INVALID_PC, CUDA_ERROR_INVALID_PC, 718)                                   \
    FT_CU_CONSTANT(FT_CU_LAUNCH_FAILED, CUDA_ERROR_LAUNCH_FAILED, 719)                             \
    FT_CU_CONSTANT(FT_CU_SYSTEM_DRIVER_MISMATCH, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, 803)           \
    FT_CU_CONSTANT(FT_CU_MULTIPROCESSORS, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 16)            \
    FT_CU_CONSTANT(FT_CU_CAPABILITY_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 75)       \
    FT_CU_CONSTANT(FT_CU_CAPABILITY_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 76)       \
    FT_CU_CONSTANT(FT_CU_STREAM_DEFAULT, CU_STREAM_DEFAULT, 0)                                     \
    FT_CU_CONSTANT(FT_CU_STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING, 1)                           \
    FT_CU_CONSTANT(FT_CU_CAPTURE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, 1)             \
    FT_CU_CONSTANT(FT_CU_EVENT_DISABLE_TIMING, CU_EVENT_DISABLE_TIMING, 2)                         \
    FT_CU_CONSTANT(FT_CU_FUNCTION_SHARED_BYTES, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 8)

enum {
#define FT_CU_CONSTANT(ours, nvidias, value) ours = value,
    FT_CU_CONSTANTS(FT_CU_CONSTANT)
#undef FT_CU_CONSTANT
};

/* FT_CU_FUNCTION(member, symbol, parameters): symbols are those that NVIDIA's header maps the plain
 * names to. Contexts, modules, functions, streams, events and graphs are pointers to what is
 * NVIDIA's; devices are int. All return a CUresult. */
#define FT_CU_FUNCTIONS(FT_CU_FUNCTION)                                                            \
    FT_CU_FUNCTION(init, cuInit, (unsigned flags))                                                 \
    FT_CU_FUNCTION(driver_version, cuDriverGetVersion, (int *))                                    \
    FT_CU_FUNCTION(error_name, cuGetErrorName, (int error, const char **))                         \
    FT_CU_FUNCTION(error_text, cuGetErrorString, (int error, const char **))                       \
    FT_CU_FUNCTION(device_count, cuDeviceGetCount, (int *))                                        \
    FT_CU_FUNCTION(device_get, cuDeviceGet, (int *device, int ordinal))                            \
    FT_CU_FUNCTION(device_name, cuDeviceGetName, (char *, int bytes, int device))                  \
    FT_CU_FUNCTION(device_memory, cuDeviceTotalMem_v2, (size_t *, int device))                     \
    FT_CU_FUNCTION(device_attribute, cuDeviceGetAttribute, (int *, int attribute, int device))     \
    FT_CU_FUNCTION(primary_retain, cuDevicePrimaryCtxRetain, (void **context, int device))         \
    FT_CU_FUNCTION(primary_release, cuDevicePrimaryCtxRelease_v2, (int device))                    \
    FT_CU_FUNCTION(context_push, cuCtxPushCurrent_v2, (void *context))                             \
    FT_CU_FUNCTION(context_pop, cuCtxPopCurrent_v2, (void **context))                              \
    FT_CU_FUNCTION(memory_info, cuMemGetInfo_v2, (size_t * free, size_t * total))                  \
    FT_CU_FUNCTION(memory_allocate, cuMemAlloc_v2, (ft_cu_pointer *, size_t bytes))                \
    FT_CU_FUNCTION(memory_free, cuMemFree_v2, (ft_cu_pointer))                                     \
    FT_CU_FUNCTION(host_allocate, cuMemHostAlloc, (void **, size_t bytes, unsigned flags))         \
    FT_CU_FUNCTION(host_free, cuMemFreeHost, (void *))                                             \
    FT_CU_FUNCTION(copy_to_device_async, cuMemcpyHtoDAsync_v2,                                     \
                   (ft_cu_pointer, const void *, size_t, void *stream))                            \
    FT_CU_FUNCTION(copy_to_host_async, cuMemcpyDtoHAsync_v2,                                       \
                   (void *, ft_cu_pointer, size_t, void *stream))                                  \
    FT_CU_FUNCTION(copy_on_device_async, cuMemcpyDtoDAsync_v2,                                     \
                   (ft_cu_pointer, ft_cu_pointer, size_t, void *stream))                           \
    FT_CU_FUNCTION(set_bytes_async, cuMemsetD8Async,                                               \
                   (ft_cu_pointer, unsigned char, size_t, void *stream))                           \
    FT_CU_FUNCTION(stream_create, cuStreamCreate, (void **stream, unsigned flags))                 \
    FT_CU_FUNCTION(stream_destroy, cuStreamDestroy_v2, (void *stream))                             \
    FT_CU_FUNCTION(stream_synchronize, cuStreamSynchronize, (void *stream))                        \
    FT_CU_FUNCTION(stream_wait_event, cuStreamWaitEvent,                                           \
                   (void *stream, void *event, unsigned flags))                                    \
    FT_CU_FUNCTION(capture_begin, cuStreamBeginCapture_v2, (void *stream, int mode))               \
    FT_CU_FUNCTION(capture_end, cuStreamEndCapture, (void *stream, void **graph))                  \
    FT_CU_FUNCTION(graph_instantiate, cuGraphInstantiateWithFlags,                                 \
                   (void **executable, void *graph, unsigned long long flags))                     \
    FT_CU_FUNCTION(graph_launch, cuGraphLaunch, (void *executable, void *stream))                  \
    FT_CU_FUNCTION(graph_destroy, cuGraphDestroy, (void *graph))                                   \
    FT_CU_FUNCTION(executable_destroy, cuGraphExecDestroy, (void *executable))                     \
    FT_CU_FUNCTION(event_create, cuEventCreate, (void **event, unsigned flags))                    \
    FT_CU_FUNCTION(event_destroy, cuEventDestroy_v2, (void *event))                                \
    FT_CU_FUNCTION(event_record, cuEventRecord, (void *event, void *stream))                       \
    FT_CU_FUNCTION(event_synchronize, cuEventSynchronize, (void *event))                           \
    FT_CU_FUNCTION(module_load, cuModuleLoadData, (void **module, const void *image))              \
    FT_CU_FUNCTION(module_unload, cuModuleUnload, (void *module))                                  \
    FT_CU_FUNCTION(module_function, cuModuleGetFunction,                                           \
                   (void **function, void *module, const char *name))                              \
    FT_CU_FUNCTION(function_attribute, cuFuncSetAttribute,                                         \
                   (void *function, int attribute, int value))                                     \
    FT_CU_FUNCTION(launch, cuLaunchKernel,                                                         \
                   (void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z,             \
                    unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,   \
                    void *stream, void **parameters, void **extra))

#endif
