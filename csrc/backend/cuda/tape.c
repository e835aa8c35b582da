#include "backend/cuda/tape.h"

#include <stdlib.h>
#include <string.h>

#include "backend/cuda/behind.h"
#include "backend/cuda/driver/driver.h"
#include "backend/cuda/driver/modules.h"
#include "backend/cuda/graphs.h"
#include "backend/cuda/kernels/upload.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/sums.h"
#include "backend/cuda/variables.h"
#include "backend/precision.h"

enum {
    LEAST_NODES = 8,      /* of a graph: below, launching them one by one is as quick */
    MOST_NODES = 1 << 15, /* of a tape */
    SMALL_UPLOAD = 1 << 20,
    SCRATCH_STEP = 1 << 20,
    MOST_RETIRED = 64, /* growing by an eighth at least, scratch comes to all memory before */
};

enum node_kind { NODE_LAUNCH, NODE_CALL, NODE_ZERO };

/* One thing to do, with its arguments behind it. Tapes are compared byte for byte. */
typedef struct node {
    uint32_t kind;
    ft_kernel kernel;
    ft_precision precision;
    uint32_t shared_bytes;
    uint32_t grid[3], block[3];
    union {
        void *function; /* CUfunction */
        ft_cuda_call call;
        void *memory;
    };
    uint64_t bytes;     /* to be zeroed */
    uint64_t arguments; /* bytes of them, rounded up to whole nodes' alignment */
} node;

_Static_assert(sizeof(node) == 64 && sizeof(void *) == 8, "a node has no padding");

typedef struct range {
    char *to;
    size_t bytes;
} range;

/* The last uploads, which are one kernel. */
typedef struct uploads {
    size_t at, end; /* on the tape */
    int count;      /* 0: there are none yet */
    range ranges[FT_UPLOADS];
} uploads;

struct ft_cuda_tape {
    char *nodes;
    size_t used, capacity;
    int count;
    int unknown; /* launches whose functions are to be found */
    ft_cuda_variables variables;
    ft_cuda_graphs graphs;
    ft_cuda_memory scratch;
    uploads uploads;
    ft_cuda_sums sums;
    ft_cuda_behind behind;
    void *capturing;             /* CUstream, in the backend's place while a graph is recorded */
    void *retired[MOST_RETIRED]; /* smaller memory, which what is recorded may still use */
    int retired_count;
};

ft_status ft_cuda_tape_create(ft_cuda *cuda, ft_cuda_tape **out)
{
    *out = calloc(1, sizeof **out);
    FT_RETURN_IF(*out == NULL, FT_ERROR_MEMORY, "cannot allocate a tape");
    FT_CUDA_FORWARD(cuda->driver, stream_create(&(*out)->capturing, FT_CU_STREAM_NON_BLOCKING),
                    "creating a stream");
    return ft_cuda_variables_create(cuda, &(*out)->variables);
}

static void free_retired(ft_cuda *cuda, ft_cuda_tape *t)
{
    for (int i = 0; i < t->retired_count; i++)
        cuda->driver->memory_free((ft_cu_pointer)t->retired[i]);
    t->retired_count = 0;
}

void ft_cuda_tape_forget(ft_cuda *cuda, ft_cuda_tape *t)
{
    ft_cuda_graphs_destroy(cuda, &t->graphs);
}

void ft_cuda_tape_destroy(ft_cuda *cuda, ft_cuda_tape *t)
{
    if (t == NULL)
        return;
    ft_cuda_tape_forget(cuda, t);
    ft_cuda_variables_destroy(cuda, &t->variables);
    free_retired(cuda, t);
    if (t->scratch.memory != NULL)
        cuda->driver->memory_free((ft_cu_pointer)t->scratch.memory);
    if (t->sums.parts.memory != NULL)
        cuda->driver->memory_free((ft_cu_pointer)t->sums.parts.memory);
    if (t->capturing != NULL)
        cuda->driver->stream_destroy(t->capturing);
    free(t->nodes);
    free(t);
}

/* ---- recording ---- */

