#include "backend/cuda/driver/compiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/driver/disk_cache.h"
#include "backend/cuda/driver/libraries.h"
#include "backend/precision.h"

enum { MOST_ARCHS = 64, OPTIONS = 3 };

typedef struct options {
    char texts[OPTIONS][40];
    const char *pointers[OPTIONS];
} options;

static ft_status check(const ft_cuda_compiler *c, int result, const char *doing)
{
    FT_RETURN_IF(result != 0, FT_ERROR_RUNTIME, "NVRTC %d.%d, %s: %s", c->major, c->minor, doing,
                 c->error_text(result));
    return FT_OK;
}

/* CUBIN for the GPU itself; where NVRTC does not know it yet, PTX for the newest that it knows. */
static ft_status choose_target(ft_cuda_compiler *c, int capability)
{
    int count = 0, archs[MOST_ARCHS] = {0};
    FT_FORWARD(check(c, c->arch_count(&count), "counting its GPUs"));
    FT_RETURN_IF(count < 1 || count > MOST_ARCHS, FT_ERROR_RUNTIME,
                 "NVRTC %d.%d says that it knows %d kinds of GPUs", c->major, c->minor, count);
    FT_FORWARD(check(c, c->archs(archs), "listing its GPUs"));
    c->target = 0;
    for (int i = 0; i < count; i++)
        if (archs[i] <= capability && archs[i] > c->target)
            c->target = archs[i];
    c->uses_ptx = c->target != capability;
    FT_RETURN_IF(c->target == 0, FT_ERROR_RUNTIME,
                 "NVRTC %d.%d compiles for no GPU as old as this (sm_%d): install an older one",
                 c->major, c->minor, capability);
    return FT_OK;
}

ft_status ft_cuda_compiler_load(int capability, ft_cuda_compiler *out)
{
    ft_cuda_library library;
    FT_FORWARD(ft_cuda_library_need(FT_CUDA_LIBRARY_NVRTC, &library));
    out->major = library.major;
    out->minor = library.minor;
    FT_FORWARD(
        ft_cuda_library_function(&library, "nvrtcGetErrorString", (void **)&out->error_text));
#define FT_NVRTC_FUNCTION(member, symbol, parameters)                                              \
    FT_FORWARD(ft_cuda_library_function(&library, #symbol, (void **)&out->member));
    FT_NVRTC_FUNCTIONS(FT_NVRTC_FUNCTION)
#undef FT_NVRTC_FUNCTION
    return choose_target(out, capability);
}

static options make_options(const ft_cuda_compiler *c, ft_precision precision)
{
    options o;
    snprintf(o.texts[0], sizeof o.texts[0], "--gpu-architecture=%s_%d",
             c->uses_ptx ? "compute" : "sm", c->target);
    snprintf(o.texts[1], sizeof o.texts[1], "--std=c++17");
    snprintf(o.texts[2], sizeof o.texts[2], "-DFT_PRECISION=%d", precision);
    return o;
}

/* Of all that the result depends on. */
static ft_digest make_key(const ft_cuda_compiler *c, const ft_kernel_text *source, const options *o)
{
    ft_sha256 h;
    char version[24];
    snprintf(version, sizeof version, "NVRTC %d.%d", c->major, c->minor);
    ft_sha256_start(&h);
    ft_sha256_add_text(&h, version);
    for (int i = 0; i < OPTIONS; i++)
        ft_sha256_add_text(&h, o->texts[i]);
    ft_sha256_add_text(&h, source->file);
    ft_sha256_add_text(&h, source->text);
    for (int i = 0; i < FT_KERNEL_HEADER_COUNT; i++) {
        ft_sha256_add_text(&h, ft_kernel_headers[i].file);
        ft_sha256_add_text(&h, ft_kernel_headers[i].text);
    }
    return ft_sha256_finish(&h);
}

/* What NVRTC has to say of a source that it does not compile. */
static ft_status refuse(const ft_cuda_compiler *c, void *program, const ft_kernel_text *source,
                        int result)
{
    size_t bytes = 0;
    char *log = c->log_size(program, &bytes) == 0 ? calloc(bytes + 1, 1) : NULL;
    if (log != NULL)
        c->log(program, log);
    ft_status status =
        ft_error(FT_ERROR_RUNTIME, "NVRTC %d.%d does not compile %s: %s\n%.700s", c->major,
                 c->minor, source->file, c->error_text(result), log != NULL ? log : "");
    free(log);
    return status;
}

static ft_status compile_program(const ft_cuda_compiler *c, void *program,
                                 const ft_kernel_text *source, options *o, void **image,
                                 size_t *bytes)
{
    for (int i = 0; i < OPTIONS; i++)
        o->pointers[i] = o->texts[i];
    int result = c->compile(program, OPTIONS, o->pointers);
    if (result != 0)
        return refuse(c, program, source, result);
    FT_FORWARD(check(c, c->uses_ptx ? c->ptx_size(program, bytes) : c->cubin_size(program, bytes),
                     "asking for the size of a result"));
    *image = malloc(*bytes);
    FT_RETURN_IF(*image == NULL, FT_ERROR_MEMORY, "cannot allocate %zu bytes for a compiled kernel",
                 *bytes);
    return check(c, c->uses_ptx ? c->ptx(program, *image) : c->cubin(program, *image),
                 "asking for a result");
}

static ft_status compile(const ft_cuda_compiler *c, const ft_kernel_text *source, options *o,
                         void **image, size_t *bytes)
{
    const char *texts[FT_KERNEL_HEADER_COUNT], *files[FT_KERNEL_HEADER_COUNT];
    for (int i = 0; i < FT_KERNEL_HEADER_COUNT; i++) {
        texts[i] = ft_kernel_headers[i].text;
        files[i] = ft_kernel_headers[i].file;
    }
    void *program;
    FT_FORWARD(check(
        c, c->create(&program, source->text, source->file, FT_KERNEL_HEADER_COUNT, texts, files),
        "taking a source"));
    ft_status status = compile_program(c, program, source, o, image, bytes);
    c->destroy(&program);
    if (status != FT_OK) {
        free(*image);
        *image = NULL;
    }
    return status;
}

ft_status ft_cuda_compile(const ft_cuda_compiler *c, ft_kernel_source which, ft_precision precision,
                          bool anew, void **image, size_t *bytes)
{
    const ft_kernel_text *source = &ft_kernel_sources[which];
    options o = make_options(c, precision);
    ft_digest key = make_key(c, source, &o);
    *image = NULL;
    if (!anew && ft_disk_cache_load("kernels", &key, image, bytes))
        return FT_OK;
    FT_FORWARD(compile(c, source, &o, image, bytes));
    ft_disk_cache_store("kernels", &key, *image, *bytes);
    return FT_OK;
}
