#define _GNU_SOURCE /* dlinfo */
#include "backend/cuda/driver/libraries.h"

#include <stdio.h>
#include <string.h>

#ifdef __linux__

#    include <dirent.h>
#    include <dlfcn.h>
#    include <link.h>
#    include <pthread.h>
#    include <stdbool.h>
#    include <stdlib.h>
#    include <unistd.h>

#    include "backend/cuda/cudnn/library.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all that follows */
static char **folders;
static size_t folder_count;
static ft_cuda_library found[FT_CUDA_LIBRARY_COUNT];

/* Where libraries lie that the system's loader may not know of. */
static const char *const SYSTEM_FOLDERS[] = {"/usr/local/cuda/lib64", "/usr/local/nvidia/lib64",
                                             "/usr/lib64-nvidia", "/usr/lib/wsl/lib"};

static void free_folders(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

ft_status ft_cuda_set_library_folders(const char *const *list, size_t count)
{
    char **copy = calloc(count + 1, sizeof *copy);
    FT_RETURN_IF(copy == NULL, FT_ERROR_MEMORY, "cannot allocate a list of %zu folders", count);
    for (size_t i = 0; i < count; i++) {
        copy[i] = strdup(list[i]);
        if (copy[i] == NULL) {
            free_folders(copy, i);
            return ft_error(FT_ERROR_MEMORY, "cannot allocate a list of %zu folders", count);
        }
    }
    pthread_mutex_lock(&lock);
    char **before = folders;
    size_t before_count = folder_count;
    folders = copy;
    folder_count = count;
    pthread_mutex_unlock(&lock);
    free_folders(before, before_count);
    return FT_OK;
}

/* Keeps why what is there cannot be opened; a file that is not there tells nothing. */
static void *open_file(const char *folder, const char *soname, int flags, char error[1024])
{
    char path[1024];
    if (snprintf(path, sizeof path, "%s/%s", folder, soname) >= (int)sizeof path ||
        access(path, F_OK) != 0)
        return NULL;
    void *handle = dlopen(path, flags);
    if (handle == NULL)
        snprintf(error, 1024, "%s", dlerror());
    return handle;
}

static void *open_library(const char *soname, int flags, char error[1024])
{
    error[0] = '\0';
    void *handle = dlopen(soname, flags | RTLD_NOLOAD);
    for (size_t i = 0; handle == NULL && i < folder_count; i++)
        handle = open_file(folders[i], soname, flags, error);
    if (handle == NULL) {
        handle = dlopen(soname, flags);
        const char *why = handle == NULL ? dlerror() : "";
        if (error[0] == '\0' && strstr(why, "No such file") == NULL)
            snprintf(error, 1024, "%s", why);
    }
    for (size_t i = 0; handle == NULL && i < sizeof SYSTEM_FOLDERS / sizeof *SYSTEM_FOLDERS; i++)
        handle = open_file(SYSTEM_FOLDERS[i], soname, flags, error);
    return handle;
}

static void set_path(ft_cuda_library *library, void *handle)
{
    struct link_map *map;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0)
        snprintf(library->path, sizeof library->path, "%s", map->l_name);
}

/* torch for AMD's GPUs calls them "cuda" too. */
static bool rocm_is_loaded(void)
{
    static const char *const names[] = {"libamdhip64.so", "libamdhip64.so.5", "libamdhip64.so.6",
                                        "libamdhip64.so.7"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *handle = dlopen(names[i], RTLD_LAZY | RTLD_NOLOAD);
        if (handle != NULL) {
            dlclose(handle);
            return true;
        }
    }
    return false;
}

/* The address of a function of no arguments that gives a version. */
static void *symbol(void *handle, const char *name, ft_cuda_library *out)
{
    void *address = dlsym(handle, name);
    if (address == NULL)
        snprintf(out->error, sizeof out->error, "%.900s is not NVIDIA's: it has no %s", out->path,
                 name);
    return address;
}