static ft_status record(ft_cuda_tape *t, node *n, const void *arguments, size_t size)
{
    n->arguments = (size + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t);
    size_t needed = t->used + sizeof *n + n->arguments;
    if (needed > t->capacity) {
        size_t capacity = needed + t->capacity;
        char *nodes = realloc(t->nodes, capacity);
        FT_RETURN_IF(nodes == NULL, FT_ERROR_MEMORY, "cannot allocate a tape of %zu bytes",
                     capacity);
        t->nodes = nodes;
        t->capacity = capacity;
    }
    char *at = t->nodes + t->used;
    memcpy(at, n, sizeof *n);
    memset(at + sizeof *n, 0, n->arguments);
    if (size > 0)
        memcpy(at + sizeof *n, arguments, size);
    t->used = needed;
    t->count++;
    return FT_OK;
}

ft_status ft_cuda_launch(ft_cuda *cuda, const ft_launch *l)
{
    node n = {
        .kind = NODE_LAUNCH,
        .kernel = l->kernel,
        .precision = l->precision,
        .shared_bytes = l->shared_bytes,
    };
    memcpy(n.grid, l->grid, sizeof n.grid);
    memcpy(n.block, l->block, sizeof n.block);
    n.function = ft_cuda_modules_known(cuda->modules, l->kernel, l->precision, l->shared_bytes);
    cuda->tape->unknown += n.function == NULL;
    return record(cuda->tape, &n, l->arguments, l->size);
}

ft_status ft_cuda_record_call(ft_cuda *cuda, ft_cuda_call call, const void *arguments, size_t size)
{
    node n = {.kind = NODE_CALL, .call = call};
    return record(cuda->tape, &n, arguments, size);
}

ft_status ft_cuda_zero(ft_cuda *cuda, void *memory, size_t bytes)
{
    node n = {.kind = NODE_ZERO, .memory = memory, .bytes = bytes};
    return bytes > 0 ? record(cuda->tape, &n, NULL, 0) : FT_OK;
}

ft_status ft_cuda_variable(ft_cuda *cuda, const void *value, size_t size, const void **device)
{
    return ft_cuda_variables_add(cuda, &cuda->tape->variables, value, size, size, device);
}

static size_t round_up(size_t bytes, size_t step)
{
    return (bytes + step - 1) / step * step;
}

ft_status ft_cuda_grow(ft_cuda *cuda, size_t bytes, ft_cuda_memory *m)
{
    ft_cuda_tape *t = cuda->tape;
    void *larger;
    if (bytes <= m->bytes)
        return FT_OK;
    FT_RETURN_IF(t->retired_count == MOST_RETIRED, FT_ERROR_RUNTIME,
                 "scratch memory has grown %d times since the last submit", MOST_RETIRED);
    if (bytes < m->bytes + m->bytes / 8)
        bytes = m->bytes + m->bytes / 8;
    bytes = round_up(bytes, SCRATCH_STEP);
    FT_FORWARD(ft_cuda_memory_allocate(cuda->driver, bytes, &larger));
    if (m->memory != NULL)
        t->retired[t->retired_count++] = m->memory;
    *m = (ft_cuda_memory){larger, bytes};
    return FT_OK;
}

ft_status ft_cuda_scratch(ft_cuda *cuda, size_t bytes, void **out)
{
    FT_FORWARD(ft_cuda_grow(cuda, bytes, &cuda->tape->scratch));
    *out = cuda->tape->scratch.memory;
    return FT_OK;
}

ft_cuda_sums *ft_cuda_tape_sums(ft_cuda_tape *t)
{
    return &t->sums;
}

ft_cuda_behind *ft_cuda_tape_behind(ft_cuda_tape *t)
{
    return &t->behind;
}

/* ---- playing ---- */

/* Finds the kernels that were not known when they were recorded: all at once, since they are
 * compiled side by side. */
static ft_status find_functions(ft_cuda *cuda)
{
    ft_cuda_tape *t = cuda->tape;
    if (t->unknown == 0)
        return FT_OK;
    ft_cuda_modules_compile(cuda->modules);
    for (size_t at = 0; at < t->used;) {
        node n;
        memcpy(&n, t->nodes + at, sizeof n);
        if (n.kind == NODE_LAUNCH && n.function == NULL) {
            FT_FORWARD(ft_cuda_modules_function(cuda->modules, n.kernel, n.precision,
                                                n.shared_bytes, &n.function));
            memcpy(t->nodes + at, &n, sizeof n);
        }
        at += sizeof n + n.arguments;
    }
    return FT_OK;
}

