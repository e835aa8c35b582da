#include "backend/backend.h"

ft_status ft_backend_cpu_create(int threads, ft_backend **out)
{
    (void)threads;
    *out = NULL;
    return ft_error(FT_ERROR_RUNTIME, "the CPU backend is not in this build");
}
