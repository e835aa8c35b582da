#include "execute.h"

#include <cstring>
#include <dlfcn.h>
#include <set>

#include "failure.h"
#include "interpret.h"
#include "mock.h"
#include "settings.h"

namespace mock
{

namespace
{

enum { CUDA_ERROR_LAUNCH_FAILED = 719, CUDNN_STATUS_EXECUTION_FAILED = 5000 };

// What is enqueued, as bytes that may be copied: this, and a Binding for each tensor.
struct Work {
    const Program *program;
    void *workspace;
};

struct Binding {
    void *memory;   // nullptr: virtual, or by value
    uint64_t value; // of one by value
};

int work(void *argument)
{
    Work *work = static_cast<Work *>(argument);
    Binding *bindings = reinterpret_cast<Binding *>(work + 1);
    std::vector<void *> memory;
    for (size_t i = 0; i < work->program->tensors.size(); i++)
        memory.push_back(work->program->tensors[i].by_value ? &bindings[i].value
                                                            : bindings[i].memory);
    try {
        interpret(*work->program, memory, work->workspace);
    } catch (const Failure &failure) {
        keep_execution_error(failure.text);
        return CUDA_ERROR_LAUNCH_FAILED;
    }
    return 0;
}

// A captured graph may outlive the plan that it was captured from.
void keep(const std::shared_ptr<const Program> &program)
{
    static std::set<std::shared_ptr<const Program>> programs;
    programs.insert(program);
}

using Enqueue = decltype(&mock_enqueue);

// The mock driver's; nullptr: there is none, or the handle has no stream of it.
Enqueue find_enqueue(void *stream)
{
    void *driver = stream ? dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD) : nullptr;
    return driver ? reinterpret_cast<Enqueue>(dlsym(driver, "mock_enqueue")) : nullptr;
}

void check_alignment(const void *pointer, int64_t alignment, const char *what, int64_t uid)
{
    if ((uintptr_t)pointer % (uintptr_t)alignment)
        refuse("%s %ld lies at %p, which is no multiple of %ld", what, (long)uid, pointer,
               (long)alignment);
}

std::vector<uint8_t> bind(const Program &program, const Descriptor &pack)
{
    std::vector<int64_t> ids = pack.array<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    std::vector<void *> pointers = pack.array<void *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    std::vector<uint8_t> bytes(sizeof(Work) + program.tensors.size() * sizeof(Binding), 0);
    Work *work = reinterpret_cast<Work *>(bytes.data());
    Binding *bindings = reinterpret_cast<Binding *>(work + 1);

    work->program = &program;
    work->workspace = pack.has(CUDNN_ATTR_VARIANT_PACK_WORKSPACE)
                          ? pack.scalar<void *>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE)
                          : nullptr;
    if (!work->workspace)
        refuse("the plan needs a workspace of %d bytes; the variant pack has none",
               (int)WORKSPACE_BYTES);
    check_alignment(work->workspace, 16, "the workspace", 0);

    for (size_t i = 0; i < ids.size(); i++) {
        int index = program.find(ids[i]);
        if (index == NONE || program.tensors[(size_t)index].is_virtual)
            refuse("the variant pack has tensor %ld, which the graph does not have in memory",
                   (long)ids[i]);
        const Tensor &tensor = program.tensors[(size_t)index];
        if (!pointers[i])
            refuse("the variant pack's pointer of tensor %ld is NULL", (long)ids[i]);
        bindings[index].memory = pointers[i];
        if (tensor.by_value)
            memcpy(&bindings[index].value, pointers[i], type_bytes(tensor.type));
        else
            check_alignment(pointers[i], tensor.alignment, "tensor", tensor.uid);
    }
    for (size_t i = 0; i < program.tensors.size(); i++)
        if (!program.tensors[i].is_virtual && !bindings[i].memory)
            refuse("the variant pack lacks tensor %ld", (long)program.tensors[i].uid);
    return bytes;
}

} // namespace

void execute(void *stream, const Descriptor &plan, const Descriptor &pack)
{
    std::vector<uint8_t> bytes = bind(*plan.program, pack);
    keep(plan.program);
    Enqueue enqueue = find_enqueue(stream);
    int result = enqueue ? enqueue(stream, work, bytes.data(), bytes.size()) : work(bytes.data());
    if (result)
        fail(CUDNN_STATUS_EXECUTION_FAILED, "CUresult %d: %s", result, mock_message());
}

} // namespace mock
