#include "backend/backend.h"

ft_status ft_backend_check_threads(int threads)
{
    FT_RETURN_IF(threads < 1, FT_ERROR_VALUE, "threads must be at least 1, got %d", threads);
    FT_RETURN_IF(threads > FT_MOST_THREADS, FT_ERROR_VALUE, "threads must be at most %d, got %d",
                 FT_MOST_THREADS, threads);
    return FT_OK;
}
