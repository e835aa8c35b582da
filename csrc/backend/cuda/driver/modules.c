#include "backend/cuda/driver/modules.h"

#include <stdio.h>
#include <stdlib.h>

#include "backend/cuda/driver/compiler.h"
#include "backend/cuda/driver/driver.h"
#include "backend/precision.h"
#include "common/threads.h"

enum { PRECISIONS = 3, SHARED_WITHOUT_ASKING = 48 << 10 };

static const struct {
    ft_kernel_source source;
    const char *name;
} kernels[] = {
#define FT_KERNEL_OF(source, name) {FT_KERNEL_SOURCE_##source, #name},
#include "backend/cuda/kernels/list.h"
#undef FT_KERNEL_OF
};

typedef struct function {
    void *function; /* CUfunction, or NULL: not launched yet */
    uint32_t shared_bytes;
} function;

/* A source for a precision. */
typedef struct module {
    void *loaded; /* CUmodule, or NULL */
    bool wanted;  /* by a launch that waits for it */
    void *image;  /* compiled and not loaded yet, or NULL */
    size_t bytes;
} module;

struct ft_cuda_modules {
    const ft_cuda_driver *driver;
    ft_cuda_compiler compiler;
    module modules[FT_KERNEL_SOURCE_COUNT][PRECISIONS];
    function functions[FT_KERNEL_COUNT][PRECISIONS];
};

ft_status ft_cuda_modules_create(const ft_cuda_driver *driver, int capability,
                                 ft_cuda_modules **out)
{
    *out = calloc(1, sizeof **out);
    FT_RETURN_IF(*out == NULL, FT_ERROR_MEMORY, "cannot allocate the table of kernels");
    (*out)->driver = driver;
    ft_status status = ft_cuda_compiler_load(capability, &(*out)->compiler);
    if (status != FT_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

void ft_cuda_modules_destroy(ft_cuda_modules *m)
{
    if (m == NULL)
        return;
    for (int s = 0; s < FT_KERNEL_SOURCE_COUNT; s++)
        for (int p = 0; p < PRECISIONS; p++) {
            free(m->modules[s][p].image);
            if (m->modules[s][p].loaded != NULL)
                m->driver->module_unload(m->modules[s][p].loaded);
        }
    free(m);
}

const char *ft_cuda_kernel_name(ft_kernel kernel)
{
    return kernels[kernel].name;
}

/* ---- compiling and loading ---- */

/* The modules, in the order of their sources. */
static module *module_at(ft_cuda_modules *m, int64_t i)
{
    return &m->modules[i / PRECISIONS][i % PRECISIONS];
}

/* The message of a failure is lost: it is another thread's. */
static void compile_wanted(void *context, int64_t i)
{
    ft_cuda_modules *m = context;
    module *one = module_at(m, i);
    if (one->wanted && one->image == NULL)
        ft_cuda_compile(&m->compiler, (ft_kernel_source)(i / PRECISIONS),
                        (ft_precision)(i % PRECISIONS), false, &one->image, &one->bytes);
}

void ft_cuda_modules_compile(ft_cuda_modules *m)
{
    const int64_t count = FT_KERNEL_SOURCE_COUNT * PRECISIONS;
    int threads, wanted = 0;
    for (int64_t i = 0; i < count; i++)
        wanted += module_at(m, i)->wanted;
    if (wanted < 2 || ft_thread_count(&threads) != FT_OK)
        return;
    ft_parallel_for(threads, count, compile_wanted, m);
}

static ft_status load_image(ft_cuda_modules *m, ft_kernel_source source, ft_precision precision,
                            bool anew, int *result)
{
    module *one = &m->modules[source][precision];
    if (one->image == NULL)
        FT_FORWARD(
            ft_cuda_compile(&m->compiler, source, precision, anew, &one->image, &one->bytes));
    *result = m->driver->module_load(&one->loaded, one->image);
    one->wanted = one->loaded == NULL;
    free(one->image);
    one->image = NULL;
    return FT_OK;
}

/* The image may be from the disk, and whatever wrote it there wrong. */
static ft_status load(ft_cuda_modules *m, ft_kernel_source source, ft_precision precision)
{
    int result;
    FT_FORWARD(load_image(m, source, precision, false, &result));
    if (result != FT_CU_SUCCESS)
        FT_FORWARD(load_image(m, source, precision, true, &result));
    return ft_cuda_check(
        m->driver, result, "loading the kernels of %s for %s, which NVRTC %d.%d compiled for %s_%d",
        ft_kernel_sources[source].file, ft_precision_name(precision), m->compiler.major,
        m->compiler.minor, m->compiler.uses_ptx ? "compute" : "sm", m->compiler.target);
}

static ft_status find(ft_cuda_modules *m, ft_kernel kernel, ft_precision precision, void **out)
{
    static const char *const suffixes[PRECISIONS] = {
        [FT_FLOAT32] = "f32", [FT_BFLOAT16] = "bf16", [FT_FLOAT16] = "f16"};
    char name[128];
    const module *of = &m->modules[kernels[kernel].source][precision];
    if (of->loaded == NULL)
        FT_FORWARD(load(m, kernels[kernel].source, precision));
    snprintf(name, sizeof name, "ft_%s_%s", kernels[kernel].name, suffixes[precision]);
    return ft_cuda_check(m->driver, m->driver->module_function(out, of->loaded, name),
                         "looking up the kernel %s", name);
}

void *ft_cuda_modules_known(ft_cuda_modules *m, ft_kernel kernel, ft_precision precision,
                            uint32_t shared_bytes)
{
    const function *f = &m->functions[kernel][precision];
    if (f->function != NULL && shared_bytes <= f->shared_bytes)
        return f->function;
    module *of = &m->modules[kernels[kernel].source][precision];
    of->wanted = of->loaded == NULL;
    return NULL;
}

ft_status ft_cuda_modules_function(ft_cuda_modules *m, ft_kernel kernel, ft_precision precision,
                                   uint32_t shared_bytes, void **out)
{
    function *f = &m->functions[kernel][precision];
    if (f->function == NULL) {
        FT_FORWARD(find(m, kernel, precision, &f->function));
        f->shared_bytes = SHARED_WITHOUT_ASKING;
    }
    if (shared_bytes > f->shared_bytes) {
        FT_CUDA_FORWARD(
            m->driver,
            function_attribute(f->function, FT_CU_FUNCTION_SHARED_BYTES, (int)shared_bytes),
            "giving the kernel %s %u bytes of shared memory", kernels[kernel].name, shared_bytes);
        f->shared_bytes = shared_bytes;
    }
    *out = f->function;
    return FT_OK;
}
