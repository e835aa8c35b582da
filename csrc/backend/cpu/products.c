#include "backend/cpu/products.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>

#include "backend/precision.h"
#include "common/memory.h"

/* What one primitive does: a product, or its columns [0, columns) alone. */
typedef struct piece {
    ft_product product;
    int32_t columns;
} piece;

/* A primitive with the memory objects that it is run with; their data is set at each run. */
typedef struct primitive {
    piece piece;
    dnnl_primitive_t run;
    dnnl_memory_t a, b, bias, c, scratchpad;
} primitive;

/* Batches vary in their bucket of rows only, so the shapes are few. Should they not be, all are
 * dropped at this many and made again as needed. */
enum { CAPACITY = 1024, SLOTS = 2 * CAPACITY };

struct ft_products {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    void *scratchpad; /* shared: one product runs at a time */
    size_t scratchpad_bytes;
    int count;
    primitive *slots[SLOTS]; /* open addressing */
};

static const char *status_name(dnnl_status_t status)
{
    switch (status) {
    case dnnl_out_of_memory:
        return "out of memory";
    case dnnl_invalid_arguments:
        return "invalid arguments";
    case dnnl_unimplemented:
        return "unimplemented";
    default:
        return "runtime error";
    }
}

static ft_status failure(dnnl_status_t status, const char *operation, const ft_product *p)
{
    return ft_error(status == dnnl_out_of_memory ? FT_ERROR_MEMORY : FT_ERROR_RUNTIME,
                    "%s: oneDNN failed on the product [%d, %d] x [%d, %d]: %s", operation, p->m,
                    p->k, p->k, p->n, status_name(status));
}

static void primitive_release(primitive *p)
{
    if (p == NULL)
        return;
    dnnl_memory_t memories[] = {p->a, p->b, p->bias, p->c, p->scratchpad};
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
        if (memories[i])
            dnnl_memory_destroy(memories[i]);
    if (p->run)
        dnnl_primitive_destroy(p->run);
    free(p);
}

void ft_products_drop(ft_products *products)
{
    for (int i = 0; i < SLOTS; i++) {
        primitive_release(products->slots[i]);
        products->slots[i] = NULL;
    }
    products->count = 0;
}

ft_status ft_products_create(ft_products **out)
{
    ft_products *p = *out = calloc(1, sizeof *p);
    FT_RETURN_IF(p == NULL, FT_ERROR_MEMORY, "cannot allocate the cache of products");
    if (dnnl_engine_create(&p->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags) != dnnl_success) {
        ft_products_destroy(p);
        *out = NULL;
        return ft_error(FT_ERROR_RUNTIME, "oneDNN has no CPU engine on this machine");
    }
    return FT_OK;
}

bool ft_products_have_bfloat16(void)
{
    const int needed = dnnl_cpu_isa_avx512_core_bf16;
    return ((int)dnnl_get_effective_cpu_isa() & needed) == needed;
}

void ft_products_destroy(ft_products *p)
{
    if (p == NULL)
        return;
    ft_products_drop(p);
    if (p->stream)
        dnnl_stream_destroy(p->stream);
    if (p->engine)
        dnnl_engine_destroy(p->engine);
    ft_release(p->scratchpad);
    free(p);
}

/* A matrix [rows, columns]: rows `stride` apart, or where transposed columns. */
static dnnl_status_t describe(ft_precision precision, int64_t rows, int64_t columns,
                              bool transposed, int64_t stride, dnnl_memory_desc_t *out)
{
    const dnnl_dims_t dims = {rows, columns};
    const dnnl_dims_t strides = {transposed ? 1 : stride, transposed ? stride : 1};
    dnnl_data_type_t type = precision == FT_BFLOAT16 ? dnnl_bf16 : dnnl_f32;
    return dnnl_memory_desc_create_with_strides(out, 2, dims, type, strides);
}

#define DNNL_FORWARD(call)                                                                         \
    do {                                                                                           \
        dnnl_status_t dnnl_forwarded_ = (call);                                                    \
        if (dnnl_forwarded_ != dnnl_success)                                                       \
            return dnnl_forwarded_;                                                                \
    } while (0)

/* What exists only while a primitive is made. */
typedef struct makings {
    dnnl_memory_desc_t a, b, bias, c;
    dnnl_post_ops_t post_ops;
    dnnl_primitive_attr_t attributes;
    dnnl_primitive_desc_t description;
} makings;

