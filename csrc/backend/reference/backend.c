#include "backend/backend.h"

ft_status ft_backend_reference_create(ft_backend **out)
{
    *out = NULL;
    return ft_error(FT_ERROR_RUNTIME, "the reference backend is not in this build");
}
