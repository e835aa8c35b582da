#include "collator/pack.h"

#include <inttypes.h>
#include <string.h>

#include "common/memory.h"

ft_status ft_batch_create(const ft_batch_shape *shape, ft_batch *out)
{
    memset(out, 0, sizeof *out);
    int64_t sequences = shape->sequences, tokens = shape->tokens, width = shape->label_width;
    FT_RETURN_IF(sequences >= INT32_MAX || tokens > INT32_MAX || width > INT32_MAX, FT_ERROR_VALUE,
                 "a batch of %" PRId64 " sequences and %" PRId64
                 " tokens is too large: each must be below 2**31",
                 sequences, tokens);

    size_t token_bytes = ft_align((size_t)tokens * sizeof(int32_t));
    size_t offset_bytes = ft_align((size_t)(sequences + 1) * sizeof(int32_t));
    size_t start_bytes = shape->has_key_starts ? offset_bytes : 0;
    size_t class_bytes =
        shape->has_class_labels ? ft_align((size_t)sequences * sizeof(int64_t)) : 0;
    size_t target_bytes = ft_align((size_t)sequences * (size_t)width * sizeof(float));
    FT_FORWARD(ft_allocate(
        3 * token_bytes + offset_bytes + start_bytes + class_bytes + target_bytes, &out->memory));

    char *next = out->memory;
    out->sequences = (int32_t)sequences;
    out->tokens = (int32_t)tokens;
    out->label_width = (int32_t)width;
    out->input_ids = (int32_t *)next;
    next += token_bytes;
    out->token_type_ids = (int32_t *)next;
    next += token_bytes;
    out->position_ids = (int32_t *)next;
    next += token_bytes;
    out->cu_seqlens = (int32_t *)next;
    next += offset_bytes;
    if (shape->has_key_starts)
        out->key_starts = (int32_t *)next;
    next += start_bytes;
    if (shape->has_class_labels)
        out->class_labels = (int64_t *)next;
    next += class_bytes;
    if (width > 0)
        out->target_labels = (float *)next;
    return FT_OK;
}

void ft_batch_release(ft_batch *batch)
{
    ft_release(batch->memory);
    memset(batch, 0, sizeof *batch);
}

/* Ends sequence s of a batch that is being filled. */
static void end_sequence(ft_batch *batch, int64_t s, int64_t end, bool first_masked)
{
    int32_t start = batch->cu_seqlens[s], length = (int32_t)end - start;
    batch->cu_seqlens[s + 1] = (int32_t)end;
    if (batch->key_starts != NULL)
        batch->key_starts[s] = start + first_masked;
    if (length > batch->max_length)
        batch->max_length = length;
}

/* How many tokens of a padded batch are kept, and whether the first of some row is masked. */
static ft_status count_kept(const ft_padded *padded, int64_t *kept, bool *any_first_masked)
{
    *any_first_masked = false;
    *kept = padded->rows * padded->length;
    if (padded->attention_mask == NULL)
        return FT_OK;
    *kept = 0;
    for (int64_t row = 0; row < padded->rows; row++) {
        const int64_t *mask = padded->attention_mask + row * padded->length;
        int64_t ones = 0;
        for (int64_t i = 0; i < padded->length; i++) {
            FT_RETURN_IF(mask[i] != 0 && mask[i] != 1, FT_ERROR_VALUE,
                         "attention_mask must hold 0 and 1 only, but row %" PRId64 " holds %" PRId64
                         " in column %" PRId64,
                         row, mask[i], i);
            ones += mask[i];
        }
        FT_RETURN_IF(ones == 0, FT_ERROR_VALUE,
                     "row %" PRId64 " of attention_mask is all 0: it has nothing to attend to",
                     row);
        *kept += ones + (mask[0] == 0);
        *any_first_masked |= mask[0] == 0;
    }
    return FT_OK;
}

static ft_status narrow(const char *name, int64_t row, int64_t value, int32_t *out)
{
    FT_RETURN_IF(value != (int32_t)value, FT_ERROR_VALUE,
                 "row %" PRId64 " of %s holds %" PRId64 ", which does not fit in 32 bits", row,
                 name, value);
    *out = (int32_t)value;
    return FT_OK;
}

/* The arrays are the user's: another thread may write to them. */
static const char CHANGED[] = "attention_mask was changed while the batch was being packed";

