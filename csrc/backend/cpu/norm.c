#include "backend/cpu/cpu.h"

#include <omp.h>
#include <string.h>

#include "common/memory.h"

/* Columns go to threads in cache lines' worth. */
enum { COLUMN_BLOCK = 16 };

/* Backward's sums over rows: each thread has its own in its scratch, before what the kernel uses.
 */
typedef struct partial_sums {
    float *dgamma, *dbeta; /* [hidden] */
    float *scratch;
} partial_sums;

static size_t partial_floats(int32_t hidden)
{
    return ft_align((size_t)hidden * sizeof(float)) / sizeof(float);
}

static ft_status begin_backward(ft_cpu *cpu, int32_t hidden)
{
    return ft_cpu_begin(cpu, 2 * partial_floats(hidden) + cpu->kernels->rows_scratch(hidden));
}

static partial_sums sums_of(const ft_cpu *cpu, int thread, int32_t hidden)
{
    float *first = ft_cpu_scratch(cpu, thread);
    size_t floats = partial_floats(hidden);
    return (partial_sums){first, first + floats, first + 2 * floats};
}

/* This thread's sums, which are 0 as yet. */
static partial_sums start_sums(const ft_cpu *cpu, int32_t hidden)
{
    partial_sums sums = sums_of(cpu, omp_get_thread_num(), hidden);
    memset(sums.dgamma, 0, 2 * partial_floats(hidden) * sizeof(float));
    return sums;
}

/* Waits for all threads; then each adds what all have, in their order, in columns of its own, which
 * it returns. */
static ft_share finish_sums(const ft_cpu *cpu, int32_t hidden, bool accumulate, float *dgamma,
                            float *dbeta)
{
    int threads = omp_get_num_threads();
    ft_share share = ft_share_of((size_t)hidden, COLUMN_BLOCK, omp_get_thread_num(), threads);
#pragma omp barrier
    for (size_t i = share.begin; i < share.end; i++) {
        float gamma = accumulate ? dgamma[i] : 0, beta = accumulate ? dbeta[i] : 0;
        for (int t = 0; t < threads; t++) {
            partial_sums sums = sums_of(cpu, t, hidden);
            gamma += sums.dgamma[i];
            beta += sums.dbeta[i];
        }
        dgamma[i] = gamma;
        dbeta[i] = beta;
    }
    return share;
}

static ft_share rows_of_thread(size_t rows)
{
    return ft_share_of(rows, 1, omp_get_thread_num(), omp_get_num_threads());
}

ft_status ft_cpu_embedding_forward(ft_backend *backend, const ft_embedding *e)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    FT_FORWARD(ft_cpu_begin(cpu, cpu->kernels->rows_scratch(e->hidden)));
    size_t rows = (size_t)e->rows;
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, rows *(size_t)e->hidden))
    {
        ft_share share = rows_of_thread(rows);
        cpu->kernels->embedding_forward(e, (int32_t)share.begin, (int32_t)share.end,
                                        ft_cpu_scratch(cpu, omp_get_thread_num()));
    }
    return FT_OK;
}

ft_status ft_cpu_embedding_backward(ft_backend *backend, const ft_embedding *e,
                                    const ft_embedding_gradient *g)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    size_t rows = (size_t)e->rows;
    FT_FORWARD(begin_backward(cpu, e->hidden));
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, rows *(size_t)e->hidden))
    {
        partial_sums sums = start_sums(cpu, e->hidden);
        ft_share share = rows_of_thread(rows);
        cpu->kernels->embedding_norm_backward(e, g, (int32_t)share.begin, (int32_t)share.end,
                                              sums.dgamma, sums.dbeta, sums.scratch);
        /* Every thread then adds all the rows, in order, to columns of its own. */
        share = finish_sums(cpu, e->hidden, g->accumulate, g->dgamma, g->dbeta);
        cpu->kernels->embedding_tables_backward(e, g, (int32_t)share.begin, (int32_t)share.end);
    }
    for (int32_t r = 0; r < e->tokens; r++)
        if (e->input_ids[r] != g->padding_id)
            g->word_rows[e->input_ids[r]] = 1;
    return FT_OK;
}

ft_status ft_cpu_residual_norm_forward(ft_backend *backend, const ft_residual_norm *n)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    FT_FORWARD(ft_cpu_begin(cpu, cpu->kernels->rows_scratch(n->hidden)));
    size_t rows = (size_t)n->rows;
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, rows *(size_t)n->hidden))
    {
        ft_share share = rows_of_thread(rows);
        cpu->kernels->residual_norm_forward(n, (int32_t)share.begin, (int32_t)share.end,
                                            ft_cpu_scratch(cpu, omp_get_thread_num()));
    }
    return FT_OK;
}

ft_status ft_cpu_residual_norm_backward(ft_backend *backend, const ft_residual_norm *n,
                                        const ft_residual_norm_gradient *g)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    size_t rows = (size_t)n->rows;
    FT_FORWARD(begin_backward(cpu, n->hidden));
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, rows *(size_t)n->hidden))
    {
        partial_sums sums = start_sums(cpu, n->hidden);
        ft_share share = rows_of_thread(rows);
        cpu->kernels->residual_norm_backward(n, g, (int32_t)share.begin, (int32_t)share.end,
                                             sums.dgamma, sums.dbeta, sums.scratch);
        finish_sums(cpu, n->hidden, g->accumulate, g->dgamma, g->dbeta);
    }
    return FT_OK;
}
