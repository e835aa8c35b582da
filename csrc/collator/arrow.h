/* Reads the columns of an Arrow table through the Arrow C data and stream interfaces
 * (https://arrow.apache.org/docs/format/CDataInterface.html), whose structures are declared here:
 * no Arrow library is needed. */
#ifndef FT_COLLATOR_ARROW_H
#define FT_COLLATOR_ARROW_H

#include <stdint.h>

#include "collator/columns.h"
#include "common/status.h"

#ifndef ARROW_C_DATA_INTERFACE
#    define ARROW_C_DATA_INTERFACE

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count; /* -1: not known */
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif

#ifndef ARROW_C_STREAM_INTERFACE
#    define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#endif

/* Reads the table's input_ids, token_type_ids, position_ids, attention_mask (lists of integers) and
 * label, labels or label_ids (integers, floats or lists of floats); other columns are ignored. The
 * rows are those that indices [count] name, in that order, or all where it is NULL. Takes over the
 * stream: it is released when this returns. `out` holds nothing when this fails. */
ft_status ft_columns_read_arrow(struct ArrowArrayStream *stream, const int64_t *indices,
                                int64_t count, ft_columns *out);

#endif