static ft_status play_launch(ft_cuda *cuda, const node *n, void *arguments)
{
    void *parameters[] = {arguments};
    int result = cuda->driver->launch(n->function, n->grid[0], n->grid[1], n->grid[2], n->block[0],
                                      n->block[1], n->block[2], n->shared_bytes, cuda->stream,
                                      n->arguments > 0 ? parameters : NULL, NULL);
    return ft_cuda_check(cuda->driver, result, "launching %s in %s", ft_cuda_kernel_name(n->kernel),
                         ft_precision_name(n->precision));
}

static ft_status play(ft_cuda *cuda)
{
    ft_cuda_tape *t = cuda->tape;
    for (size_t at = 0; at < t->used;) {
        node n;
        memcpy(&n, t->nodes + at, sizeof n);
        void *arguments = t->nodes + at + sizeof n;
        at += sizeof n + n.arguments;
        switch (n.kind) {
        case NODE_LAUNCH:
            FT_FORWARD(play_launch(cuda, &n, arguments));
            break;
        case NODE_CALL:
            FT_FORWARD(n.call(cuda, arguments));
            break;
        default:
            FT_CUDA_FORWARD(cuda->driver,
                            set_bytes_async((ft_cu_pointer)n.memory, 0, n.bytes, cuda->stream),
                            "zeroing %zu bytes", (size_t)n.bytes);
        }
    }
    return FT_OK;
}

/* Not on the backend's stream: while one that waits for the legacy default stream is captured, all
 * work on that stream fails, other threads' too (CUDA_ERROR_STREAM_CAPTURE_IMPLICIT), and torch has
 * its work there. */
static ft_status capture(ft_cuda *cuda, void **executable)
{
    const ft_cuda_driver *driver = cuda->driver;
    void *graph = NULL, *stream = cuda->stream;
    FT_CUDA_FORWARD(driver, capture_begin(cuda->tape->capturing, FT_CU_CAPTURE_THREAD_LOCAL),
                    "beginning to record a graph");
    cuda->stream = cuda->tape->capturing;
    ft_status status = play(cuda);
    int ended = driver->capture_end(cuda->stream, &graph); /* in failure too: it ends the mode */
    cuda->stream = stream;
    if (status == FT_OK)
        status = ft_cuda_check(driver, ended, "recording a graph");
    if (status == FT_OK)
        status = ft_cuda_check(driver, driver->graph_instantiate(executable, graph, 0),
                               "making a graph executable");
    if (graph != NULL)
        driver->graph_destroy(graph);
    return status;
}

/* What cannot be a graph is played as it is; if it fails so too, that is the error. */
static ft_status play_or_replay(ft_cuda *cuda)
{
    ft_cuda_tape *t = cuda->tape;
    if (t->count < LEAST_NODES)
        return play(cuda);
    ft_cuda_graph *graph = ft_cuda_graphs_find(cuda, &t->graphs, t->nodes, t->used);
    if (graph == NULL || graph->refused)
        return play(cuda);
    if (graph->executable == NULL && capture(cuda, &graph->executable) != FT_OK) {
        graph->executable = NULL;
        graph->refused = true;
        return play(cuda);
    }
    return ft_cuda_check(cuda->driver, cuda->driver->graph_launch(graph->executable, cuda->stream),
                         "launching a graph of %d operations", t->count);
}

static ft_status wait(ft_cuda *cuda)
{
    return ft_cuda_check(cuda->driver, cuda->driver->stream_synchronize(cuda->stream),
                         "waiting for the GPU");
}

/* Records what was put off and an operation of this kind may need. */
static ft_status finish(ft_cuda *cuda, ft_cuda_kind kind)
{
    if (kind != FT_CUDA_LINEAR_BACKWARD)
        FT_FORWARD(ft_cuda_finish_behind(cuda));
    return kind == FT_CUDA_ANY ? ft_cuda_finish_sums(cuda) : FT_OK;
}

ft_status ft_cuda_submit(ft_cuda *cuda)
{
    ft_cuda_tape *t = cuda->tape;
    ft_status status = finish(cuda, FT_CUDA_ANY);
    if (status == FT_OK)
        status = find_functions(cuda);
    ft_status sent = ft_cuda_variables_send(cuda, &t->variables);
    if (status == FT_OK)
        status = sent;
    if (status == FT_OK)
        status = play_or_replay(cuda);
    t->used = 0;
    t->count = 0;
    t->unknown = 0;
    t->uploads.count = 0;
    /* Of what was put off something is left where recording it failed, without what it is for. */
    t->sums.count = 0;
    t->sums.used = 0;
    t->behind.rows.packed = NULL;
    if (t->retired_count > 0) {
        int waited = cuda->driver->stream_synchronize(cuda->stream);
        if (status == FT_OK)
            status = ft_cuda_check(cuda->driver, waited, "waiting for the GPU");
        free_retired(cuda, t);
    }
    return status;
}

