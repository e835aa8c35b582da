#include "backend/cpu/limits.h"

#include <omp.h>

#include "backend/cpu/cpu.h"
#include "backend/precision.h"
#include "common/memory.h"

/* A number in [-0.1, 0.1) that depends on i, as bfloat16. Arithmetic on zeros could be faster. */
static uint32_t bits_of(size_t i)
{
    return ft_to_bfloat16(0.1f * (float)((int32_t)((uint32_t)i * 2654435761u) * 0x1p-31));
}

/* Numbers that are small both as float32 and, taken by halves, as bfloat16. */
static void fill(void *memory, size_t bytes, int threads)
{
    uint32_t *words = memory;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t i = 0; i < bytes / sizeof *words; i++)
        words[i] = bits_of(2 * i + 1) << 16 | bits_of(2 * i);
}

static ft_status reserve(ft_backend *backend, size_t bytes, void **out)
{
    return ft_error_within(backend->operations->allocate(backend, bytes, out),
                           "what the measurement needs does not fit in memory");
}

/* ---- products ---- */

typedef struct operands {
    void *x, *y, *weight;
    float *dweight;
} operands;

/* Carves an arena into operands; with arena NULL says only how many bytes it needs. *dx is shared:
 * a step too writes gradients of activations over and over into the same memory. */
static size_t lay_out(char *arena, ft_precision precision, const ft_limit_product *products,
                      size_t count, operands *out, void **dx)
{
    size_t at = 0, largest = 0, element = ft_precision_bytes(precision);
    for (size_t i = 0; i < count; i++) {
        size_t rows = (size_t)products[i].rows;
        size_t in = (size_t)products[i].in, width = (size_t)products[i].out;
        size_t x = ft_align(rows * in * element), y = ft_align(rows * width * element);
        size_t weight = ft_align(width * in * element);
        if (arena != NULL)
            out[i] = (operands){arena + at, arena + at + x, arena + at + x + y,
                                (float *)(arena + at + x + y + weight)};
        at += x + y + weight + ft_align(width * in * sizeof(float));
        largest = x > largest ? x : largest;
    }
    if (arena != NULL)
        *dx = arena + at;
    return at + largest;
}

static ft_status forward(ft_cpu *cpu, ft_precision precision, const ft_limit_product *l,
                         const operands *o)
{
    ft_product xw = {.precision = precision,
                     .c_precision = precision,
                     .m = l->rows,
                     .n = l->out,
                     .k = l->in,
                     .b_transposed = true};
    return ft_cpu_product(cpu, "limit", xw, o->x, o->weight, NULL, o->y);
}

static ft_status backward(ft_cpu *cpu, ft_precision precision, const ft_limit_product *l,
                          const operands *o, void *dx)
{
    ft_product dyw = {
        .precision = precision, .c_precision = precision, .m = l->rows, .n = l->in, .k = l->out};
    FT_FORWARD(ft_cpu_product(cpu, "limit", dyw, o->y, o->weight, NULL, dx));
    ft_product dyx = {
        .precision = precision, .m = l->out, .n = l->in, .k = l->rows, .a_transposed = true};
    return ft_cpu_product(cpu, "limit", dyx, o->y, o->x, NULL, o->dweight);
}

static ft_status pass(ft_cpu *cpu, ft_precision precision, const ft_limit_product *products,
                      size_t count, const operands *o, void *dx)
{
    for (size_t i = 0; i < count; i++)
        FT_FORWARD(forward(cpu, precision, &products[i], &o[i]));
    for (size_t i = count; i-- > 0;)
        FT_FORWARD(backward(cpu, precision, &products[i], &o[i], dx));
    return FT_OK;
}

static ft_status measure_products(ft_cpu *cpu, ft_precision precision,
                                  const ft_limit_product *products, size_t count, int passes,
                                  operands *o, double *seconds)
{
    void *arena, *dx = NULL;
    size_t bytes = lay_out(NULL, precision, products, count, NULL, NULL);
    FT_FORWARD(reserve(&cpu->base, bytes, &arena));
    fill(arena, bytes, cpu->threads);
    lay_out(arena, precision, products, count, o, &dx);
    ft_status status = FT_OK;
    for (int i = -1; i < passes && status == FT_OK; i++) {
        double start = omp_get_wtime();
        status = pass(cpu, precision, products, count, o, dx);
        if (i >= 0)
            seconds[i] = omp_get_wtime() - start;
    }
    ft_release(arena);
    return status;
}

/* A backend that may compute now in this precision: for its threads and its products. */
static ft_status prepare(int threads, ft_precision precision, ft_backend **out)
{
    FT_FORWARD(ft_backend_create("cpu", threads, out));
    ft_status status = (*out)->operations->check_precision(*out, precision);
    if (status == FT_OK)
        status = ft_cpu_begin(ft_cpu_of(*out), 0);
    if (status != FT_OK)
        (*out)->operations->destroy(*out);
    return status;
}

ft_status ft_limit_products_measure(int threads, ft_precision precision,
                                    const ft_limit_product *products, size_t count, int passes,
                                    double *seconds)
{
    ft_backend *backend;
    void *o;
    FT_FORWARD(prepare(threads, precision, &backend));
    ft_status status = ft_allocate(count * sizeof(operands), &o);
    if (status == FT_OK) {
        status =
            measure_products(ft_cpu_of(backend), precision, products, count, passes, o, seconds);
        ft_release(o);
    }
    backend->operations->destroy(backend);
    return status;
}

/* ---- memory ---- */

static void stream(size_t count, float *p, const float *g, float *m, float *v, int threads)
{
#pragma omp parallel for simd schedule(static) num_threads(threads)
    for (size_t i = 0; i < count; i++) {
        m[i] = 0.5f * m[i] + g[i];
        v[i] = 0.5f * v[i] + g[i] * g[i];
        p[i] = p[i] - 0.001f * m[i];
    }
}

static ft_status measure_stream(ft_cpu *cpu, size_t elements, int passes, double *seconds)
{
    size_t each = ft_align(elements * sizeof(float)) / sizeof(float);
    void *memory;
    FT_FORWARD(reserve(&cpu->base, 4 * each * sizeof(float), &memory));
    float *p = memory, *g = p + each, *m = g + each, *v = m + each;
    fill(p, 4 * each * sizeof(float), cpu->threads);
    for (int i = -1; i < passes; i++) {
        double start = omp_get_wtime();
        stream(elements, p, g, m, v, cpu->threads);
        if (i >= 0)
            seconds[i] = omp_get_wtime() - start;
    }
    ft_release(memory);
    return FT_OK;
}

ft_status ft_limit_stream_measure(int threads, size_t elements, int passes, double *seconds)
{
    ft_backend *backend;
    FT_FORWARD(prepare(threads, FT_FLOAT32, &backend));
    ft_status status = measure_stream(ft_cpu_of(backend), elements, passes, seconds);
    backend->operations->destroy(backend);
    return status;
}
