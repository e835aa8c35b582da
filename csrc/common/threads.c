#define _GNU_SOURCE
#include "common/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_WORKERS = 255 };

/* What the workers are to do now. `next` is the first index that nobody has taken. */
typedef struct job {
    void (*task)(void *context, int64_t i);
    void *context;
    int64_t count;
    atomic_int_fast64_t next;
} job;

static struct {
    pthread_mutex_t owner; /* held by whoever has work done by the pool */
    pthread_mutex_t lock;  /* guards what follows */
    pthread_cond_t wake;   /* workers wait for a new job */
    pthread_cond_t done;   /* the owner waits for busy == 0 */
    job *job;
    uint64_t generation; /* counts jobs */
    int workers;         /* threads that exist */
    int wanted;          /* workers that may still join this job */
    int busy;            /* workers inside the job */
} pool = {.owner = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

static pthread_once_t fork_handler_once = PTHREAD_ONCE_INIT;

/* Only the thread that forked exists in the child: forget the workers, and the locks, which other
 * threads may have held. */
static void after_fork_in_child(void)
{
    pool.owner = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    pool.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    pool.wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    pool.done = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    pool.job = NULL;
    pool.workers = pool.wanted = pool.busy = 0;
}

static void install_fork_handler(void)
{
    pthread_atfork(NULL, NULL, after_fork_in_child);
}

static void run(job *work)
{
    for (;;) {
        int64_t i = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
        if (i >= work->count)
            return;
        work->task(work->context, i);
    }
}

static void *worker(void *unused)
{
    (void)unused;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (pool.generation == seen || pool.wanted == 0) {
            seen = pool.generation;
            pthread_cond_wait(&pool.wake, &pool.lock);
        }
        seen = pool.generation;
        pool.wanted--;
        pool.busy++;
        job *work = pool.job;
        pthread_mutex_unlock(&pool.lock);
        run(work);
        pthread_mutex_lock(&pool.lock);
        if (--pool.busy == 0)
            pthread_cond_signal(&pool.done);
    }
    return NULL;
}

/* Adds workers until there are `wanted`, as far as the system lets us. Called with the lock held.
 */
static void grow(int wanted)
{
    if (wanted > MAX_WORKERS)
        wanted = MAX_WORKERS;
    /* Signals belong to the program's own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (pool.workers < wanted) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, NULL) != 0)
            break;
        pthread_detach(thread);
        pool.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

ft_status ft_thread_count(int *out)
{
    const char *text = getenv("FTCORE_THREADS");
    if (text != NULL && *text != '\0') {
        char *end;
        long count = strtol(text, &end, 10);
        FT_RETURN_IF(*end != '\0' || count < 1 || count > MAX_WORKERS + 1, FT_ERROR_VALUE,
                     "the environment variable FTCORE_THREADS must be a number from 1 to %d, got "
                     "'%.40s': unset it to let ftcore choose",
                     MAX_WORKERS + 1, text);
        *out = (int)count;
        return FT_OK;
    }
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        *out = CPU_COUNT(&set);
        return FT_OK;
    }
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    *out = online > 1 ? (int)online : 1;
    return FT_OK;
}

void ft_parallel_for(int threads, int64_t count, void (*task)(void *context, int64_t i),
                     void *context)
{
    job work = {.task = task, .context = context, .count = count};
    atomic_init(&work.next, 0);
    pthread_once(&fork_handler_once, install_fork_handler);
    if (threads > count)
        threads = (int)count;
    if (threads <= 1 || pthread_mutex_trylock(&pool.owner) != 0) {
        run(&work);
        return;
    }
    pthread_mutex_lock(&pool.lock);
    grow(threads - 1);
    pool.job = &work;
    pool.generation++;
    pool.wanted = threads - 1;
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);

    run(&work);

    /* A worker that has not woken by now finds nothing left to do: do not wait for it. */
    pthread_mutex_lock(&pool.lock);
    pool.wanted = 0;
    while (pool.busy > 0)
        pthread_cond_wait(&pool.done, &pool.lock);
    pool.job = NULL;
    pthread_mutex_unlock(&pool.lock);
    pthread_mutex_unlock(&pool.owner);
}
