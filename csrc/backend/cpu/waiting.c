/* libgomp's threads wait awake for milliseconds by default, which costs a step most of its speed as
 * soon as another process wants the processors: a waiting thread uses up the time slice that the
 * working one needs. How long is read from the environment when libgomp is loaded, once. But where
 * a program has more OpenMP threads than there are processors they wait for a hundred turns alone
 * and sleep then (libgomp's manual, GOMP_SPINCOUNT). So one more than there are processors is kept,
 * which sleeps for ever. */
#include "backend/cpu/waiting.h"

#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

/* A thread's team lives as long as the thread. */
static void *keep_a_team(void *unused)
{
    int threads = 0;
    omp_set_dynamic(0);
#pragma omp parallel num_threads(2) reduction(+ : threads)
    threads += 1;
    while (threads > 0)
        pause();
    return unused;
}

static atomic_bool wanted;

void ft_cpu_want_brief_waits(void)
{
    atomic_store(&wanted, true);
}

void ft_cpu_make_waits_brief(int threads)
{
    /* Where processors are left over nobody waits for those on which threads wait awake. */
    if (!atomic_load(&wanted) || threads < omp_get_num_procs() || !atomic_exchange(&wanted, false))
        return;
    pthread_attr_t detached;
    if (pthread_attr_init(&detached) != 0)
        return;
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    /* Signals are the other threads' business. */
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_create(&thread, &detached, keep_a_team, NULL); /* where it fails, waits stay long */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
}
