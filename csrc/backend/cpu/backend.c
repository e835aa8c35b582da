#include "backend/cpu/cpu.h"

#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cpu/waiting.h"
#include "backend/host_memory.h"
#include "backend/reference/reference.h"
#include "common/memory.h"

/* The process in which OpenMP's threads were started. They do not survive a fork, and libgomp waits
 * for them for ever. */
static _Atomic pid_t openmp_process;

/* The threads that a parallel region has here at most. */
static int team_limit(void)
{
    return omp_get_active_level() < omp_get_max_active_levels() ? omp_get_thread_limit() : 1;
}

ft_status ft_cpu_begin(ft_cpu *cpu, size_t floats)
{
    if (cpu->threads > 1) {
        /* oneDNN would leave out what the missing threads were to do. */
        FT_RETURN_IF(cpu->threads > team_limit(), FT_ERROR_RUNTIME,
                     "OpenMP allows %d threads here, fewer than the %d that were asked for: lower "
                     "their number (num_threads=%d), or raise OMP_THREAD_LIMIT",
                     team_limit(), cpu->threads, team_limit());
        pid_t here = getpid(), first = 0;
        FT_RETURN_IF(!atomic_compare_exchange_strong(&openmp_process, &first, here) &&
                         first != here,
                     FT_ERROR_RUNTIME,
                     "this process was forked after its parent had trained or evaluated on several "
                     "threads, which OpenMP does not survive: start it with the 'spawn' method, or "
                     "run on one thread there (num_threads=1)");
        if (!cpu->waits_briefly)
            ft_cpu_make_waits_brief(cpu->threads);
        cpu->waits_briefly = true;
    }
    floats = ft_align(floats * sizeof(float)) / sizeof(float);
    if (floats <= cpu->scratch_floats)
        return FT_OK;
    void *larger;
    FT_FORWARD(ft_allocate((size_t)cpu->threads * floats * sizeof(float), &larger));
    ft_release(cpu->scratch);
    cpu->scratch = larger;
    cpu->scratch_floats = floats;
    return FT_OK;
}

static void cpu_destroy(ft_backend *backend)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    ft_products_destroy(cpu->products);
    ft_release(cpu->scratch);
    free(cpu);
}

static int cpu_threads(const ft_backend *backend)
{
    return ((const ft_cpu *)backend)->threads;
}

/* oneDNN's primitives divide their work when they are made, and scratch has a part per thread. */
static ft_status cpu_set_threads(ft_backend *backend, int threads)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    FT_FORWARD(ft_backend_check_threads(threads));
    if (threads == cpu->threads)
        return FT_OK;
    ft_products_drop(cpu->products);
    ft_release(cpu->scratch);
    cpu->scratch = NULL;
    cpu->scratch_floats = 0;
    cpu->threads = threads;
    cpu->waits_briefly = false;
    return FT_OK;
}

static bool always(void)
{
    return true;
}

#if defined(__x86_64__)
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static bool has_avx512bf16(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}
#endif

static const struct {
    const ft_cpu_kernels *kernels;
    bool (*runs_here)(void);
} known[] = {
#if defined(__x86_64__)
    {&ft_cpu_kernels_avx512bf16, has_avx512bf16},
    {&ft_cpu_kernels_avx512, has_avx512},
    {&ft_cpu_kernels_avx2, has_avx2},
#endif
    {&ft_cpu_kernels_generic, always},
};

int ft_cpu_kernels_available(const char *names[FT_CPU_KERNEL_SETS])
{
    int count = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].runs_here())
            names[count++] = known[i].kernels->name;
    return count;
}

/* The best kernels that this processor runs, or those that the environment names: to compare them,
 * or to test the others on a processor that has all. */
static ft_status choose_kernels(const ft_cpu_kernels **out)
{
    const char *wanted = getenv("FTCORE_CPU_KERNELS");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (wanted != NULL && strcmp(wanted, known[i].kernels->name))
            continue;
        if (known[i].runs_here()) {
            *out = known[i].kernels;
            return FT_OK;
        }
        FT_RETURN_IF(wanted != NULL, FT_ERROR_VALUE,
                     "FTCORE_CPU_KERNELS is '%s', which this processor does not run", wanted);
    }
    return ft_error(FT_ERROR_VALUE,
                    "FTCORE_CPU_KERNELS must be 'avx512bf16', 'avx512', 'avx2' (on x86-64) or "
                    "'generic', got '%s'",
                    wanted);
}

