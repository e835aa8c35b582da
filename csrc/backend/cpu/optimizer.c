/* Passes over flat buffers: memory's speed is the limit. */
#include "backend/cpu/cpu.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* Elements that a thread takes at a time: four buffers of them fit a core's second cache. */
enum { CHUNK = 16384 };

/* Sums are over at most this many pieces, the same for any number of threads, added in order. */
enum { PIECES = 256 };

ft_status ft_cpu_dropout(ft_backend *backend, const ft_dropout *d, size_t count, const float *x,
                         float *y)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    if (d->p == 0) {
        if (x != y)
            memcpy(y, x, count * sizeof(float));
        return FT_OK;
    }
    FT_FORWARD(ft_cpu_begin(cpu, 0));
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, count))
    {
        ft_share share = ft_share_of(count, 64, omp_get_thread_num(), omp_get_num_threads());
        cpu->kernels->dropout(d, x, y, share.begin, share.end);
    }
    return FT_OK;
}

ft_status ft_cpu_scale_add(ft_backend *backend, size_t count, float scale, const float *y, float *x)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    FT_FORWARD(ft_cpu_begin(cpu, 0));
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, count))
    {
        ft_share share = ft_share_of(count, 64, omp_get_thread_num(), omp_get_num_threads());
        cpu->kernels->scale_add(scale, y, x, share.begin, share.end);
    }
    return FT_OK;
}

/* The next run [*begin, *stop) of elements in [*begin, end) whose rows matter; false where there is
 * none. */
static inline bool next_run(ft_rows rows, size_t end, size_t *begin, size_t *stop)
{
    if (*begin >= end)
        return false;
    *stop = end;
    if (rows.flags == NULL)
        return true;
    size_t row = *begin / rows.width, rows_end = (end + rows.width - 1) / rows.width;
    while (row < rows_end && !rows.flags[row])
        row++;
    if (row >= rows_end)
        return false;
    size_t first = row * rows.width;
    while (row < rows_end && rows.flags[row])
        row++;
    *begin = first > *begin ? first : *begin;
    *stop = row * rows.width < end ? row * rows.width : end;
    return true;
}

ft_status ft_cpu_sum_of_squares(ft_backend *backend, const float *x, size_t count, ft_rows rows,
                                double *out)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    FT_FORWARD(ft_cpu_begin(cpu, 0));
    double sums[PIECES] = {0};
    size_t piece = (count + PIECES - 1) / PIECES;
    piece = piece < CHUNK ? CHUNK : piece;
    size_t pieces = (count + piece - 1) / piece;
#pragma omp parallel for schedule(dynamic) num_threads(ft_cpu_threads_for(cpu, count))
    for (size_t i = 0; i < pieces; i++) {
        size_t begin = i * piece, end = begin + piece < count ? begin + piece : count, stop;
        for (; next_run(rows, end, &begin, &stop); begin = stop)
            sums[i] += cpu->kernels->sum_of_squares(x, begin, stop);
    }
    double sum = 0;
    for (size_t i = 0; i < pieces; i++)
        sum += sums[i];
    *out = sum;
    return FT_OK;
}

ft_status ft_cpu_adamw(ft_backend *backend, const ft_adamw *a, const ft_adamw_operands *o)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    FT_FORWARD(ft_cpu_begin(cpu, 0));
    if (o->scale && isnan(*o->scale))
        return FT_OK;
    const ft_adamw_factors f = {
        .decay = (float)(1.0 - a->lr * a->weight_decay),
        .beta1_complement = (float)(1.0 - a->beta1),
        .beta2 = (float)a->beta2,
        .beta2_complement = (float)(1.0 - a->beta2),
        .step_size = (float)(a->lr / (1.0 - pow(a->beta1, (double)a->step))),
        .root_scale = (float)(1.0 / sqrt(1.0 - pow(a->beta2, (double)a->step))),
        .eps = (float)a->eps,
        .gradient_scale = o->scale ? *o->scale : 1.0f,
    };
    size_t count = o->count, chunks = (count + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(dynamic, 4) num_threads(ft_cpu_threads_for(cpu, count))
    for (size_t i = 0; i < chunks; i++) {
        size_t begin = i * CHUNK, end = begin + CHUNK < count ? begin + CHUNK : count;
        size_t at = begin, stop;
        for (; next_run(o->rows, end, &at, &stop); at = stop) {
            cpu->kernels->decay(&f, o->parameter, o->shadow, begin, at);
            cpu->kernels->adamw(&f, o->parameter, o->gradient, o->moment1, o->moment2, o->shadow,
                                at, stop);
            begin = stop;
        }
        cpu->kernels->decay(&f, o->parameter, o->shadow, begin, end);
    }
    return FT_OK;
}

/* To bfloat16: the backend takes no other 16-bit precision. */
ft_status ft_cpu_cast(ft_backend *backend, ft_precision precision, size_t count, const float *x,
                      void *y)
{
    (void)precision;
    ft_cpu *cpu = ft_cpu_of(backend);
    FT_FORWARD(ft_cpu_begin(cpu, 0));
#pragma omp parallel num_threads(ft_cpu_threads_for(cpu, count))
    {
        ft_share share = ft_share_of(count, 64, omp_get_thread_num(), omp_get_num_threads());
        cpu->kernels->to_bfloat16(x, y, share.begin, share.end);
    }
    return FT_OK;
}

ft_status ft_cpu_zero_rows(ft_backend *backend, float *x, size_t count, ft_rows rows)
{
    ft_cpu *cpu = ft_cpu_of(backend);
    FT_FORWARD(ft_cpu_begin(cpu, 0));
    size_t chunks = (count + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(dynamic, 4) num_threads(ft_cpu_threads_for(cpu, count))
    for (size_t i = 0; i < chunks; i++) {
        size_t begin = i * CHUNK, end = begin + CHUNK < count ? begin + CHUNK : count, stop;
        for (; next_run(rows, end, &begin, &stop); begin = stop)
            memset(x + begin, 0, (stop - begin) * sizeof *x);
    }
    return FT_OK;
}
