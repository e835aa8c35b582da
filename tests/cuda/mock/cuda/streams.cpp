/* Streams, events, capture and graphs. */
#include <cstdlib>

#include "driver.h"

namespace driver
{

/* As CUstreamCaptureMode numbers them. */
enum { CAPTURE_GLOBAL = 0, CAPTURE_RELAXED = 2 };

struct Event {
    std::shared_ptr<bool> done = {}; /* of the last record; none: there was none */
    Stream *stream = nullptr;        /* of the last record */
    bool captured = false;
};

struct Executable {
    std::shared_ptr<std::vector<Work>> nodes;
};

static Stream default_stream{true};
static Objects<Stream> streams;
static Objects<Event> events;
static Objects<Graph> graphs;
static Objects<Executable> executables;
static bool lazy;
static int last_nodes;

void reset_streams()
{
    const char *wanted = getenv("FT_MOCK_LAZY");
    lazy = wanted != nullptr && wanted[0] == '1';
    last_nodes = 0;
    default_stream = {true};
    for (Stream *stream : streams.alive)
        *stream = {stream->blocking};
    for (Event *event : events.alive)
        *event = {};
}

static const bool started = (reset_streams(), true);

int streams_alive(const char *kind)
{
    std::string name = kind;
    if (name == "stream")
        return streams.count();
    if (name == "event")
        return events.count();
    if (name == "graph")
        return graphs.count();
    return name == "executable" ? executables.count() : -1;
}

Stream *stream_of(void *handle)
{
    /* 1: CU_STREAM_LEGACY */
    return handle == nullptr || handle == (void *)1 ? &default_stream : streams.find(handle);
}

/* ---- doing ---- */

static int do_first(Stream *stream)
{
    Work work = stream->queue.front();
    stream->queue.pop_front();
    int result = work();
    if (result != SUCCESS) /* what follows a failed kernel never runs */
        stream->queue.clear();
    return result;
}

int drain(Stream *stream)
{
    while (!stream->queue.empty())
        FT_TRY(do_first(stream));
    return SUCCESS;
}

/* The default stream and those that wait for it. */
static int drain_blocking()
{
    FT_TRY(drain(&default_stream));
    for (Stream *stream : streams.alive)
        if (stream->blocking)
            FT_TRY(drain(stream));
    return SUCCESS;
}

int drain_all()
{
    FT_TRY(drain(&default_stream));
    for (Stream *stream : streams.alive)
        FT_TRY(drain(stream));
    return SUCCESS;
}

int enqueue(Stream *stream, Work work)
{
    if (stream->capture == Capture::invalid)
        return failure(STREAM_CAPTURE_INVALIDATED, "an earlier call was not to be made in capture");
    if (stream->capture == Capture::active) {
        stream->graph.nodes.push_back(work);
        return SUCCESS;
    }
    /* Work waits for what lies before it on the default stream, or, there, on the others. That
     * these are done now is one of the orders that may be. */
    if (stream == &default_stream) {
        FT_TRY(check_default_stream("work on the default stream"));
        FT_TRY(drain_blocking());
    } else if (stream->blocking) {
        FT_TRY(drain(&default_stream));
    }
    stream->queue.push_back(work);
    return lazy ? SUCCESS : drain(stream);
}

/* ---- what must not be done while capturing ---- */

static int invalidate(Stream *stream, int code, const char *function)
{
    stream->capture = Capture::invalid;
    return failure(code, "%s while a stream is being captured", function);
}

int check_unsafe(const char *function)
{
    for (Stream *stream : streams.alive)
        if (stream->capture == Capture::active && stream->capture_mode != CAPTURE_RELAXED &&
            (stream->capture_mode == CAPTURE_GLOBAL ||
             stream->capture_thread == std::this_thread::get_id()))
            return invalidate(stream, STREAM_CAPTURE_UNSUPPORTED, function);
    return SUCCESS;
}

int check_default_stream(const char *function)
{
    for (Stream *stream : streams.alive)
        if (stream->capture == Capture::active && stream->blocking)
            return invalidate(stream, STREAM_CAPTURE_IMPLICIT, function);
    return SUCCESS;
}

static int check_waiting(Stream *stream, const char *function)
{
    if (stream->capture != Capture::none)
        return invalidate(stream, STREAM_CAPTURE_UNSUPPORTED, function);
    return stream == &default_stream ? check_default_stream(function) : SUCCESS;
}

} // namespace driver

using namespace driver;

