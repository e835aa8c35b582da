#include "backend/cpu/products.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>

#include "common/memory.h"

/* A primitive with the memory objects that it is run with; their data is set at each run. */
typedef struct primitive {
    ft_product product;
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

/* A matrix [rows, columns], stored row by row, or column by column where transposed. */
static dnnl_status_t describe(int64_t rows, int64_t columns, bool transposed,
                              dnnl_memory_desc_t *out)
{
    const dnnl_dims_t dims = {rows, columns};
    const dnnl_dims_t strides = {transposed ? 1 : columns, transposed ? rows : 1};
    return dnnl_memory_desc_create_with_strides(out, 2, dims, dnnl_f32, strides);
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

static dnnl_status_t describe_product(ft_products *products, const ft_product *p, makings *m)
{
    DNNL_FORWARD(describe(p->m, p->k, p->a_transposed, &m->a));
    DNNL_FORWARD(describe(p->k, p->n, p->b_transposed, &m->b));
    DNNL_FORWARD(describe(p->m, p->n, false, &m->c));
    if (p->has_bias)
        DNNL_FORWARD(describe(1, p->n, false, &m->bias));
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

static dnnl_status_t primitive_create(ft_products *products, const ft_product *p, primitive **out)
{
    primitive *made = *out = calloc(1, sizeof *made);
    if (made == NULL)
        return dnnl_out_of_memory;
    makings m = {0};
    made->product = *p;
    dnnl_status_t status = describe_product(products, p, &m);
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
    const ft_product *product;
    primitive **out;
    dnnl_status_t status;
} creation;

static void *create_in_thread(void *argument)
{
    creation *c = argument;
    c->status = primitive_create(c->products, c->product, c->out);
    return NULL;
}

/* A thread on which oneDNN once ran out of memory never makes a primitive again, although memory
 * may be there by now: so it is tried once more on a thread of its own. */
static dnnl_status_t primitive_create_again(ft_products *products, const ft_product *p,
                                            primitive **out)
{
    creation c = {products, p, out, dnnl_out_of_memory};
    pthread_t thread;
    if (pthread_create(&thread, NULL, create_in_thread, &c) == 0)
        pthread_join(thread, NULL);
    return c.status;
}

static bool same(const ft_product *a, const ft_product *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && a->a_transposed == b->a_transposed &&
           a->b_transposed == b->b_transposed && a->has_bias == b->has_bias && a->add == b->add;
}

static uint32_t hash(const ft_product *p)
{
    uint32_t h = (uint32_t)p->m * 0x9E3779B1u;
    h = (h ^ (uint32_t)p->n) * 0x85EBCA77u;
    h = (h ^ (uint32_t)p->k) * 0xC2B2AE3Du;
    h ^= (uint32_t)(p->a_transposed | p->b_transposed << 1 | p->has_bias << 2 | p->add << 3);
    return (h * 0x27D4EB2Fu) >> 8;
}

static dnnl_status_t find(ft_products *products, const ft_product *p, primitive **out)
{
    if (products->count == CAPACITY)
        ft_products_drop(products);
    uint32_t slot = hash(p) % SLOTS;
    while (products->slots[slot] != NULL && !same(&products->slots[slot]->product, p))
        slot = (slot + 1) % SLOTS;
    if (products->slots[slot] == NULL) {
        dnnl_status_t status = primitive_create(products, p, &products->slots[slot]);
        if (status == dnnl_out_of_memory)
            status = primitive_create_again(products, p, &products->slots[slot]);
        DNNL_FORWARD(status);
        products->count++;
    }
    *out = products->slots[slot];
    return dnnl_success;
}

/* oneDNN takes pointers to what it only reads without const. */
static dnnl_status_t execute(ft_products *products, const primitive *p, const float *a,
                             const float *b, const float *bias, float *c)
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

/* oneDNN's two ways to a product, as measured on AVX-512: its BLAS-like sgemm is up to a tenth
 * faster where b is stored plainly (both products of a backward pass) and adds to c for nothing, a
 * primitive where b is transposed or there is a bias. On other processors sgemm is plain loops. */
static bool suits_sgemm(const ft_product *p)
{
#if defined(__x86_64__)
    return !p->b_transposed && !p->has_bias;
#else
    (void)p;
    return false;
#endif
}

static dnnl_status_t run_primitive(ft_products *products, const ft_product *product, const float *a,
                                   const float *b, const float *bias, float *c)
{
    primitive *p;
    DNNL_FORWARD(find(products, product, &p));
    DNNL_FORWARD(execute(products, p, a, b, bias, c));
    return dnnl_stream_wait(products->stream);
}

ft_status ft_products_run(ft_products *products, const char *operation, ft_product product,
                          const float *a, const float *b, const float *bias, float *c)
{
    const ft_product *p = &product;
    dnnl_status_t status;
    if (suits_sgemm(p))
        status = dnnl_sgemm(p->a_transposed ? 'T' : 'N', 'N', p->m, p->n, p->k, 1.0f, a,
                            p->a_transposed ? p->m : p->k, b, p->n, p->add ? 1.0f : 0.0f, c, p->n);
    else
        status = run_primitive(products, p, a, b, bias, c);
    return status == dnnl_success ? FT_OK : failure(status, operation, p);
}
