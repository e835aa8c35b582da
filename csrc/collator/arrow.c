#include "collator/arrow.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

typedef enum field_layout {
    ABSENT = 0,
    SCALAR,
    LIST,       /* 32-bit offsets */
    LARGE_LIST, /* 64-bit offsets */
    FIXED_LIST,
} field_layout;

/* One column that is read. */
typedef struct field {
    const char *name;
    int64_t child; /* which child of the table's struct */
    field_layout layout;
    int64_t list_size; /* of FIXED_LIST */
    char element;      /* Arrow's format character */
} field;

typedef struct reader {
    struct ArrowArrayStream *stream;
    struct ArrowSchema schema;
    struct ArrowArray *chunks; /* [chunk_count] */
    int64_t *starts;           /* [chunk_count + 1]: the first row of each chunk */
    int64_t chunk_count, chunk_capacity;
    field fields[FT_TOKEN_COLUMNS];
    field label;
} reader;

/* The values of one row of one column: `count` elements of `array` from `start` on, the array's
 * own offset included. */
typedef struct span {
    const struct ArrowArray *array;
    int64_t start, count;
} span;

static bool is_integer(char element)
{
    return element != '\0' && strchr("bcCsSiIlL", element) != NULL;
}

static bool is_float(char element)
{
    return element == 'f' || element == 'g';
}

/* The format's character, where it has only one and that is a number or boolean; else '\0'. */
static char element_of(const struct ArrowSchema *schema)
{
    const char *format = schema->format;
    if (schema->dictionary != NULL || format == NULL || format[0] == '\0' || format[1] != '\0')
        return '\0';
    return is_integer(format[0]) || is_float(format[0]) ? format[0] : '\0';
}

static ft_status parse_field(const struct ArrowSchema *schema, int64_t child, field *out)
{
    FT_RETURN_IF(out->layout != ABSENT, FT_ERROR_VALUE, "the columns '%s' and '%s' say the same",
                 out->name, schema->name);
    const char *format = schema->format != NULL ? schema->format : "";
    const struct ArrowSchema *element = schema;
    out->name = schema->name;
    out->child = child;
    if (format[0] != '+') {
        out->layout = SCALAR;
    } else {
        out->layout = strcmp(format, "+l") == 0        ? LIST
                      : strcmp(format, "+L") == 0      ? LARGE_LIST
                      : strncmp(format, "+w:", 3) == 0 ? FIXED_LIST
                                                       : ABSENT;
        FT_RETURN_IF(
            out->layout == ABSENT || schema->dictionary != NULL || schema->n_children != 1 ||
                schema->children == NULL,
            FT_ERROR_TYPE,
            "column '%s' has the Arrow format \"%s\", which is not supported: it must hold "
            "numbers or lists, large lists or fixed-size lists of numbers",
            schema->name, format);
        element = schema->children[0];
        if (out->layout == FIXED_LIST)
            out->list_size = strtoll(format + 3, NULL, 10);
        FT_RETURN_IF(out->list_size < 0 || out->list_size > INT32_MAX, FT_ERROR_VALUE,
                     "column '%s' has lists of a wrong size: \"%s\"", schema->name, format);
    }
    out->element = element_of(element);
    FT_RETURN_IF(element->format != NULL && strcmp(element->format, "n") == 0, FT_ERROR_VALUE,
                 "column '%s' holds nothing but nulls or empty lists", schema->name);
    FT_RETURN_IF(out->element == '\0', FT_ERROR_TYPE,
                 "column '%s' has the Arrow format \"%s\" of \"%s\"%s, which is not supported: it "
                 "must hold integers or 32 or 64-bit floats",
                 schema->name, format, element->format != NULL ? element->format : "",
                 element->dictionary != NULL ? " in a dictionary" : "");
    return FT_OK;
}

/* Finds the columns to read by their names. */
static ft_status parse_schema(reader *r)
{
    const struct ArrowSchema *table = &r->schema;
    FT_RETURN_IF(table->format == NULL || strcmp(table->format, "+s") != 0, FT_ERROR_TYPE,
                 "the Arrow stream must be that of a table, but its format is \"%s\"",
                 table->format != NULL ? table->format : "");
    for (int64_t i = 0; i < table->n_children; i++) {
        const struct ArrowSchema *child = table->children[i];
        if (child->name == NULL)
            continue;
        if (ft_is_label_column(child->name))
            FT_FORWARD(parse_field(child, i, &r->label));
        for (int c = 0; c < FT_TOKEN_COLUMNS; c++) {
            if (strcmp(child->name, ft_token_column_names[c]) != 0)
                continue;
            FT_FORWARD(parse_field(child, i, &r->fields[c]));
            FT_RETURN_IF(r->fields[c].layout == SCALAR || !is_integer(r->fields[c].element),
                         FT_ERROR_TYPE, "column '%s' must hold lists of integers", child->name);
        }
    }
    FT_RETURN_IF(r->fields[FT_INPUT_IDS].layout == ABSENT, FT_ERROR_VALUE,
                 "there is no column 'input_ids'");
    return FT_OK;
}