ft_status ft_cuda_synchronize(ft_cuda *cuda)
{
    FT_FORWARD(ft_cuda_submit(cuda));
    return wait(cuda);
}

ft_status ft_cuda_begin(ft_cuda *cuda, ft_cuda_kind kind)
{
    FT_FORWARD(finish(cuda, kind));
    return cuda->tape->count >= MOST_NODES ? ft_cuda_submit(cuda) : FT_OK;
}

/* ---- memory ---- */

/* The least power of two that is no smaller, and holds the ids of the smallest bucket: batches of
 * one bucket have it in common. */
static size_t room_for(size_t bytes)
{
    size_t room = 64 * sizeof(int32_t);
    while (room < bytes)
        room *= 2;
    return room;
}

/* Whether uploads are what was recorded last, with room for one more that overlaps none of them. */
static bool takes_upload(const ft_cuda_tape *t, const char *to, size_t bytes)
{
    const uploads *u = &t->uploads;
    if (u->count == 0 || u->count == FT_UPLOADS || u->end != t->used)
        return false;
    for (int i = 0; i < u->count; i++)
        if (to < u->ranges[i].to + u->ranges[i].bytes && u->ranges[i].to < to + bytes)
            return false;
    return true;
}

/* Makes it one of those. */
static void join_upload(ft_cuda_tape *t, const ft_upload *upload, size_t bytes, uint32_t blocks)
{
    uploads *u = &t->uploads;
    node n;
    char *at = t->nodes + u->at;
    memcpy(&n, at, sizeof n);
    memcpy(at + sizeof n + (size_t)u->count * sizeof *upload, upload, sizeof *upload);
    u->ranges[u->count++] = (range){upload->to, bytes};
    n.grid[0] = n.grid[0] > blocks ? n.grid[0] : blocks;
    n.grid[1] = (uint32_t)u->count;
    memcpy(at, &n, sizeof n);
}

static ft_status record_upload(ft_cuda *cuda, void *to, const void *from_host, size_t bytes)
{
    size_t room = room_for(bytes);
    ft_upload upload = {.to = to};
    FT_FORWARD(
        ft_cuda_variables_add(cuda, &cuda->tape->variables, from_host, bytes, room, &upload.from));
    FT_FORWARD(ft_cuda_int_variable(cuda, (int32_t)bytes, &upload.bytes));
    uint32_t blocks = ft_cuda_blocks(room / 4, 4 * FT_UPLOAD_THREADS, UINT32_MAX);
    if (takes_upload(cuda->tape, to, bytes)) {
        join_upload(cuda->tape, &upload, bytes, blocks);
        return FT_OK;
    }
    size_t at = cuda->tape->used;
    const ft_upload_arguments arguments = {{upload}};
    FT_FORWARD(ft_cuda_launch_line(cuda, FT_KERNEL_upload, FT_FLOAT32, blocks, FT_UPLOAD_THREADS,
                                   &arguments, sizeof arguments));
    cuda->tape->uploads =
        (uploads){.at = at, .end = cuda->tape->used, .count = 1, .ranges = {{to, bytes}}};
    return FT_OK;
}

ft_status ft_cuda_upload(ft_cuda *cuda, void *to, const void *from_host, size_t bytes)
{
    if (bytes == 0)
        return FT_OK;
    if (bytes <= SMALL_UPLOAD)
        return record_upload(cuda, to, from_host, bytes);
    FT_FORWARD(ft_cuda_submit(cuda));
    FT_CUDA_FORWARD(cuda->driver,
                    copy_to_device_async((ft_cu_pointer)to, from_host, bytes, cuda->stream),
                    "copying %zu bytes to the GPU", bytes);
    return wait(cuda);
}

ft_status ft_cuda_download(ft_cuda *cuda, void *to_host, const void *from, size_t bytes)
{
    FT_FORWARD(ft_cuda_submit(cuda));
    if (bytes > 0)
        FT_CUDA_FORWARD(cuda->driver,
                        copy_to_host_async(to_host, (ft_cu_pointer)from, bytes, cuda->stream),
                        "copying %zu bytes from the GPU", bytes);
    return wait(cuda);
}
