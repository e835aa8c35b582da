#include "backend/profile.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct profile {
    ft_backend base;
    ft_backend_operations operations; /* base.operations; its name is inner's */
    ft_backend *inner;
    ft_profile_entry *entries;
    size_t count, capacity;
} profile;

typedef struct shape {
    int32_t rows, in, out;
} shape;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static ft_status new_entry(profile *p, ft_profile_entry entry, ft_profile_entry **out)
{
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 64;
        ft_profile_entry *larger = realloc(p->entries, capacity * sizeof *larger);
        FT_RETURN_IF(larger == NULL, FT_ERROR_MEMORY, "cannot allocate %zu profile entries",
                     capacity);
        p->entries = larger;
        p->capacity = capacity;
    }
    *out = &p->entries[p->count++];
    **out = entry;
    return FT_OK;
}

static ft_status add(profile *p, const char *operation, shape s, double seconds)
{
    ft_profile_entry *e = p->entries, *end = e + p->count;
    while (e < end && (strcmp(e->operation, operation) || e->rows != s.rows || e->in != s.in ||
                       e->out != s.out))
        e++;
    if (e == end)
        FT_FORWARD(new_entry(p, (ft_profile_entry){operation, s.rows, s.in, s.out, 0, 0}, &e));
    e->calls++;
    e->seconds += seconds;
    return FT_OK;
}

static ft_backend *inner(ft_backend *backend)
{
    return ((profile *)backend)->inner;
}

