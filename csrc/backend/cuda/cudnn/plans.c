#include "backend/cuda/cudnn/plans.h"

#include "common/memory.h"

enum { MOST_ENGINES = 32 /* of which the first that can be made ready is taken */ };

static int64_t number_of(const ft_cudnn_library *library, ft_cudnn_descriptor d, int name)
{
    int64_t value = 0, count = 0;
    int status =
        library->functions.BackendGetAttribute(d, name, CUDNN_TYPE_INT64, 1, &count, &value);
    return status == CUDNN_STATUS_SUCCESS && count == 1 ? value : -1;
}

/* Which engine a configuration is of, for those who look into what was chosen. */
static int64_t engine_of(ft_cudnn_graph *g, ft_cudnn_descriptor configuration)
{
    ft_cudnn_descriptor engine = ft_cudnn_descriptor_add(g, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    int64_t count = 0;
    if (g->status != FT_OK ||
        g->library->functions.BackendGetAttribute(configuration, CUDNN_ATTR_ENGINECFG_ENGINE,
                                                  CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count,
                                                  &engine) != CUDNN_STATUS_SUCCESS)
        return -1;
    return number_of(g->library, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
}

static ft_status finish_plan(const ft_cudnn_target *target, ft_cudnn_descriptor descriptor,
                             ft_cudnn_plan *out)
{
    const ft_cudnn_functions *f = &target->library->functions;
    FT_FORWARD(ft_cudnn_check(target->library, f->BackendFinalize(descriptor), "a plan"));
    out->descriptor = descriptor;
    out->workspace =
        number_of(target->library, descriptor, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
    FT_RETURN_IF(out->workspace < 0, FT_ERROR_RUNTIME,
                 "cuDNN does not say how much workspace a plan needs");
    return FT_OK;
}

static ft_status set_plan(const ft_cudnn_target *target, ft_cudnn_descriptor descriptor, int name,
                          int type, int64_t count, const void *elements)
{
    return ft_cudnn_check(
        target->library,
        target->library->functions.BackendSetAttribute(descriptor, name, type, count, elements),
        "a plan's attribute");
}

/* What cuDNN says per engine that it did not propose is in its last message. */
static ft_status no_engine(const ft_cudnn_library *library)
{
    char message[16384] = "";
    library->functions.GetLastErrorString(message, sizeof message);
    message[sizeof message - 1] = '\0';
    return ft_error(FT_ERROR_RUNTIME, "cuDNN has no engine for these operands on this GPU: %s",
                    ft_cudnn_reason(message));
}

/* What a plan that is loaded runs on; a configuration has that from the heuristics. */
static ft_status set_device(const ft_cudnn_target *target, ft_cudnn_descriptor descriptor)
{
    if (target->handle != NULL)
        return set_plan(target, descriptor, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                        &target->handle);
    return set_plan(target, descriptor, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &target->device_properties);
}

/* A plan of this configuration; or, where text is not NULL, the one that it describes. What is set,
 * and in which order, is what NVIDIA's frontend sets. */
static ft_status make_plan(const ft_cudnn_target *target, ft_cudnn_descriptor configuration,
                           const char *text, size_t length, ft_cudnn_plan *out)
{
    const ft_cudnn_functions *f = &target->library->functions;
    ft_cudnn_descriptor d = NULL;
    ft_status status;
    FT_FORWARD(ft_cudnn_check(
        target->library, f->BackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &d),
        "a plan"));
    if (text == NULL)
        status = set_plan(target, d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                          CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &configuration);
    else
        status = set_plan(target, d, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                          (int64_t)length, text);
    if (status == FT_OK && text != NULL)
        status = set_device(target, d);
    if (status == FT_OK)
        status = finish_plan(target, d, out);
    if (status != FT_OK)
        f->BackendDestroyDescriptor(d);
    return status;
}

/* ---- heuristics ---- */

static ft_cudnn_descriptor finish_graph(const ft_cudnn_target *target, ft_cudnn_graph *g)
{
    ft_cudnn_descriptor graph = ft_cudnn_descriptor_add(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    ft_cudnn_set(g, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                 g->operation_count, g->operations);
    if (target->handle != NULL)
        ft_cudnn_set(g, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1,
                     &target->handle);
    ft_cudnn_finalize(g, graph, "an operation graph");
    return graph;
}

/* The configurations that one kind of heuristics proposes, best first; how many. */
static int propose(const ft_cudnn_target *target, ft_cudnn_graph *proposals,
                   ft_cudnn_descriptor graph, int mode,
                   ft_cudnn_descriptor configurations[MOST_ENGINES])
{
    ft_cudnn_graph *p = proposals;
    ft_cudnn_descriptor h = ft_cudnn_descriptor_add(p, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    ft_cudnn_set(p, h, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                 &graph);
    ft_cudnn_set(p, h, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (target->handle == NULL)
        ft_cudnn_set(p, h, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                     &target->device_properties);
    ft_cudnn_finalize(p, h, "the choice of an engine");
    for (int i = 0; i < MOST_ENGINES; i++)
        configurations[i] = ft_cudnn_descriptor_add(p, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (p->status != FT_OK)
        return 0;
    int64_t count = 0;
    int status = p->library->functions.BackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                           CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                                           MOST_ENGINES, &count, configurations);
    p->status = ft_cudnn_check(p->library, status, "the choice of an engine");
    if (p->status == FT_OK && count == 0)
        p->status = no_engine(p->library);
    if (p->status != FT_OK)
        return 0;
    return count < MOST_ENGINES ? (int)count : MOST_ENGINES; /* count: of all that there are */
}

/* The first of one kind of heuristics' proposals that can be made ready. */
static ft_status build_with(const ft_cudnn_target *target, ft_cudnn_descriptor graph, int mode,
                            ft_cudnn_plan *out)
{
    ft_cudnn_graph proposals; /* owns them; no graph in itself */
    ft_cudnn_graph_start(&proposals, target->library);
    ft_cudnn_descriptor configurations[MOST_ENGINES];
    int count = propose(target, &proposals, graph, mode, configurations);
    ft_status status = proposals.status;
    for (int i = 0; i < count; i++) {
        status = make_plan(target, configurations[i], NULL, 0, out);
        if (status == FT_OK) {
            out->engine = engine_of(&proposals, configurations[i]);
            out->configuration = ft_cudnn_descriptor_take(&proposals, configurations[i]);
            break;
        }
    }
    ft_cudnn_graph_end(&proposals);
    return status;
}

ft_status ft_cudnn_plan_build(const ft_cudnn_target *target, ft_cudnn_graph *g, ft_cudnn_plan *out)
{
    ft_cudnn_descriptor graph = finish_graph(target, g);
    FT_FORWARD(g->status);
    if (build_with(target, graph, CUDNN_HEUR_MODE_A, out) == FT_OK)
        return FT_OK;
    return build_with(target, graph, CUDNN_HEUR_MODE_FALLBACK, out);
}

/* ---- plans as text ---- */

ft_status ft_cudnn_plan_save(const ft_cudnn_library *library, const ft_cudnn_plan *plan,
                             char **text, size_t *length)
{
    const ft_cudnn_functions *f = &library->functions;
    const int name = CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION;
    int64_t count = 0;
    FT_FORWARD(ft_cudnn_check(
        library, f->BackendGetAttribute(plan->descriptor, name, CUDNN_TYPE_CHAR, 0, &count, NULL),
        "a plan's text"));
    void *memory = NULL;
    FT_FORWARD(ft_allocate((size_t)count + 1, &memory));
    ft_status status = ft_cudnn_check(
        library,
        f->BackendGetAttribute(plan->descriptor, name, CUDNN_TYPE_CHAR, count, &count, memory),
        "a plan's text");
    if (status != FT_OK) {
        ft_release(memory);
        return status;
    }
    *text = memory;
    *length = (size_t)count;
    return FT_OK;
}

ft_status ft_cudnn_plan_load(const ft_cudnn_target *target, const char *text, size_t length,
                             ft_cudnn_plan *out)
{
    out->configuration = NULL;
    out->engine = -1;
    return make_plan(target, NULL, text, length, out);
}

void ft_cudnn_plan_free(const ft_cudnn_library *library, ft_cudnn_plan *plan)
{
    library->functions.BackendDestroyDescriptor(plan->descriptor);
    if (plan->configuration != NULL)
        library->functions.BackendDestroyDescriptor(plan->configuration);
}