#define FT_FIND(objects, handle, object)                                                           \
    auto *object = (objects).find(handle);                                                         \
    if (object == nullptr)                                                                         \
    return failure(INVALID_HANDLE, "%s: %p is not one of its " #objects, __func__, handle)

#define FT_FIND_STREAM(handle)                                                                     \
    Stream *stream = stream_of(handle);                                                            \
    if (stream == nullptr)                                                                         \
    return failure(INVALID_HANDLE, "%s: there is no stream %p", __func__, handle)

/* ---- streams ---- */

FT_EXPORT int cuStreamCreate(void **out, unsigned flags)
{
    FT_CALL(cuStreamCreate);
    if (flags > 1) /* CU_STREAM_NON_BLOCKING */
        return INVALID_VALUE;
    *out = streams.add(flags == 0);
    return SUCCESS;
}

FT_EXPORT int cuStreamDestroy_v2(void *handle)
{
    FT_CALL(cuStreamDestroy_v2);
    FT_FIND(streams, handle, stream);
    int result = drain(stream);
    streams.remove(stream);
    return result;
}

FT_EXPORT int cuStreamSynchronize(void *handle)
{
    FT_CALL(cuStreamSynchronize);
    FT_FIND_STREAM(handle);
    FT_TRY(check_waiting(stream, "cuStreamSynchronize"));
    if (stream == &default_stream)
        return drain_blocking();
    return drain(stream);
}

/* So that a program that asks until it is ready comes to an end, one piece of work is done. */
FT_EXPORT int cuStreamQuery(void *handle)
{
    FT_CALL(cuStreamQuery);
    FT_FIND_STREAM(handle);
    FT_TRY(check_waiting(stream, "cuStreamQuery"));
    if (stream->queue.empty())
        return SUCCESS;
    FT_TRY(do_first(stream));
    return NOT_READY;
}

FT_EXPORT int cuCtxSynchronize()
{
    FT_CALL(cuCtxSynchronize);
    FT_TRY(check_unsafe("cuCtxSynchronize"));
    FT_TRY(check_default_stream("cuCtxSynchronize"));
    return drain_all();
}

FT_EXPORT int mock_enqueue(void *handle, int (*work)(void *argument), const void *argument,
                           size_t size)
{
    FT_CALL(mock_enqueue);
    FT_FIND_STREAM(handle);
    auto copy =
        std::make_shared<std::vector<char>>((const char *)argument, (const char *)argument + size);
    return enqueue(stream, [=] {
        int result = work(copy->data());
        std::string problem = check_bounds();
        if (result == SUCCESS && !problem.empty())
            result = failure(LAUNCH_FAILED, "mock_enqueue: %s", problem.c_str());
        return result == SUCCESS ? SUCCESS : break_context(result);
    });
}

FT_EXPORT void mock_set_lazy(int wanted)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    lazy = wanted != 0;
}

/* ---- events ---- */

FT_EXPORT int cuEventCreate(void **out, unsigned)
{
    FT_CALL(cuEventCreate);
    *out = events.add();
    return SUCCESS;
}

FT_EXPORT int cuEventDestroy_v2(void *handle)
{
    FT_CALL(cuEventDestroy_v2);
    return events.remove(handle) ? SUCCESS : INVALID_HANDLE;
}

FT_EXPORT int cuEventRecord(void *handle, void *stream_handle)
{
    FT_CALL(cuEventRecord);
    FT_FIND(events, handle, event);
    FT_FIND_STREAM(stream_handle);
    event->stream = stream;
    event->captured = stream->capture == Capture::active;
    if (event->captured)
        return SUCCESS;
    auto done = event->done = std::make_shared<bool>(false);
    return enqueue(stream, [=] { return *done = true, SUCCESS; });
}

/* Does what lies before the event's record, which may be on a stream that is no more. */
static int wait_for(const std::shared_ptr<bool> &done, Stream *stream)
{
    while (done != nullptr && !*done && !stream->queue.empty())
        FT_TRY(do_first(stream));
    return SUCCESS;
}

FT_EXPORT int cuEventSynchronize(void *handle)
{
    FT_CALL(cuEventSynchronize);
    FT_FIND(events, handle, event);
    if (event->captured)
        return failure(CAPTURED_EVENT, "cuEventSynchronize");
    return wait_for(event->done, event->stream);
}

FT_EXPORT int cuEventQuery(void *handle)
{
    FT_CALL(cuEventQuery);
    FT_TRY(check_unsafe("cuEventQuery"));
    FT_FIND(events, handle, event);
    if (event->captured)
        return failure(CAPTURED_EVENT, "cuEventQuery");
    if (event->done == nullptr || *event->done)
        return SUCCESS;
    FT_TRY(do_first(event->stream));
    return NOT_READY;
}