static void find_driver(ft_cuda_library *out)
{
    char error[1024];
    void *handle = open_library("libcuda.so.1", RTLD_NOW, error);
    if (handle == NULL) {
        snprintf(out->error, sizeof out->error,
                 "there is no NVIDIA driver here (libcuda.so.1)%s%.500s: ftcore needs an NVIDIA "
                 "GPU and its driver%s",
                 error[0] ? ": " : "", error,
                 rocm_is_loaded() ? "; AMD GPUs (ROCm) are not supported: train on the CPU"
                                  : "; in a notebook, choose a runtime with a GPU");
        return;
    }
    set_path(out, handle);
    int (*version)(int *) = symbol(handle, "cuDriverGetVersion", out);
    if (version == NULL)
        return;
    int number = 0;
    version(&number);
    out->major = out->cuda_major = number / 1000;
    out->minor = number / 10 % 100;
    out->handle = handle;
}

static void find(ft_cuda_library_kind kind, ft_cuda_library *out);

/* cuDNN, with its versions, but not yet out's handle. */
static void *open_cudnn(ft_cuda_library *out)
{
    char error[1024];
    void *handle = open_library("libcudnn.so.9", RTLD_NOW | RTLD_GLOBAL, error);
    if (handle == NULL) {
        snprintf(out->error, sizeof out->error,
                 "cuDNN 9 was not found (libcudnn.so.9)%s%.500s: pip install nvidia-cudnn-cu12 or, "
                 "for drivers of CUDA 13, nvidia-cudnn-cu13; torch for CUDA brings it too: import "
                 "torch first",
                 error[0] ? ": " : "", error);
        return NULL;
    }
    set_path(out, handle);
    size_t (*version)(void) = symbol(handle, "cudnnGetVersion", out);
    size_t (*cuda_version)(void) = symbol(handle, "cudnnGetCudartVersion", out);
    if (version == NULL || cuda_version == NULL)
        return NULL;
    size_t number = version();
    out->major = (int)(number / 10000);
    out->minor = (int)(number / 100 % 100);
    out->patch = (int)(number % 100);
    out->cuda_major = (int)(cuda_version() / 1000);
    if (number < FT_CUDNN_OLDEST) {
        snprintf(out->error, sizeof out->error,
                 "cuDNN %d.%d.%d (%.500s) is too old: 9.10.2 or newer is needed: pip install -U "
                 "nvidia-cudnn-cu%d",
                 out->major, out->minor, out->patch, out->path, out->cuda_major);
        return NULL;
    }
    return handle;
}

static void find_cublaslt(ft_cuda_library *out)
{
    char error[1024], soname[32];
    ft_cuda_library cudnn = {0};
    if (open_cudnn(&cudnn) == NULL) {
        snprintf(out->error, sizeof out->error,
                 "cuBLASLt is taken with cuDNN, which cannot be used");
        return;
    }
    snprintf(soname, sizeof soname, "libcublasLt.so.%d", cudnn.cuda_major);
    void *handle = open_library(soname, RTLD_NOW | RTLD_GLOBAL, error);
    if (handle == NULL) {
        snprintf(out->error, sizeof out->error, "%s was not found%s%.500s: pip install %s", soname,
                 error[0] ? ": " : "", error,
                 cudnn.cuda_major >= 13 ? "nvidia-cublas" : "nvidia-cublas-cu12");
        return;
    }
    set_path(out, handle);
    size_t (*version)(void) = symbol(handle, "cublasLtGetVersion", out);
    if (version == NULL)
        return;
    size_t number = version();
    out->major = (int)(number / 10000);
    out->minor = (int)(number / 100 % 100);
    out->patch = (int)(number % 100);
    out->cuda_major = cudnn.cuda_major;
    out->handle = handle;
}

/* cuDNN ends the process where it finds no libcublasLt: it is loaded first, as is what
 * cudnnGetVersion and cudnnGetCudartVersion do not need. */
static void find_cudnn(ft_cuda_library *out)
{
    ft_cuda_library cublaslt;
    void *handle = open_cudnn(out);
    if (handle == NULL)
        return;
    find(FT_CUDA_LIBRARY_CUBLASLT, &cublaslt);
    if (cublaslt.handle == NULL)
        snprintf(out->error, sizeof out->error, "cuDNN %d.%d.%d needs cuBLASLt: %.900s", out->major,
                 out->minor, out->patch, cublaslt.error);
    else
        out->handle = handle;
}

