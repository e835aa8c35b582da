#include "finalize.h"

#include <algorithm>
#include <cstring>

#include "build.h"
#include "failure.h"
#include "interpret.h"
#include "registry.h"
#include "settings.h"

namespace mock
{

namespace
{

const char PLAN_HEAD[] = "{\"mock_cudnn\":%zu,\"engine\":%d,\"program\":\"";
const char PLAN_TAIL[] = "\"}";

std::string write_plan(const Descriptor &plan)
{
    return text(PLAN_HEAD, settings().version, plan.engine) + plan.program->write() + PLAN_TAIL;
}

void read_plan(Descriptor &plan, const std::string &json)
{
    size_t version = 0, tail = strlen(PLAN_TAIL);
    int used = 0;
    if (sscanf(json.c_str(), "{\"mock_cudnn\":%zu,\"engine\":%d,\"program\":\"%n", &version,
               &plan.engine, &used) != 2 ||
        !used || json.size() < (size_t)used + tail ||
        json.compare(json.size() - tail, tail, PLAN_TAIL) != 0)
        refuse("the plan's representation is damaged");
    if (version != settings().version)
        fail(CUDNN_STATUS_SERIALIZATION_VERSION_MISMATCH,
             "a plan of cuDNN %zu is read by cuDNN %zu", version, settings().version);
    plan.program = std::make_shared<Program>(
        Program::read(json.substr((size_t)used, json.size() - (size_t)used - tail)));
}

void finalize_heuristics(Descriptor &heuristics)
{
    const Descriptor &graph = heuristics.reference(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                                   CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    heuristics.has_device = graph.has_device;
    if (heuristics.has(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP)) {
        heuristics.reference(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
        heuristics.has_device = true;
    }
    if (!heuristics.has_device)
        refuse("heuristics with neither a handle nor device properties");
    int mode = heuristics.scalar<int>(CUDNN_ATTR_ENGINEHEUR_MODE);
    if (mode != CUDNN_HEUR_MODE_A && mode != CUDNN_HEUR_MODE_FALLBACK)
        refuse("heuristics of mode %d", mode);
    heuristics.program = graph.program;
    std::string reason = graph.program->unsupported();
    heuristics.configurations =
        !reason.empty() ? 0 : (mode == CUDNN_HEUR_MODE_A ? settings().mode_a : settings().fallback);
    heuristics.failing = settings().failing;
    if (!heuristics.configurations)
        keep_last_error(reason.empty() ? "Reason: a test asked for no configurations" : reason);
}

void finalize_plan(Descriptor &plan)
{
    bool from_text = plan.has(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
    if (from_text == plan.has(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG))
        refuse("a plan is made of either a configuration or a representation");
    plan.has_device = plan.has(CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
    if (plan.has(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP)) {
        plan.reference(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
        plan.has_device = true;
    }
    if (from_text) {
        if (!plan.has_device)
            refuse("a plan is read with neither a handle nor device properties");
        return read_plan(plan, plan.characters(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION));
    }
    const Descriptor &configuration =
        plan.reference(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (configuration.fails)
        fail(CUDNN_STATUS_NOT_SUPPORTED, "a test asked that engine %d makes no plan",
             configuration.engine);
    plan.program = configuration.program;
    plan.engine = configuration.engine;
}

void check_variant_pack(const Descriptor &pack)
{
    std::vector<int64_t> ids = pack.array<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    int64_t pointers = pack.value(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).count;
    if ((int64_t)ids.size() != pointers)
        refuse("a variant pack of %zu unique ids and %ld pointers", ids.size(), (long)pointers);
    std::sort(ids.begin(), ids.end());
    auto twice = std::adjacent_find(ids.begin(), ids.end());
    if (twice != ids.end())
        refuse("a variant pack has the unique id %ld twice", (long)*twice);
}

// Makes descriptors that the caller created what heuristics and configurations answer.
void fill(const Descriptor &from, int kind, int64_t count, void *elements)
{
    for (int64_t i = 0; i < count; i++) {
        Reference target = find(static_cast<void **>(elements)[i]);
        if (target->kind != kind || target->finalized)
            refuse("element %ld is no new descriptor of '%s'", (long)i, kind_of(kind).name);
        bool of_heuristics = from.kind == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR;
        target->program = from.program;
        target->has_device = from.has_device;
        target->engine = of_heuristics ? (int)i : from.engine;
        target->fails = of_heuristics && i < from.failing;
        target->finalized = true;
    }
}

template <typename T>
void give(const T *elements, int64_t have, int64_t room, int64_t *count, void *out)
{
    *count = have;
    if (room > 0)
        memcpy(out, elements, (size_t)std::min(have, room) * sizeof(T));
}

} // namespace

void finalize(Descriptor &descriptor)
{
    if (descriptor.finalized)
        refuse("'%s' is finalised twice", descriptor.name());
    descriptor.check_complete();
    switch (descriptor.kind) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        check_tensor(descriptor);
        break;
    case CUDNN_BACKEND_RNG_DESCRIPTOR:
        if (descriptor.scalar<int>(CUDNN_ATTR_RNG_DISTRIBUTION) != CUDNN_RNG_DISTRIBUTION_BERNOULLI)
            refuse("a distribution that the mock does not know");
        break;
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        descriptor.has_device = descriptor.has(CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
        descriptor.program = build_program(descriptor);
        break;
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
        finalize_heuristics(descriptor);
        break;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        finalize_plan(descriptor);
        break;
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        check_variant_pack(descriptor);
        break;
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
    case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
        refuse("the mock's '%s' descriptors are finalised by asking for them", descriptor.name());
    default:
        if (is_operation(descriptor.kind))
            check_operation(descriptor);
    }
    descriptor.finalized = true;
}

void answer(const Descriptor &descriptor, int name, int type, int64_t room, int64_t *count,
            void *elements)
{
    descriptor.attribute(name, type);
    if (!descriptor.finalized)
        refuse("attribute %d of '%s' is asked for before it is finalised", name, descriptor.name());
    if (descriptor.kind == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR &&
        name == CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION) {
        std::string json = write_plan(descriptor);
        return give(json.data(), (int64_t)json.size(), room, count, elements);
    }
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
        *count = descriptor.configurations;
        return fill(descriptor, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, std::min(*count, room),
                    elements);
    case CUDNN_ATTR_ENGINECFG_ENGINE:
        *count = 1;
        return fill(descriptor, CUDNN_BACKEND_ENGINE_DESCRIPTOR, std::min(*count, room), elements);
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX: {
        int64_t index = descriptor.engine;
        return give(&index, 1, room, count, elements);
    }
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE: {
        int64_t bytes = WORKSPACE_BYTES;
        return give(&bytes, 1, room, count, elements);
    }
    default:
        fail(CUDNN_STATUS_NOT_SUPPORTED, "the mock does not answer attribute %d of '%s'", name,
             descriptor.name());
    }
}

} // namespace mock