static ft_status stream_error(reader *r, const char *what)
{
    const char *message = r->stream->get_last_error(r->stream);
    return ft_error(FT_ERROR_RUNTIME, "%s failed: %s", what,
                    message != NULL ? message : "no message was given");
}

static ft_status add_chunk(reader *r, const struct ArrowArray *chunk)
{
    if (r->chunk_count == r->chunk_capacity) {
        int64_t capacity = 2 * r->chunk_capacity + 16;
        void *chunks, *starts;
        FT_FORWARD(ft_allocate((size_t)capacity * sizeof *r->chunks, &chunks));
        if (ft_allocate((size_t)(capacity + 1) * sizeof *r->starts, &starts) != FT_OK) {
            ft_release(chunks);
            return FT_ERROR_MEMORY;
        }
        if (r->chunk_count > 0) {
            memcpy(chunks, r->chunks, (size_t)r->chunk_count * sizeof *r->chunks);
            memcpy(starts, r->starts, (size_t)(r->chunk_count + 1) * sizeof *r->starts);
        }
        ft_release(r->chunks);
        ft_release(r->starts);
        r->chunks = chunks;
        r->starts = starts;
        r->chunk_capacity = capacity;
    }
    r->chunks[r->chunk_count++] = *chunk;
    r->starts[r->chunk_count] = r->starts[r->chunk_count - 1] + chunk->length;
    return FT_OK;
}

static ft_status read_chunks(reader *r)
{
    if (r->stream->get_schema(r->stream, &r->schema) != 0)
        return stream_error(r, "reading the schema of the Arrow stream");
    FT_FORWARD(parse_schema(r));
    for (;;) {
        struct ArrowArray chunk = {0};
        if (r->stream->get_next(r->stream, &chunk) != 0)
            return stream_error(r, "reading the Arrow stream");
        if (chunk.release == NULL)
            return FT_OK;
        ft_status status = FT_OK;
        if (chunk.length < 0 || chunk.offset < 0 || chunk.n_children != r->schema.n_children ||
            chunk.n_buffers < 1 || chunk.buffers == NULL || chunk.children == NULL)
            status = ft_error(FT_ERROR_VALUE, "the Arrow stream holds a malformed record batch");
        else if (chunk.length > 0)
            status = add_chunk(r, &chunk);
        if (status != FT_OK || chunk.length == 0)
            chunk.release(&chunk);
        FT_FORWARD(status);
    }
}

static bool bit(const void *bits, int64_t i)
{
    return ((const uint8_t *)bits)[i / 8] >> (i % 8) & 1;
}

/* Whether any of the `count` elements from `start` on, the array's offset included, is null. */
static bool any_null(const struct ArrowArray *array, int64_t start, int64_t count)
{
    const void *validity = array->buffers[0];
    if (array->null_count == 0 || validity == NULL)
        return false;
    for (int64_t i = start; i < start + count; i++)
        if (!bit(validity, i))
            return true;
    return false;
}

static ft_status malformed(const field *f, int64_t row)
{
    return ft_error(FT_ERROR_VALUE, "the Arrow array of column '%s' is malformed at row %" PRId64,
                    f->name, row);
}

/* The element range of a list: offsets are those of the child's elements, its own offset left out.
 */
static ft_status list_range(const field *f, const struct ArrowArray *array, int64_t at, int64_t row,
                            int64_t *begin, int64_t *end)
{
    if (f->layout == FIXED_LIST) {
        *begin = at * f->list_size;
        *end = *begin + f->list_size;
        return FT_OK;
    }
    if (array->n_buffers < 2 || array->buffers[1] == NULL)
        return malformed(f, row);
    if (f->layout == LIST) {
        const int32_t *offsets = array->buffers[1];
        *begin = offsets[at];
        *end = offsets[at + 1];
    } else {
        const int64_t *offsets = array->buffers[1];
        *begin = offsets[at];
        *end = offsets[at + 1];
    }
    return FT_OK;
}

/* Where the values of one row of a column lie. `at` is the row within its chunk, `row` its number
 * for messages. */