/* NVRTC opens its builtins by name, which in some of NVIDIA's wheels nothing leads to. */
static void open_builtins(const ft_cuda_library *nvrtc)
{
    char folder[sizeof nvrtc->path], prefix[32], error[1024];
    snprintf(folder, sizeof folder, "%s", nvrtc->path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        return;
    *slash = '\0';
    snprintf(prefix, sizeof prefix, "libnvrtc-builtins.so.%d.", nvrtc->major);
    DIR *entries = opendir(folder);
    if (entries == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            open_file(folder, entry->d_name, RTLD_NOW, error);
    closedir(entries);
}

/* The NVRTC that goes with cuDNN, which uses it too; or else with the driver. */
static void find_nvrtc(ft_cuda_library *out)
{
    ft_cuda_library cudnn, driver;
    find(FT_CUDA_LIBRARY_CUDNN, &cudnn);
    find(FT_CUDA_LIBRARY_DRIVER, &driver);
    int wanted = cudnn.cuda_major ? cudnn.cuda_major : driver.cuda_major;
    int majors[] = {wanted == 12 ? 12 : 13, wanted == 12 ? 13 : 12};
    char error[1024], soname[32];
    void *handle = NULL;
    for (int i = 0; handle == NULL && i < 2; i++) {
        snprintf(soname, sizeof soname, "libnvrtc.so.%d", majors[i]);
        handle = open_library(soname, RTLD_NOW, error);
    }
    if (handle == NULL) {
        snprintf(out->error, sizeof out->error,
                 "NVRTC was not found (libnvrtc.so.%d)%s%.500s: pip install %s", majors[0],
                 error[0] ? ": " : "", error,
                 majors[0] == 12 ? "nvidia-cuda-nvrtc-cu12" : "nvidia-cuda-nvrtc");
        return;
    }
    set_path(out, handle);
    int (*version)(int *, int *) = symbol(handle, "nvrtcVersion", out);
    if (version == NULL)
        return;
    version(&out->major, &out->minor);
    out->cuda_major = out->major;
    open_builtins(out);
    out->handle = handle;
}

static void find(ft_cuda_library_kind kind, ft_cuda_library *out)
{
    static void (*const finders[])(ft_cuda_library *) = {
        [FT_CUDA_LIBRARY_DRIVER] = find_driver,
        [FT_CUDA_LIBRARY_NVRTC] = find_nvrtc,
        [FT_CUDA_LIBRARY_CUDNN] = find_cudnn,
        [FT_CUDA_LIBRARY_CUBLASLT] = find_cublaslt,
    };
    if (found[kind].handle == NULL) {
        memset(&found[kind], 0, sizeof found[kind]);
        finders[kind](&found[kind]);
    }
    *out = found[kind];
}

void ft_cuda_library_find(ft_cuda_library_kind kind, ft_cuda_library *out)
{
    pthread_mutex_lock(&lock);
    find(kind, out);
    pthread_mutex_unlock(&lock);
}

ft_status ft_cuda_library_function(const ft_cuda_library *library, const char *name, void **out)
{
    *out = dlsym(library->handle, name);
    FT_RETURN_IF(*out == NULL, FT_ERROR_RUNTIME, "%s (%d.%d) has no %s: it is too old for ftcore",
                 library->path, library->major, library->minor, name);
    return FT_OK;
}

#else

ft_status ft_cuda_set_library_folders(const char *const *list, size_t count)
{
    (void)list, (void)count;
    return FT_OK;
}

void ft_cuda_library_find(ft_cuda_library_kind kind, ft_cuda_library *out)
{
    (void)kind;
    memset(out, 0, sizeof *out);
    snprintf(out->error, sizeof out->error, "NVIDIA GPUs are supported on Linux alone");
}

ft_status ft_cuda_library_function(const ft_cuda_library *library, const char *name, void **out)
{
    (void)name;
    *out = NULL;
    return ft_error(FT_ERROR_RUNTIME, "%s", library->error);
}

#endif

ft_status ft_cuda_library_need(ft_cuda_library_kind kind, ft_cuda_library *out)
{
    ft_cuda_library_find(kind, out);
    FT_RETURN_IF(out->handle == NULL, FT_ERROR_RUNTIME, "%s", out->error);
    return FT_OK;
}
