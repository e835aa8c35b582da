#include "backend/backend.h"

#include <stdlib.h>
#include <string.h>

/* "cuda" is "cuda:0". false: it is neither. */
static bool parse_cuda(const char *name, int *device)
{
    *device = 0;
    if (strncmp(name, "cuda", 4) != 0)
        return false;
    if (name[4] == '\0')
        return true;
    size_t digits = strspn(name + 5, "0123456789");
    if (name[4] != ':' || digits < 1 || digits > 4 || name[5 + digits] != '\0')
        return false;
    *device = atoi(name + 5);
    return true;
}

ft_status ft_backend_create(const char *name, int threads, ft_backend **out)
{
    *out = NULL;
    if (threads != 0)
        FT_FORWARD(ft_backend_check_threads(threads));
    int device;
    if (parse_cuda(name, &device))
        return ft_backend_cuda_create(device, out);
    if (!strcmp(name, "reference"))
        return ft_backend_reference_create(out);
#ifdef FT_HAVE_ONEDNN
    if (!strcmp(name, "cpu") || !strcmp(name, "auto"))
        return ft_backend_cpu_create(threads, out);
#else
    if (!strcmp(name, "auto"))
        return ft_backend_reference_create(out);
    FT_RETURN_IF(!strcmp(name, "cpu"), FT_ERROR_RUNTIME,
                 "this build of ftcore has no oneDNN: set ONEDNN_ROOT and reinstall, or use the "
                 "'reference' backend");
#endif
    return ft_error(FT_ERROR_VALUE,
                    "unknown backend '%s': 'auto', 'cpu', 'cuda', 'cuda:1' and so on, or "
                    "'reference'",
                    name);
}
