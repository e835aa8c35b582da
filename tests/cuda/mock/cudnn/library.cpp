// The functions of libcudnn.so.9.
#include <cstdio>
#include <cstring>
#include <functional>

#include "execute.h"
#include "failure.h"
#include "finalize.h"
#include "hooks.h"
#include "mock.h"
#include "registry.h"
#include "settings.h"

using namespace mock;

struct cudnnContext {
    void *stream;
};

namespace
{

int live_handles = 0;

int guarded(const char *function, const std::function<void()> &body)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    try {
        if (int wanted = hooks::called(function))
            fail(wanted, "%s fails as a test asked", function);
        body();
        return CUDNN_STATUS_SUCCESS;
    } catch (const Failure &failure) {
        keep_last_error(failure.text);
        return failure.status;
    }
}

void need(const void *pointer, const char *what)
{
    if (!pointer)
        refuse("%s is NULL", what);
}

} // namespace

FT_EXPORT int mock_alive(const char *kind)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    return strcmp(kind, "handle") == 0 ? live_handles : alive();
}

FT_EXPORT size_t cudnnGetVersion(void)
{
    return settings().version;
}

FT_EXPORT size_t cudnnGetCudartVersion(void)
{
    return 13000;
}

FT_EXPORT const char *cudnnGetErrorString(int status)
{
    switch (status / 1000) {
    case 0:
        return "CUDNN_STATUS_SUCCESS";
    case 1:
        return status == CUDNN_STATUS_SERIALIZATION_VERSION_MISMATCH
                   ? "CUDNN_STATUS_SERIALIZATION_VERSION_MISMATCH"
                   : "CUDNN_STATUS_NOT_INITIALIZED";
    case 2:
        return "CUDNN_STATUS_BAD_PARAM";
    case 3:
        return "CUDNN_STATUS_NOT_SUPPORTED";
    case 4:
        return "CUDNN_STATUS_INTERNAL_ERROR";
    default:
        return "CUDNN_STATUS_EXECUTION_FAILED";
    }
}

FT_EXPORT void cudnnGetLastErrorString(char *message, size_t room)
{
    if (message && room)
        snprintf(message, room, "%s", last_error().c_str());
    keep_last_error("");
}

FT_EXPORT int cudnnCreate(cudnnContext **handle)
{
    return guarded("cudnnCreate", [&] {
        need(handle, "the place for a handle");
        *handle = new cudnnContext{nullptr};
        live_handles++;
    });
}

FT_EXPORT int cudnnDestroy(cudnnContext *handle)
{
    return guarded("cudnnDestroy", [&] {
        need(handle, "the handle");
        delete handle;
        live_handles--;
    });
}

FT_EXPORT int cudnnSetStream(cudnnContext *handle, void *stream)
{
    return guarded("cudnnSetStream", [&] {
        need(handle, "the handle");
        handle->stream = stream;
    });
}

FT_EXPORT int cudnnGetStream(cudnnContext *handle, void **stream)
{
    return guarded("cudnnGetStream", [&] {
        need(handle, "the handle");
        *stream = handle->stream;
    });
}

FT_EXPORT int cudnnBackendCreateDescriptor(int kind, void **descriptor)
{
    return guarded("cudnnBackendCreateDescriptor", [&] {
        need(descriptor, "the place for a descriptor");
        *descriptor = create(kind);
    });
}

FT_EXPORT int cudnnBackendDestroyDescriptor(void *descriptor)
{
    return guarded("cudnnBackendDestroyDescriptor", [&] { destroy(descriptor); });
}

FT_EXPORT int cudnnBackendSetAttribute(void *descriptor, int name, int type, int64_t count,
                                       const void *elements)
{
    return guarded("cudnnBackendSetAttribute", [&] {
        Reference target = find(descriptor);
        need(elements, "an attribute's elements");
        if (count < 0)
            refuse("an attribute of %ld elements", (long)count);
        Value value;
        value.type = type;
        value.count = count;
        if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
            for (int64_t i = 0; i < count; i++) {
                value.references.push_back(find(static_cast<void *const *>(elements)[i]));
                check_usable(*value.references.back(), value.references.back()->kind);
            }
        } else {
            const uint8_t *first = static_cast<const uint8_t *>(elements);
            value.bytes.assign(first, first + (size_t)count * element_bytes(type));
        }
        target->set(name, type, count, std::move(value));
    });
}

FT_EXPORT int cudnnBackendGetAttribute(void *descriptor, int name, int type, int64_t room,
                                       int64_t *count, void *elements)
{
    return guarded("cudnnBackendGetAttribute", [&] {
        Reference target = find(descriptor);
        if (room > 0)
            need(elements, "the room for an attribute's elements");
        int64_t have = 0;
        answer(*target, name, type, room, &have, elements);
        if (count)
            *count = have;
    });
}

FT_EXPORT int cudnnBackendFinalize(void *descriptor)
{
    return guarded("cudnnBackendFinalize", [&] { finalize(*find(descriptor)); });
}

FT_EXPORT int cudnnBackendExecute(cudnnContext *handle, void *plan, void *pack)
{
    return guarded("cudnnBackendExecute", [&] {
        need(handle, "the handle");
        Reference of_plan = find(plan), of_pack = find(pack);
        check_usable(*of_plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        check_usable(*of_pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
        execute(handle->stream, *of_plan, *of_pack);
    });
}