static dnnl_status_t describe_piece(ft_products *products, const piece *which, makings *m)
{
    const ft_product *p = &which->product;
    int32_t columns = which->columns;
    DNNL_FORWARD(
        describe(p->precision, p->m, p->k, p->a_transposed, p->a_transposed ? p->m : p->k, &m->a));
    DNNL_FORWARD(describe(p->precision, p->k, columns, p->b_transposed,
                          p->b_transposed ? p->k : p->n, &m->b));
    DNNL_FORWARD(describe(p->c_precision, p->m, columns, false, p->n, &m->c));
    if (p->has_bias)
        DNNL_FORWARD(describe(FT_FLOAT32, 1, columns, false, columns, &m->bias));
    DNNL_FORWARD(dnnl_primitive_attr_create(&m->attributes));
    DNNL_FORWARD(dnnl_primitive_attr_set_scratchpad_mode(m->attributes, dnnl_scratchpad_mode_user));
    if (p->add) {
        DNNL_FORWARD(dnnl_post_ops_create(&m->post_ops));
        DNNL_FORWARD(dnnl_post_ops_append_sum(m->post_ops, 1.0f, 0, dnnl_f32));
        DNNL_FORWARD(dnnl_primitive_attr_set_post_ops(m->attributes, m->post_ops));
    }
    return dnnl_matmul_primitive_desc_create(&m->description, products->engine, m->a, m->b, m->bias,
                                             m->c, m->attributes);
}

static dnnl_status_t create_memories(ft_products *products, const makings *m, primitive *out)
{
    const_dnnl_memory_desc_t scratchpad =
        dnnl_primitive_desc_query_md(m->description, dnnl_query_scratchpad_md, 0);
    dnnl_engine_t engine = products->engine;
    DNNL_FORWARD(dnnl_memory_create(&out->a, m->a, engine, DNNL_MEMORY_NONE));
    DNNL_FORWARD(dnnl_memory_create(&out->b, m->b, engine, DNNL_MEMORY_NONE));
    DNNL_FORWARD(dnnl_memory_create(&out->c, m->c, engine, DNNL_MEMORY_NONE));
    if (m->bias)
        DNNL_FORWARD(dnnl_memory_create(&out->bias, m->bias, engine, DNNL_MEMORY_NONE));
    DNNL_FORWARD(dnnl_memory_create(&out->scratchpad, scratchpad, engine, DNNL_MEMORY_NONE));
    size_t bytes = dnnl_memory_desc_get_size(scratchpad);
    if (bytes > products->scratchpad_bytes) {
        void *larger;
        if (ft_allocate(bytes, &larger) != FT_OK)
            return dnnl_out_of_memory;
        ft_release(products->scratchpad);
        products->scratchpad = larger;
        products->scratchpad_bytes = bytes;
    }
    return dnnl_success;
}

static void makings_release(makings *m)
{
    dnnl_memory_desc_t descriptions[] = {m->a, m->b, m->bias, m->c};
    for (size_t i = 0; i < sizeof descriptions / sizeof *descriptions; i++)
        if (descriptions[i])
            dnnl_memory_desc_destroy(descriptions[i]);
    if (m->post_ops)
        dnnl_post_ops_destroy(m->post_ops);
    if (m->attributes)
        dnnl_primitive_attr_destroy(m->attributes);
    if (m->description)
        dnnl_primitive_desc_destroy(m->description);
}

static dnnl_status_t primitive_create(ft_products *products, const piece *which, primitive **out)
{
    primitive *made = *out = calloc(1, sizeof *made);
    if (made == NULL)
        return dnnl_out_of_memory;
    makings m = {0};
    made->piece = *which;
    dnnl_status_t status = describe_piece(products, which, &m);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&made->run, m.description);
    if (status == dnnl_success)
        status = create_memories(products, &m, made);
    makings_release(&m);
    if (status != dnnl_success) {
        primitive_release(made);
        *out = NULL;
    }
    return status;
}

typedef struct creation {
    ft_products *products;
    const piece *which;
    primitive **out;
    int threads; /* that it is to run on: OpenMP's number is each thread's own */
    dnnl_status_t status;
} creation;

static void *create_in_thread(void *argument)
{
    creation *c = argument;
    omp_set_num_threads(c->threads);
    c->status = primitive_create(c->products, c->which, c->out);
    return NULL;
}

/* A thread on which oneDNN once ran out of memory never makes a primitive again, although memory
 * may be there by now: so it is tried once more on a thread of its own. */
static dnnl_status_t primitive_create_again(ft_products *products, const piece *which,
                                            primitive **out)
{
    creation c = {products, which, out, omp_get_max_threads(), dnnl_out_of_memory};
    pthread_t thread;
    if (pthread_create(&thread, NULL, create_in_thread, &c) == 0)
        pthread_join(thread, NULL);
    return c.status;
}