static ft_status fill_padded(const ft_padded *padded, ft_batch *batch)
{
    int64_t at = 0;
    for (int64_t row = 0; row < padded->rows; row++) {
        int64_t start = row * padded->length;
        const int64_t *mask = padded->attention_mask ? padded->attention_mask + start : NULL;
        const int64_t *positions = padded->position_ids;
        if (positions != NULL && !padded->one_row_of_positions)
            positions += start;
        for (int64_t i = 0; i < padded->length; i++) {
            if (mask != NULL && mask[i] == 0 && i > 0)
                continue;
            FT_RETURN_IF(at == batch->tokens, FT_ERROR_RUNTIME, "%s", CHANGED);
            FT_FORWARD(
                narrow("input_ids", row, padded->input_ids[start + i], &batch->input_ids[at]));
            if (padded->token_type_ids != NULL)
                FT_FORWARD(narrow("token_type_ids", row, padded->token_type_ids[start + i],
                                  &batch->token_type_ids[at]));
            FT_FORWARD(narrow("position_ids", row, positions != NULL ? positions[i] : i,
                              &batch->position_ids[at]));
            at++;
        }
        end_sequence(batch, row, at, mask != NULL && mask[0] == 0);
    }
    FT_RETURN_IF(at != batch->tokens, FT_ERROR_RUNTIME, "%s", CHANGED);
    if (batch->class_labels != NULL)
        memcpy(batch->class_labels, padded->class_labels, (size_t)padded->rows * sizeof(int64_t));
    if (batch->target_labels != NULL)
        memcpy(batch->target_labels, padded->target_labels,
               (size_t)(padded->rows * padded->label_width) * sizeof(float));
    return FT_OK;
}

ft_status ft_pack_padded(const ft_padded *padded, ft_batch *out)
{
    memset(out, 0, sizeof *out);
    FT_RETURN_IF(padded->rows == 0, FT_ERROR_VALUE, "the batch is empty: it has no rows");
    FT_RETURN_IF(padded->length == 0, FT_ERROR_VALUE, "the rows of the batch are empty");

    ft_batch_shape shape = {.sequences = padded->rows,
                            .label_width = padded->target_labels ? padded->label_width : 0,
                            .has_class_labels = padded->class_labels != NULL};
    FT_FORWARD(count_kept(padded, &shape.tokens, &shape.has_key_starts));
    FT_FORWARD(ft_batch_create(&shape, out));
    ft_status status = fill_padded(padded, out);
    if (status != FT_OK)
        ft_batch_release(out);
    return status;
}

static void fill_rows(const ft_columns *columns, const int64_t *indices, ft_batch *batch)
{
    const int32_t *types = columns->tokens[FT_TOKEN_TYPE_IDS];
    const int32_t *positions = columns->tokens[FT_POSITION_IDS];
    int64_t at = 0;
    for (int64_t s = 0; s < batch->sequences; s++) {
        int64_t row = indices[s], start = columns->offsets[row];
        int64_t length = columns->offsets[row + 1] - start;
        size_t bytes = (size_t)length * sizeof(int32_t);
        memcpy(batch->input_ids + at, columns->tokens[FT_INPUT_IDS] + start, bytes);
        if (types != NULL)
            memcpy(batch->token_type_ids + at, types + start, bytes);
        if (positions != NULL)
            memcpy(batch->position_ids + at, positions + start, bytes);
        else
            for (int64_t i = 0; i < length; i++)
                batch->position_ids[at + i] = (int32_t)i;
        at += length;
        end_sequence(batch, s, at,
                     columns->first_masked != NULL && columns->first_masked[row] != 0);
        if (batch->class_labels != NULL)
            batch->class_labels[s] = columns->class_labels[row];
        for (int64_t i = 0; i < batch->label_width; i++)
            batch->target_labels[s * batch->label_width + i] =
                columns->target_labels[row * batch->label_width + i];
    }
}

ft_status ft_pack_rows(const ft_columns *columns, const int64_t *indices, int64_t count,
                       ft_batch *out)
{
    memset(out, 0, sizeof *out);
    FT_RETURN_IF(count == 0, FT_ERROR_VALUE, "the batch is empty: it has no rows");
    ft_batch_shape shape = {
        .sequences = count,
        .label_width = columns->label_kind == FT_LABEL_TARGET ? columns->label_width : 0,
        .has_class_labels = columns->label_kind == FT_LABEL_CLASS,
        .has_key_starts = columns->first_masked != NULL,
    };
    for (int64_t s = 0; s < count; s++) {
        int64_t row = indices[s];
        FT_RETURN_IF(row < 0 || row >= columns->rows, FT_ERROR_INDEX,
                     "row %" PRId64 " is out of range: there are %" PRId64 " rows", row,
                     columns->rows);
        shape.tokens += columns->offsets[row + 1] - columns->offsets[row];
    }
    FT_FORWARD(ft_batch_create(&shape, out));
    fill_rows(columns, indices, out);
    return FT_OK;
}
