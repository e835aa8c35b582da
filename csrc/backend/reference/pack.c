/* A padded batch packed where it lies: the checks and the order are those of collator/pack.c. */
#include "backend/reference/reference.h"
#include "common/batch.h"

static const void *at(const ft_array *a, int32_t row, int32_t column)
{
    return (const char *)a->data + row * a->row_stride + column * a->column_stride;
}

static int64_t integer_at(const ft_array *a, int32_t row, int32_t column)
{
    const void *x = at(a, row, column);
    switch (a->type) {
    case FT_NUMBER_INT64:
        return *(const int64_t *)x;
    case FT_NUMBER_INT32:
        return *(const int32_t *)x;
    case FT_NUMBER_UINT8:
        return *(const uint8_t *)x;
    default:
        return *(const uint8_t *)x != 0;
    }
}

static float float_at(const ft_array *a, int32_t row, int32_t column)
{
    const void *x = at(a, row, column);
    if (a->type == FT_NUMBER_FLOAT32)
        return *(const float *)x;
    return a->type == FT_NUMBER_FLOAT64 ? (float)*(const double *)x
                                        : (float)integer_at(a, row, column);
}

static bool within(int64_t value, int32_t limit)
{
    return value >= 0 && value < limit;
}

static int64_t mask_at(const ft_padded_arrays *p, int32_t row, int32_t column)
{
    return p->attention_mask.data ? integer_at(&p->attention_mask, row, column) : 1;
}

static int64_t type_at(const ft_padded_arrays *p, int32_t row, int32_t column)
{
    return p->token_type_ids.data ? integer_at(&p->token_type_ids, row, column) : 0;
}

static int64_t position_at(const ft_padded_arrays *p, int32_t row, int32_t column)
{
    return p->position_ids.data ? integer_at(&p->position_ids, row, column) : column;
}

static bool label_is_wrong(const ft_padded_arrays *p, int32_t row)
{
    if (p->labels.data == NULL || !p->class_labels)
        return false;
    int64_t label = integer_at(&p->labels, row, 0);
    return label != FT_IGNORE_LABEL && !within(label, p->classes);
}

static int32_t padded_length(const ft_padded_arrays *p, int32_t row)
{
    int32_t kept = 0, ones = 0;
    bool wrong = label_is_wrong(p, row);
    for (int32_t i = 0; i < p->length; i++) {
        int64_t mask = mask_at(p, row, i);
        wrong |= !within(mask, 2) || !within(type_at(p, row, i), p->types);
        ones += mask != 0;
        if (mask == 0 && i > 0)
            continue;
        wrong |= !within(integer_at(&p->input_ids, row, i), p->vocabulary);
        wrong |= !within(position_at(p, row, i), p->positions);
        kept++;
    }
    if (wrong || ones == 0)
        return 0;
    return mask_at(p, row, 0) == 0 ? -kept : kept;
}

ft_status ft_reference_padded_lengths(ft_backend *backend, const ft_padded_arrays *p,
                                      int32_t *lengths)
{
    (void)backend;
    for (int32_t row = 0; row < p->rows; row++)
        lengths[row] = padded_length(p, row);
    return FT_OK;
}

static int32_t checked(int64_t value, int32_t limit)
{
    return within(value, limit) ? (int32_t)value : 0;
}

static void pack_tokens(const ft_padded_arrays *p, int32_t row, const ft_packed_arrays *to)
{
    int32_t at = to->cu_seqlens[row], end = to->cu_seqlens[row + 1];
    for (int32_t i = 0; i < p->length && at < end; i++) {
        if (mask_at(p, row, i) == 0 && i > 0)
            continue;
        to->input_ids[at] = checked(integer_at(&p->input_ids, row, i), p->vocabulary);
        to->token_type_ids[at] = checked(type_at(p, row, i), p->types);
        to->position_ids[at] = checked(position_at(p, row, i), p->positions);
        at++;
    }
    for (; at < end; at++)
        to->input_ids[at] = to->token_type_ids[at] = to->position_ids[at] = 0;
}

static void pack_labels(const ft_padded_arrays *p, int32_t row, const ft_packed_arrays *to)
{
    if (p->labels.data == NULL)
        return;
    if (p->class_labels)
        to->class_labels[row] =
            label_is_wrong(p, row) ? FT_IGNORE_LABEL : integer_at(&p->labels, row, 0);
    else
        for (int32_t i = 0; i < p->label_width; i++)
            to->target_labels[(size_t)row * p->label_width + i] = float_at(&p->labels, row, i);
}

ft_status ft_reference_pack(ft_backend *backend, const ft_padded_arrays *p,
                            const ft_packed_arrays *to)
{
    (void)backend;
    for (int32_t row = 0; row < p->rows; row++) {
        pack_tokens(p, row, to);
        pack_labels(p, row, to);
    }
    return FT_OK;
}