/* One operation: its parameters behind the backend, and the same as arguments. */
#define UNPACK(...) __VA_ARGS__
#define TIMED(operation, shape, parameters, arguments)                                             \
    static ft_status timed_##operation(ft_backend *backend, UNPACK parameters)                     \
    {                                                                                              \
        double start = now();                                                                      \
        FT_FORWARD(inner(backend)->operations->operation(inner(backend), UNPACK arguments));       \
        return add((profile *)backend, #operation, shape, now() - start);                          \
    }

#define NO_SHAPE ((shape){0})
#define SHAPE_OF(l) ((shape){(l)->rows, (l)->in, (l)->out})

TIMED(upload, NO_SHAPE, (void *to, const void *from, size_t bytes), (to, from, bytes))
TIMED(download, NO_SHAPE, (void *to, const void *from, size_t bytes), (to, from, bytes))
TIMED(zero, NO_SHAPE, (void *memory, size_t bytes), (memory, bytes))
TIMED(copy, NO_SHAPE, (void *to, const void *from, size_t bytes), (to, from, bytes))
TIMED(padded_lengths, NO_SHAPE, (const ft_padded_arrays *p, int32_t *lengths), (p, lengths))
TIMED(pack, NO_SHAPE, (const ft_padded_arrays *p, const ft_packed_arrays *to), (p, to))
TIMED(embedding_forward, NO_SHAPE, (const ft_embedding *e), (e))
TIMED(embedding_backward, NO_SHAPE, (const ft_embedding *e, const ft_embedding_gradient *g), (e, g))
TIMED(linear_forward, SHAPE_OF(l), (const ft_linear *l), (l))
TIMED(linear_backward, SHAPE_OF(g), (const ft_linear_gradient *g), (g))
TIMED(attention_forward, NO_SHAPE, (const ft_attention *a), (a))
TIMED(attention_backward, NO_SHAPE, (const ft_attention *a, const ft_attention_gradient *g), (a, g))
TIMED(residual_norm_forward, NO_SHAPE, (const ft_residual_norm *n), (n))
TIMED(residual_norm_backward, NO_SHAPE,
      (const ft_residual_norm *n, const ft_residual_norm_gradient *g), (n, g))
TIMED(first_rows_gather, NO_SHAPE,
      (const ft_layout *l, ft_precision precision, int32_t hidden, const void *x, void *first),
      (l, precision, hidden, x, first))
TIMED(first_rows_scatter, NO_SHAPE,
      (const ft_layout *l, int32_t hidden, const float *dfirst, float *dx), (l, hidden, dfirst, dx))
TIMED(dropout, NO_SHAPE, (const ft_dropout *d, size_t count, const float *x, float *y),
      (d, count, x, y))
TIMED(loss, NO_SHAPE, (const ft_loss *l), (l))
TIMED(scale_add, NO_SHAPE, (size_t count, float scale, const float *y, float *x),
      (count, scale, y, x))
TIMED(scale_by, NO_SHAPE, (size_t count, const float *scale, const float *y, float *x),
      (count, scale, y, x))
TIMED(sum_of_squares, NO_SHAPE, (const float *x, size_t count, ft_rows rows, double *out),
      (x, count, rows, out))
TIMED(clip, NO_SHAPE,
      (const double *squares, int32_t count, float loss_scale, float max_norm, float *out),
      (squares, count, loss_scale, max_norm, out))
TIMED(adamw, NO_SHAPE, (const ft_adamw *a, const ft_adamw_operands *o), (a, o))
TIMED(cast, NO_SHAPE, (ft_precision precision, size_t count, const float *x, void *y),
      (precision, count, x, y))
TIMED(zero_rows, NO_SHAPE, (float *x, size_t count, ft_rows rows), (x, count, rows))
TIMED(add_flags, NO_SHAPE, (size_t count, const uint8_t *from, uint8_t *to), (count, from, to))

static ft_status profile_check_precision(ft_backend *backend, ft_precision precision)
{
    return inner(backend)->operations->check_precision(inner(backend), precision);
}

static ft_status profile_check_tf32(ft_backend *backend)
{
    return inner(backend)->operations->check_tf32(inner(backend));
}

static int profile_threads(const ft_backend *backend)
{
    const ft_backend *to = ((const profile *)backend)->inner;
    return to->operations->threads(to);
}

static ft_status profile_set_threads(ft_backend *backend, int threads)
{
    return inner(backend)->operations->set_threads(inner(backend), threads);
}

static ft_status timed_synchronize(ft_backend *backend)
{
    double start = now();
    FT_FORWARD(inner(backend)->operations->synchronize(inner(backend)));
    return add((profile *)backend, "synchronize", NO_SHAPE, now() - start);
}

static ft_status profile_submit(ft_backend *backend)
{
    return inner(backend)->operations->submit(inner(backend));
}

static ft_status profile_follow(ft_backend *backend, void *stream)
{
    return inner(backend)->operations->follow(inner(backend), stream);
}

static ft_status profile_lead(ft_backend *backend, void *stream)
{
    return inner(backend)->operations->lead(inner(backend), stream);
}

static int32_t profile_bucket(const ft_backend *backend, int32_t tokens)
{
    const ft_backend *to = ((const profile *)backend)->inner;
    return to->operations->bucket(to, tokens);
}

static size_t profile_attention_state(const ft_backend *backend, const ft_attention *a)
{
    const ft_backend *to = ((const profile *)backend)->inner;
    return to->operations->attention_state(to, a);
}

static ft_status profile_allocate(ft_backend *backend, size_t bytes, void **out)
{
    return inner(backend)->operations->allocate(inner(backend), bytes, out);
}

static void profile_release(ft_backend *backend, void *memory)
{
    inner(backend)->operations->release(inner(backend), memory);
}

static void profile_destroy(ft_backend *backend)
{
    inner(backend)->operations->destroy(inner(backend));
    free(((profile *)backend)->entries);
    free(backend);
}

static const ft_backend_operations timed_operations = {
    .destroy = profile_destroy,
    .check_precision = profile_check_precision,
    .check_tf32 = profile_check_tf32,
    .threads = profile_threads,
    .set_threads = profile_set_threads,
    .submit = profile_submit,
    .synchronize = timed_synchronize,
    .bucket = profile_bucket,
    .attention_state = profile_attention_state,
    .allocate = profile_allocate,
    .release = profile_release,
    .upload = timed_upload,
    .download = timed_download,
    .zero = timed_zero,
    .copy = timed_copy,
    .follow = profile_follow,
    .lead = profile_lead,
    .padded_lengths = timed_padded_lengths,
    .pack = timed_pack,
    .embedding_forward = timed_embedding_forward,
    .embedding_backward = timed_embedding_backward,
    .linear_forward = timed_linear_forward,
    .linear_backward = timed_linear_backward,
    .attention_forward = timed_attention_forward,
    .attention_backward = timed_attention_backward,
    .residual_norm_forward = timed_residual_norm_forward,
    .residual_norm_backward = timed_residual_norm_backward,
    .first_rows_gather = timed_first_rows_gather,
    .first_rows_scatter = timed_first_rows_scatter,
    .dropout = timed_dropout,
    .loss = timed_loss,
    .scale_add = timed_scale_add,
    .scale_by = timed_scale_by,
    .sum_of_squares = timed_sum_of_squares,
    .clip = timed_clip,
    .adamw = timed_adamw,
    .cast = timed_cast,
    .zero_rows = timed_zero_rows,
    .add_flags = timed_add_flags,
};

/* An operation that is new in the table needs a line above. */
_Static_assert(sizeof(ft_backend_operations) == 41 * sizeof(void *), "all operations are here");

ft_status ft_backend_profile_create(ft_backend *inner, ft_backend **out)
{
    profile *p = calloc(1, sizeof *p);
    if (p == NULL) {
        inner->operations->destroy(inner);
        *out = NULL;
        return ft_error(FT_ERROR_MEMORY, "cannot allocate a profile");
    }
    p->operations = timed_operations;
    p->operations.name = inner->operations->name;
    p->operations.host_memory = inner->operations->host_memory;
    p->base.operations = &p->operations;
    p->base.device = inner->device;
    p->inner = inner;
    *out = &p->base;
    return FT_OK;
}

const ft_profile_entry *ft_backend_profile_entries(const ft_backend *backend, size_t *count)
{
    const profile *p = (const profile *)backend;
    *count = p->count;
    return p->entries;
}
