/* libgomp's entry points that ftcore and oneDNN call, on plain pthreads. Preloaded, it takes
 * libgomp's place in a process under the thread sanitizer, which does not know how libgomp's
 * barriers, made of futexes, order what threads do, and would see a race in whatever they guard.
 *
 * Only what OpenMP promises is ordered: the start and the end of a region, and barriers. Chunks of
 * a loop are handed out by relaxed atomics, so that races between them are seen. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_THREADS = 64, MAX_LOOPS = 64 };

typedef struct team {
    int threads;
    void (*function)(void *);
    void *data;
    pthread_barrier_t barrier;
    atomic_ullong next[MAX_LOOPS]; /* of each loop of the region: the first chunk not taken */
    pthread_t workers[MAX_THREADS];
    struct place *places;
    struct team *outer;
    int outer_id, outer_loops;
} team;

/* Where a thread is. */
typedef struct place {
    team *team;
    int id;
    int loops; /* begun by this thread in this region */
    int max_threads;
    unsigned long long start, end, step, round; /* the loop that it is in; step: iterations */
    bool fixed;                                 /* which chunks are whose is fixed */
    unsigned long long alone;                   /* chunks taken outside of any region */
} place;

static __thread place here;

static void must(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "openmp_on_pthreads: %s\n", what);
    abort();
}

int omp_get_max_threads(void)
{
    if (here.max_threads == 0) {
        const char *text = getenv("OMP_NUM_THREADS");
        cpu_set_t set;
        here.max_threads = text                                          ? atoi(text)
                           : sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                                         : 1;
    }
    return here.max_threads;
}

void omp_set_num_threads(int threads)
{
    here.max_threads = threads;
}

int omp_get_num_threads(void)
{
    return here.team ? here.team->threads : 1;
}

int omp_get_thread_num(void)
{
    return here.id;
}

int omp_in_parallel(void)
{
    return omp_get_num_threads() > 1;
}

int omp_get_active_level(void)
{
    return omp_in_parallel();
}

int omp_get_max_active_levels(void)
{
    return 1;
}

int omp_get_thread_limit(void)
{
    return MAX_THREADS;
}

int omp_get_dynamic(void)
{
    return 0;
}

void omp_set_dynamic(int dynamic)
{
    (void)dynamic;
}

static void *work(void *start)
{
    here = *(place *)start;
    here.team->function(here.team->data);
    return NULL;
}

static void begin(void (*function)(void *), void *data, unsigned threads)
{
    team *t = calloc(1, sizeof *t);
    must(t != NULL, "out of memory");
    t->threads = here.team ? 1 : threads ? (int)threads : omp_get_max_threads();
    must(t->threads <= MAX_THREADS, "too many threads");
    t->function = function;
    t->data = data;
    t->outer = here.team;
    t->outer_id = here.id;
    t->outer_loops = here.loops;
    t->places = calloc(t->threads, sizeof *t->places);
    must(t->places != NULL, "out of memory");
    pthread_barrier_init(&t->barrier, NULL, t->threads);
    here.team = t;
    here.id = here.loops = 0;
    for (int i = 1; i < t->threads; i++) {
        t->places[i] = (place){.team = t, .id = i, .max_threads = here.max_threads};
        must(pthread_create(&t->workers[i], NULL, work, &t->places[i]) == 0, "no thread");
    }
}

static void end(void)
{
    team *t = here.team;
    for (int i = 1; i < t->threads; i++)
        pthread_join(t->workers[i], NULL);
    here.team = t->outer;
    here.id = t->outer_id;
    here.loops = t->outer_loops;
    pthread_barrier_destroy(&t->barrier);
    free(t->places);
    free(t);
}

void GOMP_parallel(void (*function)(void *), void *data, unsigned threads, unsigned flags)
{
    (void)flags;
    begin(function, data, threads);
    function(data);
    end();
}

void GOMP_parallel_start(void (*function)(void *), void *data, unsigned threads)
{
    begin(function, data, threads);
}

void GOMP_parallel_end(void)
{
    end();
}

void GOMP_barrier(void)
{
    if (here.team)
        pthread_barrier_wait(&here.team->barrier);
}

static bool next(unsigned long long *first, unsigned long long *last)
{
    unsigned long long chunk;
    if (here.fixed)
        chunk = here.round++ * omp_get_num_threads() + here.id;
    else if (here.team)
        chunk =
            atomic_fetch_add_explicit(&here.team->next[here.loops - 1], 1, memory_order_relaxed);
    else
        chunk = here.alone++;
    unsigned long long from = here.start + chunk * here.step;
    if (from >= here.end)
        return false;
    *first = from;
    *last = here.end - from < here.step ? here.end : from + here.step;
    return true;
}

static bool start(bool fixed, unsigned long long from, unsigned long long to,
                  unsigned long long chunk, unsigned long long *first, unsigned long long *last)
{
    must(here.loops < MAX_LOOPS, "too many loops in a region");
    int threads = omp_get_num_threads();
    here.loops++;
    here.fixed = fixed;
    here.start = from;
    here.end = to;
    here.step = chunk ? chunk : (to - from + threads - 1) / threads;
    here.round = here.alone = 0;
    return next(first, last);
}

static bool start_long(bool fixed, long from, long to, long by, long chunk, long *first, long *last)
{
    must(by == 1 && from >= 0, "only loops that count up from 0 or more are known");
    return from < to &&
           start(fixed, from, to, chunk, (unsigned long long *)first, (unsigned long long *)last);
}

static bool next_long(long *first, long *last)
{
    return next((unsigned long long *)first, (unsigned long long *)last);
}

bool GOMP_loop_static_start(long from, long to, long by, long chunk, long *first, long *last)
{
    return start_long(true, from, to, by, chunk, first, last);
}

bool GOMP_loop_static_next(long *first, long *last)
{
    return next_long(first, last);
}

bool GOMP_loop_nonmonotonic_dynamic_start(long from, long to, long by, long chunk, long *first,
                                          long *last)
{
    return start_long(false, from, to, by, chunk, first, last);
}

bool GOMP_loop_nonmonotonic_dynamic_next(long *first, long *last)
{
    return next_long(first, last);
}

bool GOMP_loop_ull_nonmonotonic_dynamic_start(bool up, unsigned long long from,
                                              unsigned long long to, unsigned long long by,
                                              unsigned long long chunk, unsigned long long *first,
                                              unsigned long long *last)
{
    must(up && by == 1, "only loops that count up are known");
    return from < to && start(false, from, to, chunk, first, last);
}

bool GOMP_loop_ull_nonmonotonic_dynamic_next(unsigned long long *first, unsigned long long *last)
{
    return next(first, last);
}

void GOMP_loop_end_nowait(void) {}
