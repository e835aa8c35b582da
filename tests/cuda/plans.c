/* Builds execution plans of the product's graphs for a GPU that is not at hand, and prints for each
 * a line "plan<tab>engine<tab>workspace<tab>seconds", or "plan<tab>failed<tab>why".
 *
 *     plans DEVICE PLANS LIBRARY...
 *
 * DEVICE: sm_75 ... sm_120. PLANS: what their names begin with; "": all. The libraries are loaded
 * in this order; the last is cuDNN. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/cuda/cudnn/attention_graph.h"
#include "backend/cuda/cudnn/plans.h"
#include "common/memory.h"

/* As the driver describes one GPU of each architecture: T4, A100, A10, L4, H100, B200, RTX 5090. */
typedef struct device {
    const char *name;
    int capability, multiprocessors, shared_memory, reserved_shared_memory, blocks, threads, l2;
    int clock, memory_clock, bus;
    long long memory;
} device;

static const device DEVICES[] = {
    {"sm_75", 75, 40, 65536, 0, 16, 1024, 4 << 20, 1590000, 5001000, 256, 15828320256},
    {"sm_80", 80, 108, 166912, 1024, 32, 2048, 40 << 20, 1410000, 1215000, 5120, 42405855232},
    {"sm_86", 86, 72, 101376, 1024, 16, 1536, 6 << 20, 1695000, 6251000, 384, 23628218368},
    {"sm_89", 89, 58, 101376, 1024, 24, 1536, 48 << 20, 2040000, 6251000, 192, 23569563648},
    {"sm_90", 90, 132, 232448, 1024, 32, 2048, 50 << 20, 1980000, 2619000, 5120, 85028896768},
    {"sm_100", 100, 148, 232448, 1024, 32, 2048, 126 << 20, 1965000, 3996000, 8192, 191512969216},
    {"sm_120", 120, 170, 101376, 1024, 24, 1536, 96 << 20, 2407000, 14001000, 512, 34190917632},
};

static ft_cudnn_library library;
static ft_cudnn_target target = {.library = &library};
static int capability;     /* 10 * major + minor */
static const char *wanted; /* what names of plans begin with */