static ft_status locate(const field *f, const struct ArrowArray *chunk, int64_t at, int64_t row,
                        span *out)
{
    const struct ArrowArray *array = chunk->children[f->child];
    at += chunk->offset;
    if (array == NULL || array->n_buffers < 1 || array->buffers == NULL || array->offset < 0 ||
        at >= array->length)
        return malformed(f, row);
    at += array->offset;
    FT_RETURN_IF(any_null(array, at, 1) || any_null(chunk, at - array->offset, 1), FT_ERROR_VALUE,
                 "row %" PRId64 " of column '%s' is null", row, f->name);
    *out = (span){array, at, 1};
    if (f->layout != SCALAR) {
        int64_t begin = 0, end = 0;
        FT_FORWARD(list_range(f, array, at, row, &begin, &end));
        const struct ArrowArray *values = array->n_children == 1 ? array->children[0] : NULL;
        if (values == NULL || values->n_buffers < 1 || values->buffers == NULL ||
            values->offset < 0 || begin < 0 || end < begin || end > values->length)
            return malformed(f, row);
        *out = (span){values, values->offset + begin, end - begin};
        FT_RETURN_IF(any_null(values, out->start, out->count), FT_ERROR_VALUE,
                     "row %" PRId64 " of column '%s' holds a null", row, f->name);
    }
    if (out->count > 0 && (out->array->n_buffers < 2 || out->array->buffers[1] == NULL))
        return malformed(f, row);
    return FT_OK;
}

static int64_t integer_at(const span *s, char element, int64_t i)
{
    const void *data = s->array->buffers[1];
    i += s->start;
    switch (element) {
    case 'b':
        return bit(data, i);
    case 'c':
        return ((const int8_t *)data)[i];
    case 'C':
        return ((const uint8_t *)data)[i];
    case 's':
        return ((const int16_t *)data)[i];
    case 'S':
        return ((const uint16_t *)data)[i];
    case 'i':
        return ((const int32_t *)data)[i];
    case 'I':
        return ((const uint32_t *)data)[i];
    default:
        return ((const int64_t *)data)[i];
    }
}

/* The two types that datasets are stored in are copied by loops of their own. */
static ft_status copy_integers(const field *f, const span *s, int64_t row, int32_t *out)
{
    if (f->element == 'i') {
        if (s->count > 0)
            memcpy(out, (const int32_t *)s->array->buffers[1] + s->start,
                   (size_t)s->count * sizeof(int32_t));
        return FT_OK;
    }
    if (f->element == 'c') {
        const int8_t *values = (const int8_t *)s->array->buffers[1] + s->start;
        for (int64_t i = 0; i < s->count; i++)
            out[i] = values[i];
        return FT_OK;
    }
    for (int64_t i = 0; i < s->count; i++) {
        int64_t value = integer_at(s, f->element, i);
        /* A uint64 beyond int64 reads as negative: beyond 32 bits either way. */
        FT_RETURN_IF(value != (int32_t)value || (f->element == 'L' && value < 0), FT_ERROR_VALUE,
                     "row %" PRId64 " of column '%s' holds a value that does not fit in 32 bits",
                     row, f->name);
        out[i] = (int32_t)value;
    }
    return FT_OK;
}

static float float_at(const span *s, char element, int64_t i)
{
    const void *data = s->array->buffers[1];
    return element == 'f' ? ((const float *)data)[s->start + i]
                          : (float)((const double *)data)[s->start + i];
}

static ft_status read_label(const reader *r, const span *s, int64_t row, ft_columns *out)
{
    const field *f = &r->label;
    if (out->label_kind == FT_LABEL_CLASS) {
        FT_RETURN_IF(s->count != 1, FT_ERROR_VALUE,
                     "row %" PRId64 " of column '%s' holds %" PRId64
                     " integers: a class label is one integer; make multi-label targets floats",
                     row, f->name, s->count);
        out->class_labels[row] = integer_at(s, f->element, 0);
        FT_RETURN_IF(f->element == 'L' && out->class_labels[row] < 0, FT_ERROR_VALUE,
                     "row %" PRId64 " of column '%s' holds a value that does not fit in 64 signed "
                     "bits",
                     row, f->name);
        return FT_OK;
    }
    FT_RETURN_IF(s->count != out->label_width, FT_ERROR_VALUE,
                 "row %" PRId64 " of column '%s' holds %" PRId64
                 " numbers, but row 0 holds %" PRId64,
                 row, f->name, s->count, out->label_width);
    for (int64_t i = 0; i < s->count; i++)
        out->target_labels[row * out->label_width + i] = float_at(s, f->element, i);
    return FT_OK;
}

/* The chunk that a row of the table lies in, and where in it. `hint` is the chunk of the row
 * before. */
