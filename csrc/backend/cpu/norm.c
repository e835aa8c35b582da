#include "backend/cpu/cpu.h"

#include <omp.h>
#include <string.h>

#include "common/memory.h"

/* Backward's sums over rows: each thread has its own pair in its scratch, [dgamma, dbeta], and they
 * are added in the order of the threads. */
static size_t partial_floats(int32_t hidden)
{
    return 2 * ft_align((size_t)hidden * sizeof(float)) / sizeof(float);
}

static void partials_add(const ft_cpu *cpu, int threads, int32_t hidden, bool accumulate,
                         float *dgamma, float *dbeta)
{
    for (int32_t i = 0; i < hidden; i++) {
        float gamma = accumulate ? dgamma[i] : 0, beta = accumulate ? dbeta[i] : 0;
        for (int t = 0; t < threads; t++) {
            const float *partial = ft_cpu_scratch(cpu, t);
            gamma += partial[i];
            beta += partial[partial_floats(hidden) / 2 + (size_t)i];
        }
        dgamma[i] = gamma;
        dbeta[i] = beta;
    }
}

ft_status ft_cpu_embedding_forward(ft_backend *backend, const ft_embedding *e)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    FT_FORWARD(ft_cpu_begin(cpu, cpu->kernels->rows_scratch(e->hidden)));
    size_t rows = (size_t)e->rows;
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, rows *(size_t)e->hidden))
    {
        int thread = omp_get_thread_num();
        ft_share share = ft_share_of(rows, 1, thread, omp_get_num_threads());
        cpu->kernels->embedding_forward(e, (int32_t)share.begin, (int32_t)share.end,
                                        ft_cpu_scratch(cpu, thread));
    }
    return FT_OK;
}

ft_status ft_cpu_embedding_backward(ft_backend *backend, const ft_embedding *e,
                                    const ft_embedding_gradient *g)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    size_t partials = partial_floats(e->hidden), rows = (size_t)e->rows;
    FT_FORWARD(ft_cpu_begin(cpu, partials + cpu->kernels->rows_scratch(e->hidden)));
    int team = 1;
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, rows *(size_t)e->hidden))
    {
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        float *scratch = ft_cpu_scratch(cpu, thread);
        memset(scratch, 0, partials * sizeof *scratch);
        ft_share share = ft_share_of(rows, 1, thread, threads);
        cpu->kernels->embedding_norm_backward(e, g, (int32_t)share.begin, (int32_t)share.end,
                                              scratch, scratch + partials / 2, scratch + partials);
#pragma omp barrier
        /* Every thread adds all the rows, in order, to columns of its own. */
        share = ft_share_of((size_t)e->hidden, 16, thread, threads);
        cpu->kernels->embedding_tables_backward(e, g, (int32_t)share.begin, (int32_t)share.end);
        if (thread == 0)
            team = threads;
    }
    partials_add(cpu, team, e->hidden, g->accumulate, g->dgamma, g->dbeta);
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
        int thread = omp_get_thread_num();
        ft_share share = ft_share_of(rows, 1, thread, omp_get_num_threads());
        cpu->kernels->residual_norm_forward(n, (int32_t)share.begin, (int32_t)share.end,
                                            ft_cpu_scratch(cpu, thread));
    }
    return FT_OK;
}

ft_status ft_cpu_residual_norm_backward(ft_backend *backend, const ft_residual_norm *n,
                                        const ft_residual_norm_gradient *g)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    size_t partials = partial_floats(n->hidden), rows = (size_t)n->rows;
    FT_FORWARD(ft_cpu_begin(cpu, partials + cpu->kernels->rows_scratch(n->hidden)));
    int team = 1;
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, rows *(size_t)n->hidden))
    {
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        float *scratch = ft_cpu_scratch(cpu, thread);
        memset(scratch, 0, partials * sizeof *scratch);
        ft_share share = ft_share_of(rows, 1, thread, threads);
        cpu->kernels->residual_norm_backward(n, g, (int32_t)share.begin, (int32_t)share.end,
                                             scratch, scratch + partials / 2, scratch + partials);
        if (thread == 0)
            team = threads;
    }
    partials_add(cpu, team, n->hidden, g->accumulate, g->dgamma, g->dbeta);
    return FT_OK;
}