static ft_status describe_device(const device *d, ft_cudnn_graph *owner)
{
    char json[2048];
    int length = snprintf(
        json, sizeof json,
        "{\"deviceVer\":%d,\"multiProcessorCount\":%d,\"warpSize\":32,"
        "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":%d,"
        "\"reservedSharedMemoryPerBlock\":%d,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":%d,"
        "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":%d,\"regsPerBlock\":65536,"
        "\"totalGlobalMem\":%lld,\"smClockRateKHz\":%d,\"l2CacheSize\":%d,"
        "\"maxBlockSize\":[1024,1024,64],\"memClockRateKHz\":%d,"
        "\"maxGridSize\":[2147483647,65535,65535],\"supportCoopLaunch\":1,\"pciDeviceId\":0,"
        "\"isTccDriver\":0,\"cudaDeviceId\":0,\"driverVer\":13000,\"memoryBusWidth\":%d,"
        "\"deviceName\":\"%s\"}",
        10 * d->capability, d->multiprocessors, d->shared_memory, d->reserved_shared_memory,
        d->blocks, d->threads, d->memory, d->clock, d->l2, d->memory_clock, d->bus, d->name);
    ft_cudnn_descriptor properties =
        ft_cudnn_descriptor_add(owner, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    ft_cudnn_set(owner, properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                 length, json);
    ft_cudnn_finalize(owner, properties, "a device's properties");
    target.device_properties = properties;
    capability = d->capability;
    return owner->status;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A plan and, once it is saved, the same plan loaded. */
static ft_status build_and_reload(ft_cudnn_graph *graph, ft_cudnn_plan *plan)
{
    FT_FORWARD(ft_cudnn_plan_build(&target, graph, plan));
    char *text = NULL;
    size_t length = 0;
    ft_cudnn_plan again;
    ft_status status = ft_cudnn_plan_save(&library, plan, &text, &length);
    if (status == FT_OK)
        status = ft_cudnn_plan_load(&target, text, length, &again);
    ft_release(text);
    if (status == FT_OK && again.workspace != plan->workspace)
        status = ft_error(FT_ERROR_RUNTIME, "a plan that was loaded needs another workspace");
    if (status == FT_OK)
        ft_cudnn_plan_free(&library, &again);
    ft_cudnn_plan_free(&library, plan);
    return status;
}

static void report(const char *name, ft_cudnn_graph *graph)
{
    if (strncmp(name, wanted, strlen(wanted)) != 0)
        return;
    printf("%s\t", name); /* before it is built: cuDNN may not come back */
    fflush(stdout);
    double start = now();
    ft_cudnn_plan plan;
    if (build_and_reload(graph, &plan) == FT_OK)
        printf("%lld\t%lld\t%.2f\n", (long long)plan.engine, (long long)plan.workspace,
               now() - start);
    else
        printf("failed\t%s\n", ft_error_message());
    fflush(stdout);
}

/* ---- the product's graphs ---- */

typedef struct model {
    const char *name;
    int32_t hidden, heads;
} model;

static const model BERT = {"bert-base", 768, 12};
static const model MINILM = {"minilm", 384, 12};

static const char *name_of(int32_t precision)
{
    return precision == FT_FLOAT16 ? "float16" : "bfloat16";
}

/* Forward and backward. Together: q, k and v are the thirds of one matrix; else a matrix each. */
static void attention(const model *of, int32_t precision, bool ragged, bool together, float dropout)
{
    int32_t stride = (together ? 3 : 1) * of->hidden;
    for (int32_t backward = 0; backward < 2; backward++) {
        ft_cudnn_attention_shape s = {.precision = precision,
                                      .backward = backward,
                                      .ragged = ragged,
                                      .sequences = 16,
                                      .heads = of->heads,
                                      .length = 128,
                                      .head_dim = of->hidden / of->heads,
                                      .q_stride = stride,
                                      .kv_stride = stride,
                                      .dropout = dropout};
        char name[128];
        snprintf(name, sizeof name, "%s %s attention %s %s%s%s", of->name, name_of(precision),
                 ragged ? "ragged" : "dense", backward ? "backward" : "forward",
                 together ? "" : " apart", dropout > 0 ? " with dropout" : "");
        ft_cudnn_graph graph;
        ft_cudnn_graph_start(&graph, &library);
        ft_cudnn_attention_graph(&graph, &s);
        report(name, &graph);
        ft_cudnn_graph_end(&graph);
    }
}

/* BERT-base's in one precision, and of the rest what is different in kind: another precision or
 * another size makes another kernel of the same engine. */
static void all(void)
{
    int32_t first = capability < 80 ? FT_FLOAT16 : FT_BFLOAT16;
    bool ragged = ft_cudnn_attends_ragged(capability, library.version, true);
    attention(&BERT, first, false, true, 0.1f);
    if (ft_cudnn_attends(capability)) {
        if (ragged)
            attention(&BERT, first, true, true, 0.1f);
        bool ragged_apart = ft_cudnn_attends_ragged(capability, library.version, false);
        attention(&BERT, first, ragged_apart, false, 0.0f);
        attention(&MINILM, FT_FLOAT16, ragged, true, 0.1f);
    }
}

static ft_status start(char **libraries, int count, const char *device_name, ft_cudnn_graph *owner)
{
    void *loaded = NULL;
    for (int i = 0; i < count; i++) {
        loaded = dlopen(libraries[i], RTLD_NOW | RTLD_GLOBAL);
        FT_RETURN_IF(loaded == NULL, FT_ERROR_OS, "%s", dlerror());
    }
    FT_FORWARD(ft_cudnn_library_find(loaded, &library));
    ft_cudnn_graph_start(owner, &library);
    for (size_t i = 0; i < sizeof DEVICES / sizeof *DEVICES; i++)
        if (strcmp(DEVICES[i].name, device_name) == 0)
            return describe_device(&DEVICES[i], owner);
    return ft_error(FT_ERROR_VALUE, "no device %s", device_name);
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 4)
        return 2;
    ft_cudnn_graph owner = {0};
    wanted = arguments[2];
    if (start(arguments + 3, argument_count - 3, arguments[1], &owner) != FT_OK) {
        fprintf(stderr, "%s\n", ft_error_message());
        return 1;
    }
    all();
    ft_cudnn_graph_end(&owner);
    return 0;
}
