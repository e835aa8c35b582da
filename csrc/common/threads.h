/* A small pool of POSIX threads. It survives fork: a child starts with no workers and makes its own
 * when it needs them, so a data set can be mapped over processes after the parent used the pool.
 * (OpenMP cannot do that, which is why it is left to the train step.) */
#ifndef FT_COMMON_THREADS_H
#define FT_COMMON_THREADS_H

#include <stdint.h>

#include "common/status.h"

/* How many threads to use where nobody said: FTCORE_THREADS, or the processors this process may
 * run on; at least 1. FTCORE_THREADS that is no such number is refused. */
ft_status ft_thread_count(int *out);

/* Calls task(context, i) for each i in [0, count), on at most `threads` threads of which the caller
 * is one, and returns when all calls have returned. The calls are handed out in order. Where the
 * pool is at work for someone else, or no thread can be made, the caller does all of it. */
void ft_parallel_for(int threads, int64_t count, void (*task)(void *context, int64_t i),
                     void *context);

#endif
