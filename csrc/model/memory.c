/* The arenas as seen from outside: read, written, copied to another model. Which rows of the word
 * embedding have a gradient or moments is found again wherever those may have been written. */
#include <stdlib.h>
#include <string.h>

#include "model/state.h"

static float *arena_of(const ft_model *m, ft_arena arena)
{
    float *const arenas[] = {
        [FT_PARAMETERS] = m->parameters,
        [FT_GRADIENTS] = m->gradients,
        [FT_MOMENTS1] = m->moment1,
        [FT_MOMENTS2] = m->moment2,
    };
    return arenas[arena];
}

static ft_status need_arena(ft_model *m, ft_arena arena)
{
    float *first, *second;
    if (arena == FT_GRADIENTS)
        return ft_model_gradients(m, &first);
    if (arena != FT_PARAMETERS)
        return ft_model_moments(m, &first, &second);
    return FT_OK;
}

/* Flags each of `count` rows in host memory that is not all zero. */
static void flag_host_rows(const float *rows, size_t count, size_t width, uint8_t *flags)
{
    for (size_t r = 0; r < count; r++, rows += width)
        for (size_t i = 0; i < width && !flags[r]; i++)
            flags[r] = rows[i] != 0;
}

/* Flags each row of a table like the word embedding, in the backend's memory, that is not all
 * zero. */
static ft_status flag_rows(ft_model *m, const float *table, uint8_t *flags)
{
    const ft_backend_operations *op = m->backend->operations;
    size_t rows = m->config.vocab_size, width = m->config.hidden_size;
    if (op->host_memory) {
        flag_host_rows(table, rows, width, flags);
        return FT_OK;
    }
    enum { PIECE = 1 << 20 }; /* floats that are fetched at a time */
    size_t piece = width < PIECE ? PIECE / width : 1;
    float *host = malloc(piece * width * sizeof *host);
    FT_RETURN_IF(host == NULL, FT_ERROR_MEMORY, "cannot allocate a piece of the word embedding");
    ft_status status = FT_OK;
    for (size_t r = 0; r < rows && status == FT_OK; r += piece) {
        size_t count = rows - r < piece ? rows - r : piece;
        status = op->download(m->backend, host, table + r * width, count * width * sizeof(float));
        if (status == FT_OK)
            flag_host_rows(host, count, width, flags + r);
    }
    free(host);
    return status;
}

ft_status ft_model_moments_changed(ft_model *m)
{
    /* Rows are only added: those of a gradient that waits for its update must stay, and one too
     * many is harmless. */
    if (m->moment1 == NULL)
        return FT_OK;
    m->any_rows_written = true;
    FT_FORWARD(flag_rows(m, m->moment1, m->rows_written));
    return flag_rows(m, m->moment2, m->rows_written);
}

void ft_model_share_word_gradient(ft_model *m)
{
    m->word_gradient_shared = true;
}

/* The flags in the backend's memory, and those of `flags`. */
static ft_status add_host_flags(ft_model *m, uint8_t *memory, uint8_t *flags)
{
    const ft_backend_operations *op = m->backend->operations;
    size_t rows = m->config.vocab_size;
    uint8_t *before = malloc(rows);
    FT_RETURN_IF(before == NULL, FT_ERROR_MEMORY, "cannot allocate the row flags");
    ft_status status = op->download(m->backend, before, memory, rows);
    for (size_t r = 0; r < rows && status == FT_OK; r++)
        flags[r] |= before[r];
    free(before);
    return status == FT_OK ? op->upload(m->backend, memory, flags, rows) : status;
}

ft_status ft_model_refresh_active_rows(ft_model *m)
{
    size_t rows = m->config.vocab_size;
    if (m->word_gradient_shared) {
        FT_FORWARD(flag_rows(m, m->g.word, m->rows_written));
        m->any_rows_written = true;
    }
    if (m->any_rows_written) {
        FT_FORWARD(add_host_flags(m, m->active_rows, m->rows_written));
        memset(m->rows_written, 0, rows);
        m->any_rows_written = false;
    }
    return m->backend->operations->add_flags(m->backend, rows, m->touched_rows, m->active_rows);
}

ft_status ft_model_read(ft_model *m, ft_arena arena, int32_t parameter, float *values)
{
    FT_FORWARD(need_arena(m, arena));
    const ft_parameter *p = &m->table.entries[parameter];
    return m->backend->operations->download(m->backend, values, arena_of(m, arena) + p->offset,
                                            p->count * sizeof(float));
}

