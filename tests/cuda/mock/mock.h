/* What the mock libraries have for tests, and for each other. */
#ifndef FT_MOCK_H
#define FT_MOCK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- in each mock library, about its own functions; names with or without _v2 ---- */

/* The nth next call of the function (1: the next) does nothing but return the code. */
void mock_fail(const char *function, int nth, int code);
int mock_calls(const char *function); /* since the last reset */
/* When the function was last called since then, by a clock that all libraries have; 0: not. */
long long mock_time(const char *function);
/* Forgets counts, failures to come and messages. In libcuda.so.1 also: what failed before, the
 * order of threads, and the GPUs: there are none. Memory, streams and so on stay. */
void mock_reset(void);

/* ---- in libcuda.so.1, for mock libraries that enqueue work on a stream, as cuDNN does ---- */

/* Calls work(copy of argument) when it is the stream's turn: now, or, where the stream is being
 * captured, whenever the graph is launched. `work` returns a CUresult, which is what the call
 * returns if `work` ran at once. stream NULL: the default stream. */
int mock_enqueue(void *stream, int (*work)(void *argument), const void *argument, size_t size);

/* ---- in libcuda.so.1, for tests ---- */

/* The GPUs: `count` (0: none) of the name "V100", "T4", "A100", "A10", "L4", "H100", "B200" or
 * "RTX 5090"; 0: there is no such name here. At the start there is one if FT_MOCK_DEVICE names it.
 */
int mock_set_device(const char *name, int count);
void mock_set_memory(size_t bytes);        /* of each GPU */
void mock_set_driver_version(int version); /* 1000 * major + 10 * minor */

/* 0: threads run in ascending order, 1: descending; FT_MOCK_ORDER is that of the start. */
void mock_set_order(int order);
/* 0: work is done when it is enqueued; 1: as late as possible, when something waits for it.
 * FT_MOCK_LAZY is that of the start. */
void mock_set_lazy(int lazy);

int mock_launches(const char *kernel); /* that ran since the last reset; NULL: of all kernels */
int mock_graph_nodes(void);            /* of the graph that was captured last */
/* How many are alive: "memory", "host memory", "stream", "event", "graph", "executable", "module";
 * "context": primary contexts retained and not released. */
int mock_alive(const char *kind);
size_t mock_allocated(void); /* bytes of device memory */
int mock_contexts(void);     /* how many contexts are on this thread's stack */
/* What the last failure was about, in words. */
const char *mock_message(void);

/* ---- in libnvrtc.so.13, for tests ---- */

void mock_set_nvrtc_version(int major, int minor);
int mock_programs(void); /* created and not destroyed */

/* ---- in libcublasLt.so.13, for tests; mock_alive: "object" or "handle"; mock_message: what the
 * last failure was about ---- */

/* The reduction schemes that the last heuristic was allowed. */
unsigned mock_schemes(void);
/* How many matmuls were asked for since the last reset whose operands are rounded to
 * TensorFloat-32, or are not. */
int mock_matmuls(int tf32);

/* ---- in libcudnn.so.9, for tests; mock_alive: "descriptor" or "handle"; mock_message: why an
 * execution failed that was its turn on the stream ---- */

/* What cudnnGetVersion says: 91801, or FT_MOCK_CUDNN_VERSION, until it is set. */
void mock_set_cudnn_version(size_t version);
/* How many engine configurations there are for a graph by mode A and by FALLBACK, and how many of
 * them, the first, give plans that do not finalise: 1, 1 and 0 until it is set. */
void mock_set_configurations(int mode_a, int fallback, int failing);

#ifdef __cplusplus
}
#endif

#endif