FT_EXPORT int cuEventElapsedTime(float *out, void *first, void *second)
{
    FT_CALL(cuEventElapsedTime);
    FT_FIND(events, first, begin);
    FT_FIND(events, second, end);
    if (begin->done == nullptr || end->done == nullptr)
        return failure(INVALID_HANDLE, "cuEventElapsedTime of an event that was not recorded");
    *out = 1.0f;
    return *begin->done && *end->done ? SUCCESS : NOT_READY;
}

FT_EXPORT int cuStreamWaitEvent(void *stream_handle, void *handle, unsigned)
{
    FT_CALL(cuStreamWaitEvent);
    FT_FIND_STREAM(stream_handle);
    FT_FIND(events, handle, event);
    bool inside = stream->capture != Capture::none;
    if (inside && event->captured && event->stream == stream)
        return SUCCESS;
    if (inside || event->captured)
        return invalidate(inside ? stream : event->stream, STREAM_CAPTURE_UNSUPPORTED,
                          "cuStreamWaitEvent between streams");
    auto done = event->done;
    Stream *other = event->stream;
    return enqueue(stream, [=] { return wait_for(done, other); });
}

/* ---- capture and graphs ---- */

FT_EXPORT int cuStreamBeginCapture_v2(void *handle, int mode)
{
    FT_CALL(cuStreamBeginCapture_v2);
    FT_FIND_STREAM(handle);
    if (stream == &default_stream)
        return failure(STREAM_CAPTURE_UNSUPPORTED, "the default stream cannot be captured");
    if (stream->capture != Capture::none)
        return failure(ILLEGAL_STATE, "the stream is being captured already");
    stream->capture = Capture::active;
    stream->capture_mode = mode;
    stream->capture_thread = std::this_thread::get_id();
    stream->graph.nodes.clear();
    return SUCCESS;
}

FT_EXPORT int cuStreamIsCapturing(void *handle, int *status)
{
    FT_CALL(cuStreamIsCapturing);
    FT_FIND_STREAM(handle);
    *status = (int)stream->capture;
    return SUCCESS;
}

FT_EXPORT int cuStreamEndCapture(void *handle, void **out)
{
    FT_CALL(cuStreamEndCapture);
    FT_FIND_STREAM(handle);
    *out = nullptr;
    if (stream->capture == Capture::none)
        return failure(ILLEGAL_STATE, "the stream is not being captured");
    if (stream->capture_mode != CAPTURE_RELAXED &&
        stream->capture_thread != std::this_thread::get_id())
        return failure(STREAM_CAPTURE_WRONG_THREAD, "another thread began the capture");
    bool valid = stream->capture == Capture::active;
    stream->capture = Capture::none;
    if (!valid)
        return failure(STREAM_CAPTURE_INVALIDATED, "an earlier call was not to be made in capture");
    last_nodes = (int)stream->graph.nodes.size();
    *out = graphs.add(stream->graph);
    return SUCCESS;
}

FT_EXPORT int cuGraphInstantiateWithFlags(void **out, void *handle, unsigned long long)
{
    FT_CALL(cuGraphInstantiateWithFlags);
    FT_FIND(graphs, handle, graph);
    *out = executables.add(std::make_shared<std::vector<Work>>(graph->nodes));
    return SUCCESS;
}

FT_EXPORT int cuGraphUpload(void *handle, void *stream_handle)
{
    FT_CALL(cuGraphUpload);
    FT_FIND(executables, handle, executable);
    FT_FIND_STREAM(stream_handle);
    return SUCCESS;
}

FT_EXPORT int cuGraphLaunch(void *handle, void *stream_handle)
{
    FT_CALL(cuGraphLaunch);
    FT_FIND(executables, handle, executable);
    FT_FIND_STREAM(stream_handle);
    auto nodes = executable->nodes;
    return enqueue(stream, [=] {
        for (const Work &work : *nodes)
            FT_TRY(work());
        return (int)SUCCESS;
    });
}

FT_EXPORT int cuGraphDestroy(void *handle)
{
    FT_CALL(cuGraphDestroy);
    return graphs.remove(handle) ? SUCCESS : INVALID_HANDLE;
}

FT_EXPORT int cuGraphExecDestroy(void *handle)
{
    FT_CALL(cuGraphExecDestroy);
    return executables.remove(handle) ? SUCCESS : INVALID_HANDLE;
}

FT_EXPORT int mock_graph_nodes()
{
    return last_nodes;
}