static bool same(const piece *x, const piece *y)
{
    const ft_product *a = &x->product, *b = &y->product;
    return x->columns == y->columns && a->m == b->m && a->n == b->n && a->k == b->k &&
           a->precision == b->precision && a->c_precision == b->c_precision &&
           a->a_transposed == b->a_transposed && a->b_transposed == b->b_transposed &&
           a->has_bias == b->has_bias && a->add == b->add;
}

static uint32_t hash(const piece *which)
{
    const ft_product *p = &which->product;
    const uint32_t values[] = {
        (uint32_t)p->m,
        (uint32_t)p->n,
        (uint32_t)p->k,
        (uint32_t)which->columns,
        (uint32_t)(p->a_transposed | p->b_transposed << 1 | p->has_bias << 2 | p->add << 3 |
                   p->precision << 4 | p->c_precision << 6),
    };
    uint32_t h = 0;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        h = (h ^ values[i]) * 0x9E3779B1u;
    return h >> 8;
}

static dnnl_status_t find(ft_products *products, const piece *which, primitive **out)
{
    if (products->count == CAPACITY)
        ft_products_drop(products);
    uint32_t slot = hash(which) % SLOTS;
    while (products->slots[slot] != NULL && !same(&products->slots[slot]->piece, which))
        slot = (slot + 1) % SLOTS;
    if (products->slots[slot] == NULL) {
        dnnl_status_t status = primitive_create(products, which, &products->slots[slot]);
        if (status == dnnl_out_of_memory)
            status = primitive_create_again(products, which, &products->slots[slot]);
        DNNL_FORWARD(status);
        products->count++;
    }
    *out = products->slots[slot];
    return dnnl_success;
}

/* oneDNN takes pointers to what it only reads without const. */
static dnnl_status_t execute(ft_products *products, const primitive *p, const void *a,
                             const void *b, const float *bias, void *c)
{
    DNNL_FORWARD(dnnl_memory_set_data_handle(p->a, (void *)a));
    DNNL_FORWARD(dnnl_memory_set_data_handle(p->b, (void *)b));
    DNNL_FORWARD(dnnl_memory_set_data_handle(p->c, c));
    DNNL_FORWARD(dnnl_memory_set_data_handle(p->scratchpad, products->scratchpad));
    dnnl_exec_arg_t arguments[5] = {
        {DNNL_ARG_SRC, p->a},
        {DNNL_ARG_WEIGHTS, p->b},
        {DNNL_ARG_DST, p->c},
        {DNNL_ARG_SCRATCHPAD, p->scratchpad},
    };
    int count = 4;
    if (p->bias) {
        DNNL_FORWARD(dnnl_memory_set_data_handle(p->bias, (void *)bias));
        arguments[count++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, p->bias};
    }
    return dnnl_primitive_execute(p->run, products->stream, count, arguments);
}

/* How many of c's columns to do at a time. Where both operands are stored plainly (the gradient of
 * a product's input), oneDNN's float32 kernel is slower over all of them than over a few hundred:
 * by a fifth at [rows, 3072] x [3072, 768]. Measured on AVX-512 with oneDNN 3.2. */
static int32_t columns_at_a_time(const ft_product *p)
{
    enum { LEAST = 192, MOST = 768, WHOLE_VECTORS = 64 };
    if (p->precision != FT_FLOAT32 || p->a_transposed || p->b_transposed || p->has_bias)
        return p->n;
    int32_t half = (p->n / 2 + WHOLE_VECTORS - 1) / WHOLE_VECTORS * WHOLE_VECTORS;
    return half < LEAST ? LEAST : half > MOST ? MOST : half;
}

static dnnl_status_t run(ft_products *products, const ft_product *p, const void *a, const void *b,
                         const float *bias, void *c)
{
    size_t b_element = ft_precision_bytes(p->precision);
    size_t c_element = ft_precision_bytes(p->c_precision);
    int32_t most = columns_at_a_time(p);
    for (int32_t from = 0; from < p->n; from += most) {
        piece which = {*p, p->n - from < most ? p->n - from : most};
        primitive *found;
        DNNL_FORWARD(find(products, &which, &found));
        DNNL_FORWARD(execute(products, found, a, (const char *)b + (size_t)from * b_element, bias,
                             (char *)c + (size_t)from * c_element));
    }
    return dnnl_stream_wait(products->stream);
}

ft_status ft_products_run(ft_products *products, const char *operation, ft_product product,
                          const void *a, const void *b, const float *bias, void *c)
{
    dnnl_status_t status = run(products, &product, a, b, bias, c);
    return status == dnnl_success ? FT_OK : failure(status, operation, &product);
}
