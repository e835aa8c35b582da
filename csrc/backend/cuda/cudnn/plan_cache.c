#include "backend/cuda/cudnn/plan_cache.h"

#include <stdlib.h>
#include <string.h>

#include "backend/cuda/driver/disk_cache.h"
#include "common/hash.h"
#include "common/memory.h"

typedef struct ft_cudnn_plan_entry {
    ft_cudnn_attention_shape shape;
    ft_cudnn_plan plan;
    struct ft_cudnn_plan_entry *next;
} ft_cudnn_plan_entry;

void ft_cudnn_plan_cache_start(ft_cudnn_plan_cache *cache, const ft_cudnn_target *target,
                               const ft_sha256 *device)
{
    *cache = (ft_cudnn_plan_cache){.target = target, .device = *device};
}

void ft_cudnn_plan_cache_end(ft_cudnn_plan_cache *cache)
{
    for (int i = 0; i < FT_CUDNN_PLAN_LISTS; i++) {
        for (ft_cudnn_plan_entry *entry = cache->lists[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            ft_cudnn_plan_free(cache->target->library, &entry->plan);
            free(entry);
        }
        cache->lists[i] = NULL;
    }
}

static ft_status build(const ft_cudnn_target *target, const ft_cudnn_attention_shape *shape,
                       ft_cudnn_plan *out)
{
    ft_cudnn_graph graph;
    ft_cudnn_graph_start(&graph, target->library);
    ft_cudnn_attention_graph(&graph, shape);
    ft_status status = ft_cudnn_plan_build(target, &graph, out);
    ft_cudnn_graph_end(&graph);
    return status;
}

/* A plan on disk that cannot be loaded is built anew, and so is one that is not there. */
static ft_status load_or_build(const ft_cudnn_plan_cache *cache,
                               const ft_cudnn_attention_shape *shape, ft_cudnn_plan *out)
{
    const int32_t graphs = FT_CUDNN_ATTENTION_GRAPHS;
    ft_sha256 hash = cache->device;
    ft_sha256_add(&hash, &graphs, sizeof graphs);
    ft_sha256_add(&hash, shape, sizeof *shape);
    ft_digest digest = ft_sha256_finish(&hash);
    void *stored = NULL;
    size_t bytes = 0;
    if (ft_disk_cache_load("plans", &digest, &stored, &bytes)) {
        ft_status status = ft_cudnn_plan_load(cache->target, stored, bytes, out);
        free(stored);
        if (status == FT_OK)
            return FT_OK;
    }
    FT_FORWARD(build(cache->target, shape, out));
    char *text = NULL;
    if (ft_cudnn_plan_save(cache->target->library, out, &text, &bytes) == FT_OK)
        ft_disk_cache_store("plans", &digest, text, bytes);
    ft_release(text);
    return FT_OK;
}

ft_status ft_cudnn_plan_find(ft_cudnn_plan_cache *cache, const ft_cudnn_attention_shape *shape,
                             const ft_cudnn_plan **out)
{
    ft_cudnn_plan_entry **list = &cache->lists[ft_hash(shape, sizeof *shape) % FT_CUDNN_PLAN_LISTS];
    for (ft_cudnn_plan_entry *entry = *list; entry != NULL; entry = entry->next) {
        if (memcmp(&entry->shape, shape, sizeof *shape) == 0) {
            *out = &entry->plan;
            return FT_OK;
        }
    }
    ft_cudnn_plan_entry *entry = calloc(1, sizeof *entry);
    FT_RETURN_IF(entry == NULL, FT_ERROR_MEMORY, "cannot allocate a plan");
    ft_status status = load_or_build(cache, shape, &entry->plan);
    if (status != FT_OK) {
        free(entry);
        return status;
    }
    entry->shape = *shape;
    entry->next = *list;
    *list = entry;
    *out = &entry->plan;
    return FT_OK;
}
