#include "collator/columns.h"

#include <inttypes.h>
#include <string.h>

#include "common/memory.h"

const char *const ft_token_column_names[FT_TOKEN_COLUMNS] = {
    [FT_INPUT_IDS] = "input_ids",
    [FT_TOKEN_TYPE_IDS] = "token_type_ids",
    [FT_POSITION_IDS] = "position_ids",
    [FT_ATTENTION_MASK] = "attention_mask",
};

const char *const ft_label_column_names[] = {"labels", "label", "label_ids", NULL};

bool ft_is_label_column(const char *name)
{
    for (int i = 0; ft_label_column_names[i] != NULL; i++)
        if (strcmp(name, ft_label_column_names[i]) == 0)
            return true;
    return false;
}

/* Replaces *array by one of `capacity` elements that begins with its first `used`. */
static ft_status grow(void **array, size_t element, int64_t used, int64_t capacity)
{
    void *larger;
    FT_FORWARD(ft_allocate((size_t)capacity * element, &larger));
    if (*array != NULL)
        memcpy(larger, *array, (size_t)used * element);
    ft_release(*array);
    *array = larger;
    return FT_OK;
}

static int64_t larger_capacity(int64_t capacity, int64_t needed)
{
    int64_t doubled = capacity + capacity / 2 + 64;
    return doubled > needed ? doubled : needed;
}

static ft_status reserve_rows(ft_columns *columns, int64_t needed)
{
    int64_t rows = columns->rows, capacity = columns->row_capacity;
    if (needed <= capacity && columns->offsets != NULL)
        return FT_OK;
    capacity = capacity == 0 ? needed : larger_capacity(capacity, needed);
    int64_t offsets_used = columns->offsets != NULL ? rows + 1 : 0;
    FT_FORWARD(grow((void **)&columns->offsets, sizeof(int64_t), offsets_used, capacity + 1));
    if (columns->label_kind == FT_LABEL_CLASS)
        FT_FORWARD(grow((void **)&columns->class_labels, sizeof(int64_t), rows, capacity));
    if (columns->label_kind == FT_LABEL_TARGET)
        FT_FORWARD(grow((void **)&columns->target_labels,
                        (size_t)columns->label_width * sizeof(float), rows, capacity));
    columns->row_capacity = capacity;
    return FT_OK;
}

ft_status ft_columns_reserve(ft_columns *columns, int64_t rows, int64_t tokens)
{
    FT_FORWARD(reserve_rows(columns, columns->rows + rows));
    int64_t used = columns->offsets[columns->rows], capacity = columns->token_capacity;
    if (capacity > 0 && used + tokens <= capacity)
        return FT_OK;
    capacity = capacity == 0 ? tokens + 1 : larger_capacity(capacity, used + tokens);
    for (int c = 0; c < FT_TOKEN_COLUMNS; c++)
        if (columns->has[c])
            FT_FORWARD(grow((void **)&columns->tokens[c], sizeof(int32_t), used, capacity));
    columns->token_capacity = capacity;
    return FT_OK;
}

/* Checks the mask; counts its zeros and the rows that begin with one. */
static ft_status check_mask(const ft_columns *columns, int64_t *zeros, int64_t *first_masked)
{
    *zeros = *first_masked = 0;
    for (int64_t row = 0; row < columns->rows; row++) {
        const int32_t *mask = columns->tokens[FT_ATTENTION_MASK] + columns->offsets[row];
        int64_t length = columns->offsets[row + 1] - columns->offsets[row], ones = 0;
        for (int64_t i = 0; i < length; i++) {
            FT_RETURN_IF(mask[i] != 0 && mask[i] != 1, FT_ERROR_VALUE,
                         "row %" PRId64 " of column 'attention_mask' holds %" PRId32
                         ": it must hold 0 and 1 only",
                         row, mask[i]);
            ones += mask[i];
        }
        FT_RETURN_IF(ones == 0, FT_ERROR_VALUE,
                     "row %" PRId64
                     " of column 'attention_mask' is all 0: it has nothing to attend to",
                     row);
        *zeros += length - ones;
        *first_masked += mask[0] == 0;
    }
    return FT_OK;
}

/* Moves the tokens that are kept together, in place: those whose mask is 1 and the first of each
 * row. Position ids stay what they were before. */
static void drop_masked(ft_columns *columns)
{
    int32_t **tokens = columns->tokens;
    int64_t at = 0, start = 0;
    for (int64_t row = 0; row < columns->rows; row++) {
        int64_t end = columns->offsets[row + 1];
        for (int64_t i = start; i < end; i++) {
            if (tokens[FT_ATTENTION_MASK][i] == 0 && i > start)
                continue;
            for (int c = 0; c < FT_ATTENTION_MASK; c++)
                if (tokens[c] != NULL)
                    tokens[c][at] = tokens[c][i];
            at++;
        }
        if (columns->first_masked != NULL)
            columns->first_masked[row] = tokens[FT_ATTENTION_MASK][start] == 0;
        columns->offsets[row + 1] = at;
        start = end;
    }
}

static ft_status apply_mask(ft_columns *columns)
{
    int64_t zeros, first_masked;
    FT_FORWARD(check_mask(columns, &zeros, &first_masked));
    if (zeros > 0) {
        if (first_masked > 0)
            FT_FORWARD(ft_allocate((size_t)columns->rows, (void **)&columns->first_masked));
        if (columns->tokens[FT_POSITION_IDS] == NULL) {
            int64_t tokens = columns->offsets[columns->rows];
            FT_FORWARD(ft_allocate((size_t)tokens * sizeof(int32_t),
                                   (void **)&columns->tokens[FT_POSITION_IDS]));
            for (int64_t row = 0; row < columns->rows; row++)
                for (int64_t i = columns->offsets[row]; i < columns->offsets[row + 1]; i++)
                    columns->tokens[FT_POSITION_IDS][i] = (int32_t)(i - columns->offsets[row]);
        }
        drop_masked(columns);
    }
    ft_release(columns->tokens[FT_ATTENTION_MASK]);
    columns->tokens[FT_ATTENTION_MASK] = NULL;
    return FT_OK;
}

ft_status ft_columns_finish(ft_columns *columns)
{
    FT_FORWARD(ft_columns_reserve(columns, 0, 0));
    for (int64_t row = 0; row < columns->rows; row++) {
        int64_t length = columns->offsets[row + 1] - columns->offsets[row];
        FT_RETURN_IF(length == 0, FT_ERROR_VALUE,
                     "row %" PRId64 " of column 'input_ids' is empty: it must have a token", row);
        FT_RETURN_IF(length > INT32_MAX, FT_ERROR_VALUE,
                     "row %" PRId64 " of column 'input_ids' has %" PRId64 " tokens: too many", row,
                     length);
    }
    if (columns->tokens[FT_ATTENTION_MASK] != NULL)
        FT_FORWARD(apply_mask(columns));
    return FT_OK;
}

void ft_columns_release(ft_columns *columns)
{
    for (int c = 0; c < FT_TOKEN_COLUMNS; c++)
        ft_release(columns->tokens[c]);
    ft_release(columns->offsets);
    ft_release(columns->first_masked);
    ft_release(columns->class_labels);
    ft_release(columns->target_labels);
    memset(columns, 0, sizeof *columns);
}