static const struct ArrowArray *find_row(const reader *r, int64_t table_row, int64_t *hint,
                                         int64_t *at)
{
    if (table_row < r->starts[*hint] || table_row >= r->starts[*hint + 1]) {
        int64_t low = 0, high = r->chunk_count - 1;
        while (low < high) {
            int64_t middle = (low + high + 1) / 2;
            if (r->starts[middle] <= table_row)
                low = middle;
            else
                high = middle - 1;
        }
        *hint = low;
    }
    *at = table_row - r->starts[*hint];
    return &r->chunks[*hint];
}

static ft_status read_row(const reader *r, const struct ArrowArray *chunk, int64_t at,
                          ft_columns *out)
{
    int64_t row = out->rows;
    span ids, s;
    FT_FORWARD(locate(&r->fields[FT_INPUT_IDS], chunk, at, row, &ids));
    FT_FORWARD(ft_columns_reserve(out, 1, ids.count));
    for (int c = 0; c < FT_TOKEN_COLUMNS; c++) {
        const field *f = &r->fields[c];
        if (f->layout == ABSENT)
            continue;
        s = ids;
        if (c != FT_INPUT_IDS)
            FT_FORWARD(locate(f, chunk, at, row, &s));
        FT_RETURN_IF(s.count != ids.count, FT_ERROR_VALUE,
                     "row %" PRId64 " of column '%s' holds %" PRId64
                     " values, but 'input_ids' holds %" PRId64,
                     row, f->name, s.count, ids.count);
        FT_FORWARD(copy_integers(f, &s, row, ft_columns_tail(out, c)));
    }
    if (out->label_kind != FT_LABEL_NONE) {
        FT_FORWARD(locate(&r->label, chunk, at, row, &s));
        FT_FORWARD(read_label(r, &s, row, out));
    }
    out->offsets[row + 1] = out->offsets[row] + ids.count;
    out->rows++;
    return FT_OK;
}

/* Sets the kind and width of the labels from the schema and the first row. */
static ft_status prepare_label(const reader *r, const struct ArrowArray *chunk, int64_t at,
                               ft_columns *out)
{
    if (r->label.layout == ABSENT)
        return FT_OK;
    out->label_kind = is_integer(r->label.element) ? FT_LABEL_CLASS : FT_LABEL_TARGET;
    if (out->label_kind == FT_LABEL_CLASS)
        return FT_OK;
    span s;
    FT_FORWARD(locate(&r->label, chunk, at, 0, &s));
    FT_RETURN_IF(s.count == 0, FT_ERROR_VALUE, "row 0 of column '%s' is empty", r->label.name);
    out->label_width = s.count;
    return FT_OK;
}

static ft_status read_rows(const reader *r, const int64_t *indices, int64_t count, ft_columns *out)
{
    int64_t total = r->chunk_count > 0 ? r->starts[r->chunk_count] : 0, hint = 0, tokens = 0, at;
    for (int64_t i = 0; indices != NULL && i < count; i++)
        FT_RETURN_IF(indices[i] < 0 || indices[i] >= total, FT_ERROR_INDEX,
                     "index %" PRId64 " is out of range: the table has %" PRId64 " rows",
                     indices[i], total);
    if (indices == NULL)
        count = total;
    for (int c = 0; c < FT_TOKEN_COLUMNS; c++)
        out->has[c] = r->fields[c].layout != ABSENT;

    for (int64_t i = 0; i < count; i++) {
        const struct ArrowArray *chunk = find_row(r, indices ? indices[i] : i, &hint, &at);
        span ids;
        FT_FORWARD(locate(&r->fields[FT_INPUT_IDS], chunk, at, i, &ids));
        tokens += ids.count;
        if (i == 0)
            FT_FORWARD(prepare_label(r, chunk, at, out));
    }
    FT_FORWARD(ft_columns_reserve(out, count, tokens));
    for (int64_t i = 0; i < count; i++) {
        const struct ArrowArray *chunk = find_row(r, indices ? indices[i] : i, &hint, &at);
        FT_FORWARD(read_row(r, chunk, at, out));
    }
    return ft_columns_finish(out);
}

ft_status ft_columns_read_arrow(struct ArrowArrayStream *stream, const int64_t *indices,
                                int64_t count, ft_columns *out)
{
    reader r = {.stream = stream};
    memset(out, 0, sizeof *out);
    ft_status status = read_chunks(&r);
    if (status == FT_OK)
        status = read_rows(&r, indices, count, out);
    if (status != FT_OK)
        ft_columns_release(out);
    for (int64_t i = 0; i < r.chunk_count; i++)
        r.chunks[i].release(&r.chunks[i]);
    ft_release(r.chunks);
    ft_release(r.starts);
    if (r.schema.release != NULL)
        r.schema.release(&r.schema);
    stream->release(stream);
    return status;
}
