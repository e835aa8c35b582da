#include "backend/cuda/cudnn/library.h"

#include <dlfcn.h>
#include <string.h>

ft_status ft_cudnn_library_find(void *loaded, ft_cudnn_library *out)
{
    ft_cudnn_functions *f = &out->functions;
    const struct {
        const char *name;
        void *function; /* a pointer to a function */
    } wanted[] = {
        {"cudnnCreate", &f->Create},
        {"cudnnDestroy", &f->Destroy},
        {"cudnnSetStream", &f->SetStream},
        {"cudnnBackendCreateDescriptor", &f->BackendCreateDescriptor},
        {"cudnnBackendDestroyDescriptor", &f->BackendDestroyDescriptor},
        {"cudnnBackendSetAttribute", &f->BackendSetAttribute},
        {"cudnnBackendGetAttribute", &f->BackendGetAttribute},
        {"cudnnBackendFinalize", &f->BackendFinalize},
        {"cudnnBackendExecute", &f->BackendExecute},
        {"cudnnGetVersion", &f->GetVersion},
        {"cudnnGetErrorString", &f->GetErrorString},
        {"cudnnGetLastErrorString", &f->GetLastErrorString},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *found = dlsym(loaded, wanted[i].name);
        FT_RETURN_IF(found == NULL, FT_ERROR_RUNTIME,
                     "cuDNN has no function %s: install cuDNN 9, nvidia-cudnn-cu12 or -cu13",
                     wanted[i].name);
        memcpy(wanted[i].function, &found, sizeof found);
    }
    out->version = (int)f->GetVersion();
    FT_RETURN_IF(out->version < FT_CUDNN_OLDEST, FT_ERROR_RUNTIME,
                 "cuDNN %d.%d.%d is too old: 9.10.2 or newer is needed", out->version / 10000,
                 out->version / 100 % 100, out->version % 100);
    return FT_OK;
}

const char *ft_cudnn_reason(char *message)
{
    char *reason = strstr(message, "Reason: ");
    if (reason == NULL)
        reason = message;
    reason[strcspn(reason, "\n")] = '\0';
    return reason;
}

ft_status ft_cudnn_check(const ft_cudnn_library *library, int status, const char *doing)
{
    if (status == CUDNN_STATUS_SUCCESS)
        return FT_OK;
    char message[4096] = "";
    library->functions.GetLastErrorString(message, sizeof message);
    message[sizeof message - 1] = '\0';
    return ft_error(FT_ERROR_RUNTIME, "cuDNN %d.%d.%d, %s: %s (%.300s)", library->version / 10000,
                    library->version / 100 % 100, library->version % 100, doing,
                    library->functions.GetErrorString(status), ft_cudnn_reason(message));
}
