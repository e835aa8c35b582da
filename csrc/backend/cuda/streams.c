#include "backend/cuda/streams.h"

#include "backend/cuda/driver/driver.h"
#include "backend/cuda/tape.h"

/* NULL, or CU_STREAM_LEGACY: the driver itself keeps the order between it and our stream. */
static bool is_legacy(const void *stream)
{
    return (uintptr_t)stream <= 1;
}

static ft_status wait_for(ft_cuda *cuda, void *first, void *second)
{
    FT_CUDA_FORWARD(cuda->driver, event_record(cuda->ordering, first), "recording an event");
    return ft_cuda_check(cuda->driver, cuda->driver->stream_wait_event(second, cuda->ordering, 0),
                         "letting a stream wait for another");
}

ft_status ft_cuda_follow(ft_cuda *cuda, void *stream)
{
    return is_legacy(stream) ? FT_OK : wait_for(cuda, stream, cuda->stream);
}

ft_status ft_cuda_lead(ft_cuda *cuda, void *stream)
{
    FT_FORWARD(ft_cuda_submit(cuda));
    return is_legacy(stream) ? FT_OK : wait_for(cuda, cuda->stream, stream);
}
