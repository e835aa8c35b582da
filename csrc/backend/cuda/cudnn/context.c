#include "backend/cuda/cudnn/context.h"

#include <stdlib.h>

#include "backend/cuda/driver/driver.h"
#include "backend/cuda/driver/libraries.h"

/* ---- life ---- */

/* What makes a plan another besides what it computes. */
static ft_status describe_device(const ft_cuda *cuda, int cuda_major, int version, ft_sha256 *hash)
{
    char name[256] = "";
    FT_CUDA_FORWARD(cuda->driver, device_name(name, (int)sizeof name - 1, cuda->device),
                    "asking for a GPU's name");
    const int32_t numbers[] = {cuda_major, version, cuda->capability, cuda->multiprocessors};
    ft_sha256_start(hash);
    ft_sha256_add_text(hash, name);
    ft_sha256_add(hash, numbers, sizeof numbers);
    return FT_OK;
}

static ft_status use_stream(ft_cudnn *c, void *stream)
{
    if (c->stream == stream)
        return FT_OK;
    FT_FORWARD(ft_cudnn_check(&c->library, c->library.functions.SetStream(c->target.handle, stream),
                              "the backend's stream"));
    c->stream = stream;
    return FT_OK;
}

static ft_status start(ft_cuda *cuda, ft_cudnn *c)
{
    ft_cuda_library library;
    ft_sha256 device;
    FT_FORWARD(ft_cuda_library_need(FT_CUDA_LIBRARY_CUDNN, &library));
    FT_FORWARD(ft_cudnn_library_find(library.handle, &c->library));
    FT_FORWARD(describe_device(cuda, library.cuda_major, c->library.version, &device));
    c->target.library = &c->library;
    ft_cudnn_plan_cache_start(&c->plans, &c->target, &device);
    FT_FORWARD(ft_cudnn_check(&c->library, c->library.functions.Create(&c->target.handle),
                              "starting on this GPU"));
    return use_stream(c, cuda->stream);
}

ft_status ft_cudnn_create(ft_cuda *cuda, ft_cudnn **out)
{
    ft_cudnn *c = calloc(1, sizeof *c);
    FT_RETURN_IF(c == NULL, FT_ERROR_MEMORY, "cannot allocate what cuDNN needs");
    ft_status status = start(cuda, c);
    if (status != FT_OK) {
        ft_cudnn_destroy(c);
        return status;
    }
    *out = c;
    return FT_OK;
}

void ft_cudnn_destroy(ft_cudnn *c)
{
    ft_cudnn_plan_cache_end(&c->plans);
    if (c->target.handle != NULL)
        c->library.functions.Destroy(c->target.handle);
    free(c);
}

/* ---- execution ---- */

void ft_cudnn_call_operand(ft_cudnn_call *call, int64_t id, const void *memory)
{
    call->ids[call->operand_count] = id;
    call->operands[call->operand_count++] = (void *)memory;
}

void ft_cudnn_call_value(ft_cudnn_call *call, int64_t id, float value)
{
    call->ids[call->operand_count + call->value_count] = id;
    call->values[call->value_count++] = value;
}

static ft_status fill_pack(const ft_cudnn_library *library, ft_cudnn_descriptor pack,
                           const ft_cudnn_call *call)
{
    const ft_cudnn_functions *f = &library->functions;
    const void *operands[FT_CUDNN_MOST_OPERANDS + FT_CUDNN_MOST_VALUES];
    int count = 0;
    for (int i = 0; i < call->operand_count; i++)
        operands[count++] = call->operands[i];
    for (int i = 0; i < call->value_count; i++)
        operands[count++] = &call->values[i];
    int status = f->BackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
                                        count, call->ids);
    if (status == CUDNN_STATUS_SUCCESS)
        status = f->BackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                                        CUDNN_TYPE_VOID_PTR, count, operands);
    if (status == CUDNN_STATUS_SUCCESS)
        status = f->BackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE,
                                        CUDNN_TYPE_VOID_PTR, 1, &call->workspace);
    if (status == CUDNN_STATUS_SUCCESS)
        status = f->BackendFinalize(pack);
    return ft_cudnn_check(library, status, "a plan's operands");
}

/* Of the tape's calls. Values are read here, so a graph that is captured keeps them. */
static ft_status execute(ft_cuda *cuda, const void *arguments)
{
    const ft_cudnn_call *call = arguments;
    ft_cudnn *c = cuda->cudnn;
    const ft_cudnn_functions *f = &c->library.functions;
    ft_cudnn_descriptor pack = NULL;
    FT_FORWARD(use_stream(c, cuda->stream));
    FT_FORWARD(ft_cudnn_check(
        &c->library, f->BackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack),
        "a plan's operands"));
    ft_status status = fill_pack(&c->library, pack, call);
    if (status == FT_OK)
        status = ft_cudnn_check(&c->library, f->BackendExecute(c->target.handle, call->plan, pack),
                                "executing a plan");
    f->BackendDestroyDescriptor(pack);
    return status;
}

ft_status ft_cudnn_call_record(ft_cuda *cuda, const ft_cudnn_call *call)
{
    for (int i = 0; i < call->operand_count; i++)
        FT_RETURN_IF((uintptr_t)call->operands[i] % FT_CUDNN_ALIGNMENT != 0, FT_ERROR_VALUE,
                     "matrices are not %d-byte aligned: on a GPU, 16-bit training needs sizes that "
                     "are multiples of 8",
                     FT_CUDNN_ALIGNMENT);
    return ft_cuda_record_call(cuda, execute, call, sizeof *call);
}
