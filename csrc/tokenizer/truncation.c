#include "tokenizer/truncation.h"

void ft_parts_get(const ft_parts *parts, int64_t index, int64_t *begin, int64_t *end)
{
    if (parts->count == 1) {
        *begin = 0;
        *end = parts->tokens;
    } else if (parts->room == 0) { /* nothing, then all that there is */
        *begin = 0;
        *end = index > 0 ? parts->tokens : 0;
    } else {
        int64_t skipped = index * (parts->room - parts->stride);
        int64_t taken =
            parts->room < parts->tokens - skipped ? parts->room : parts->tokens - skipped;
        *begin = parts->left ? parts->tokens - skipped - taken : skipped;
        *end = *begin + taken;
    }
}

static ft_parts whole(int64_t tokens)
{
    return (ft_parts){.count = 1, .tokens = tokens};
}

static ft_status cut(const ft_truncation *truncation, int64_t tokens, int64_t room, ft_parts *out)
{
    if (tokens <= room)
        return FT_OK;
    *out = (ft_parts){2, tokens, room, truncation->stride, truncation->left};
    if (room == 0)
        return FT_OK;
    FT_RETURN_IF(truncation->stride >= room, FT_ERROR_VALUE,
                 "stride=%lld leaves no room for new tokens in the %lld that max_length=%lld gives "
                 "a text",
                 (long long)truncation->stride, (long long)room, (long long)truncation->max_length);
    int64_t step = room - truncation->stride;
    out->count = 1 + (tokens - room + step - 1) / step;
    return FT_OK;
}

ft_status ft_truncation_check(const ft_truncation *truncation, int32_t specials)
{
    int64_t room = truncation->max_length - specials;
    FT_RETURN_IF(truncation->strategy != FT_TRUNCATE_NOT && room >= 0 && room < truncation->stride,
                 FT_ERROR_VALUE,
                 "stride=%lld must be less than what max_length=%lld leaves beside %d special "
                 "tokens",
                 (long long)truncation->stride, (long long)truncation->max_length, (int)specials);
    return FT_OK;
}

/* The rooms of two texts that together must have `room` tokens: the longer is cut down to what the
 * shorter (the first, of equals) leaves, and where that is less than the shorter has, both are cut
 * to a half, of which the shorter gets the smaller. */
static void share(int64_t room, int64_t n1, int64_t n2, int64_t *room1, int64_t *room2)
{
    int64_t shorter = n1 <= n2 ? n1 : n2;
    int64_t longer = room - shorter;
    if (longer < shorter) {
        shorter = room / 2;
        longer = room - shorter;
    }
    *room1 = n1 <= n2 ? shorter : longer;
    *room2 = n1 <= n2 ? longer : shorter;
}

ft_status ft_truncate(const ft_truncation *truncation, int32_t specials, int64_t n1, int64_t n2,
                      ft_parts *first, ft_parts *second)
{
    bool paired = n2 >= 0;
    int64_t room = truncation->max_length - specials;
    int64_t excess = n1 + (paired ? n2 : 0) - room;
    *first = whole(n1);
    *second = whole(paired ? n2 : 0);
    /* A max_length below the number of special tokens does not truncate at all. */
    if (truncation->strategy == FT_TRUNCATE_NOT || room < 0)
        return FT_OK;
    if (room == 0) {
        FT_FORWARD(cut(truncation, n1, 0, first));
        return paired ? cut(truncation, n2, 0, second) : FT_OK;
    }
    if (excess <= 0)
        return FT_OK;
    if (truncation->strategy == FT_TRUNCATE_LONGEST_FIRST) {
        int64_t room1 = room, room2 = 0;
        if (paired)
            share(room, n1, n2, &room1, &room2);
        FT_FORWARD(cut(truncation, n1, room1, first));
        return paired ? cut(truncation, n2, room2, second) : FT_OK;
    }
    bool of_first = truncation->strategy == FT_TRUNCATE_ONLY_FIRST;
    FT_RETURN_IF(!of_first && !paired, FT_ERROR_VALUE,
                 "truncation=\"only_second\": there is no second text to cut to max_length=%lld",
                 (long long)truncation->max_length);
    int64_t tokens = of_first ? n1 : n2;
    FT_RETURN_IF(tokens <= excess, FT_ERROR_VALUE,
                 "truncation=\"%s\": the text to be cut is too short for max_length=%lld; "
                 "truncation=True or \"longest_first\" cuts both",
                 of_first ? "only_first" : "only_second", (long long)truncation->max_length);
    return cut(truncation, tokens, tokens - excess, of_first ? first : second);
}