static ft_status check_precision(ft_backend *backend, ft_precision precision)
{
    (void)backend;
    FT_RETURN_IF(precision == FT_FLOAT16, FT_ERROR_VALUE,
                 "float16 is for GPUs: on the CPU train in bfloat16 or float32");
    FT_RETURN_IF(precision == FT_BFLOAT16 && !ft_products_have_bfloat16(), FT_ERROR_VALUE,
                 "bfloat16 is not supported on this processor, which has neither AVX-512 BF16 nor "
                 "AMX: it would be slower than float32; train in float32");
    return FT_OK;
}

/* What is too small to be worth more than plain loops is the reference's. */
static const ft_backend_operations cpu_operations = {
    .name = "cpu",
    .host_memory = true,
    .destroy = cpu_destroy,
    .check_precision = check_precision,
    .check_tf32 = ft_host_check_tf32,
    .threads = cpu_threads,
    .set_threads = cpu_set_threads,
    .submit = ft_host_submit,
    .synchronize = ft_host_synchronize,
    .bucket = ft_host_bucket,
    .attention_state = ft_host_attention_state,
    .allocate = ft_host_allocate,
    .release = ft_host_release,
    .upload = ft_host_upload,
    .download = ft_host_download,
    .zero = ft_host_zero,
    .copy = ft_host_copy,
    .follow = ft_host_order,
    .lead = ft_host_order,
    .padded_lengths = ft_reference_padded_lengths,
    .pack = ft_reference_pack,
    .embedding_forward = ft_cpu_embedding_forward,
    .embedding_backward = ft_cpu_embedding_backward,
    .linear_forward = ft_cpu_linear_forward,
    .linear_backward = ft_cpu_linear_backward,
    .attention_forward = ft_cpu_attention_forward,
    .attention_backward = ft_cpu_attention_backward,
    .residual_norm_forward = ft_cpu_residual_norm_forward,
    .residual_norm_backward = ft_cpu_residual_norm_backward,
    .first_rows_gather = ft_reference_first_rows_gather,
    .first_rows_scatter = ft_reference_first_rows_scatter,
    .dropout = ft_cpu_dropout,
    .loss = ft_reference_loss,
    .scale_add = ft_cpu_scale_add,
    .scale_by = ft_reference_scale_by,
    .sum_of_squares = ft_cpu_sum_of_squares,
    .clip = ft_reference_clip,
    .adamw = ft_cpu_adamw,
    .cast = ft_cpu_cast,
    .zero_rows = ft_cpu_zero_rows,
    .add_flags = ft_reference_add_flags,
};

/* OpenMP's own number of threads. Of an OMP_NUM_THREADS that is none libgomp only complains, and
 * one that is too large ends the process. */
static ft_status openmp_threads(int *out)
{
    const char *text = getenv("OMP_NUM_THREADS");
    if (text != NULL && *text != '\0') {
        char *rest;
        long outermost = strtol(text, &rest, 10);
        bool whole = *rest == '\0' || strchr(", \t", *rest); /* a list is for nested regions */
        FT_RETURN_IF(!whole || outermost < 1 || outermost > FT_MOST_THREADS, FT_ERROR_VALUE,
                     "the environment variable OMP_NUM_THREADS must be a number from 1 to %d, got "
                     "'%.40s': unset it to use all processors",
                     FT_MOST_THREADS, text);
    }
    int most = omp_get_max_threads(), limit = team_limit();
    limit = limit < FT_MOST_THREADS ? limit : FT_MOST_THREADS;
    *out = most < limit ? most : limit;
    return FT_OK;
}

ft_status ft_backend_cpu_create(int threads, ft_backend **out)
{
    *out = NULL;
    if (threads == 0)
        FT_FORWARD(openmp_threads(&threads));
    const ft_cpu_kernels *kernels = NULL;
    FT_FORWARD(choose_kernels(&kernels));
    ft_cpu *cpu = calloc(1, sizeof *cpu);
    FT_RETURN_IF(cpu == NULL, FT_ERROR_MEMORY, "cannot allocate a backend");
    cpu->base.operations = &cpu_operations;
    cpu->threads = threads;
    cpu->kernels = kernels;
    ft_status status = ft_products_create(&cpu->products);
    if (status != FT_OK) {
        free(cpu);
        return status;
    }
    *out = &cpu->base;
    return FT_OK;
}
