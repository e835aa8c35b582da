/* For test_cudnn_graphs.py: the product's operation graphs, each built, made a plan and carried out
 * once, by the cuDNN at hand. Functions return 0, or leave why not in graphs_error. */
#include <dlfcn.h>

#include "backend/cuda/cudnn/attention_graph.h"
#include "backend/cuda/cudnn/plans.h"
#include "common/memory.h"

enum { MOST_TENSORS = FT_ATTENTION_DQ_SUMS };

static ft_cudnn_library library;
static ft_cudnn_target target = {.library = &library};

const char *graphs_error(void)
{
    return ft_error_message();
}

int graphs_open(const char *cudnn)
{
    void *loaded = dlopen(cudnn, RTLD_NOW | RTLD_GLOBAL);
    FT_RETURN_IF(loaded == NULL, FT_ERROR_RUNTIME, "%s", dlerror());
    return ft_cudnn_library_find(loaded, &library);
}

static ft_status execute(const ft_cudnn_plan *plan, void *const *tensors)
{
    const ft_cudnn_functions *f = &library.functions;
    int64_t ids[MOST_TENSORS];
    void *pointers[MOST_TENSORS], *workspace = NULL;
    int64_t count = 0;
    for (int64_t id = 1; id <= MOST_TENSORS; id++)
        if (tensors[id] != NULL) {
            ids[count] = id;
            pointers[count++] = tensors[id];
        }
    FT_FORWARD(ft_allocate((size_t)plan->workspace, &workspace));
    ft_cudnn_graph pack; /* no graph, but the owner of the variant pack */
    ft_cudnn_graph_start(&pack, &library);
    ft_cudnn_descriptor d = ft_cudnn_descriptor_add(&pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    ft_cudnn_set(&pack, d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids);
    ft_cudnn_set(&pack, d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count,
                 pointers);
    ft_cudnn_set(&pack, d, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    ft_cudnn_finalize(&pack, d, "a variant pack");
    ft_status status = pack.status;
    if (status == FT_OK)
        status = ft_cudnn_check(&library, f->BackendExecute(target.handle, plan->descriptor, d),
                                "an execution");
    ft_cudnn_graph_end(&pack);
    ft_release(workspace);
    return status;
}

/* Saves the plan and goes on with what is loaded. */
static ft_status reload(ft_cudnn_plan *plan)
{
    char *text = NULL;
    size_t length = 0;
    ft_cudnn_plan again;
    ft_status status = ft_cudnn_plan_save(&library, plan, &text, &length);
    if (status == FT_OK)
        status = ft_cudnn_plan_load(&target, text, length, &again);
    ft_release(text);
    FT_FORWARD(status);
    ft_cudnn_plan_free(&library, plan);
    *plan = again;
    return FT_OK;
}

static ft_status plan_and_execute(ft_cudnn_graph *graph, void *const *tensors)
{
    ft_cudnn_plan plan;
    FT_FORWARD(ft_cudnn_plan_build(&target, graph, &plan));
    ft_status status = reload(&plan);
    if (status == FT_OK)
        status = execute(&plan, tensors);
    ft_cudnn_plan_free(&library, &plan);
    return status;
}

static ft_status run(ft_cudnn_graph *graph, void *const *tensors)
{
    ft_status status =
        ft_cudnn_check(&library, library.functions.Create(&target.handle), "a handle");
    if (status == FT_OK) {
        status = plan_and_execute(graph, tensors);
        library.functions.Destroy(target.handle);
    }
    ft_cudnn_graph_end(graph);
    return status;
}

/* tensors: the memory of the tensor of each id; NULL: it has none. */
int graphs_attention(const ft_cudnn_attention_shape *shape, void *const *tensors)
{
    ft_cudnn_graph graph;
    ft_cudnn_graph_start(&graph, &library);
    ft_cudnn_attention_graph(&graph, shape);
    return run(&graph, tensors);
}