/* Notes that the word embedding's gradient is now `values`: no other rows are to be cleared. */
static ft_status word_gradient_written(ft_model *m, const float *values)
{
    uint8_t *rows = calloc(m->config.vocab_size, 1);
    FT_RETURN_IF(rows == NULL, FT_ERROR_MEMORY, "cannot allocate the row flags");
    flag_host_rows(values, m->config.vocab_size, m->config.hidden_size, rows);
    ft_status status =
        m->backend->operations->upload(m->backend, m->touched_rows, rows, m->config.vocab_size);
    free(rows);
    return status;
}

static ft_status write(ft_model *m, ft_arena arena, int32_t parameter, const float *values)
{
    FT_FORWARD(need_arena(m, arena));
    const ft_parameter *p = &m->table.entries[parameter];
    FT_FORWARD(m->backend->operations->upload(m->backend, arena_of(m, arena) + p->offset, values,
                                              p->count * sizeof(float)));
    if (arena == FT_PARAMETERS)
        m->shadow_stale = true;
    if (parameter == 0 && arena == FT_GRADIENTS)
        return word_gradient_written(m, values);
    if (parameter == 0 && arena != FT_PARAMETERS) {
        flag_host_rows(values, m->config.vocab_size, m->config.hidden_size, m->rows_written);
        m->any_rows_written = true;
    }
    return FT_OK;
}

ft_status ft_model_write(ft_model *m, ft_arena arena, int32_t parameter, const float *values)
{
    FT_FORWARD(write(m, arena, parameter, values));
    return m->backend->operations->submit(m->backend);
}

ft_status ft_model_zero_moments(ft_model *m, int32_t parameter)
{
    if (m->moment1 == NULL)
        return FT_OK;
    const ft_backend_operations *op = m->backend->operations;
    const ft_parameter *p = &m->table.entries[parameter];
    FT_FORWARD(op->zero(m->backend, m->moment1 + p->offset, p->count * sizeof(float)));
    FT_FORWARD(op->zero(m->backend, m->moment2 + p->offset, p->count * sizeof(float)));
    return op->submit(m->backend);
}

static ft_status copy_arena(ft_model *m, ft_model *from, ft_arena arena, float *buffer)
{
    for (int32_t i = 0; i < m->table.count; i++) {
        const float *values = buffer;
        if (from->backend->operations->host_memory)
            values = arena_of(from, arena) + from->table.entries[i].offset;
        else
            FT_FORWARD(ft_model_read(from, arena, i, buffer));
        FT_FORWARD(write(m, arena, i, values));
    }
    return FT_OK;
}

static ft_status copy_arenas(ft_model *m, ft_model *from, float *buffer)
{
    FT_FORWARD(copy_arena(m, from, FT_PARAMETERS, buffer));
    if (from->accumulated)
        FT_FORWARD(copy_arena(m, from, FT_GRADIENTS, buffer));
    m->accumulated = from->accumulated;
    if (from->moment1) {
        FT_FORWARD(copy_arena(m, from, FT_MOMENTS1, buffer));
        FT_FORWARD(copy_arena(m, from, FT_MOMENTS2, buffer));
    }
    FT_FORWARD(ft_model_move_results(m, from));
    return m->backend->operations->submit(m->backend);
}

static bool same_table(const ft_parameter_table *a, const ft_parameter_table *b)
{
    if (a->count != b->count || a->elements != b->elements)
        return false;
    for (int32_t i = 0; i < a->count; i++)
        if (a->entries[i].count != b->entries[i].count)
            return false;
    return true;
}

ft_status ft_model_copy_state(ft_model *m, ft_model *from)
{
    FT_RETURN_IF(!same_table(&m->table, &from->table), FT_ERROR_VALUE,
                 "the other model is of another configuration");
    FT_FORWARD(ft_model_set_precision(m, from->precision));
    m->problem = from->problem;
    size_t largest = 0;
    for (int32_t i = 0; i < m->table.count; i++)
        if (m->table.entries[i].count > largest)
            largest = m->table.entries[i].count;
    float *buffer = NULL;
    if (!from->backend->operations->host_memory) {
        buffer = malloc(largest * sizeof *buffer);
        FT_RETURN_IF(buffer == NULL, FT_ERROR_MEMORY, "cannot allocate room for a parameter");
    }
    ft_status status = copy_arenas(m, from, buffer);
    free(buffer);
    return status;
}
