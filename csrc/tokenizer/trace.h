/* From one text to its tokens and where each comes from: the plain way, in whole passes over the
 * text. It defines what the encoder computes by short cuts. */
#ifndef FT_TOKENIZER_TRACE_H
#define FT_TOKENIZER_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tokenizer/normalize.h"
#include "tokenizer/reserve.h"
#include "tokenizer/rules.h"

/* Where a token comes from: characters [start, end) of its text, or of its word where the text was
 * given in words; and the word's number. */
typedef struct ft_origin {
    int32_t start, end, word;
} ft_origin;

/* An added token that has taken white space, or lost some, as it stands in the text. */
typedef struct ft_spaced {
    int64_t token; /* its place among the tokens */
    size_t start, length;
} ft_spaced;

/* Traced tokens. Zero-initialise it; clear it with ft_trace_clear. */
typedef struct ft_trace {
    ft_ids ids;
    ft_origin *origins; /* [ids.count] */
    size_t origins_capacity;
    ft_spaced *spaced; /* [spaced_count], by token */
    size_t spaced_count, spaced_capacity;
    uint8_t *bytes; /* [bytes_count]: of the spaced tokens, end to end */
    size_t bytes_count, bytes_capacity;
    ft_text_buffer text; /* scratch */
    ft_sizes ends;       /* scratch */
} ft_trace;

void ft_trace_clear(ft_trace *trace);

/* Forgets the tokens, and keeps the memory. */
void ft_trace_empty(ft_trace *trace);

/* Adds the tokens of a text, valid UTF-8, without special tokens. Their words are numbered from 0,
 * or are all `word` where that is not negative. */
ft_status ft_trace_text(const ft_rules *rules, bool pass_special, const uint8_t *text,
                        size_t length, int32_t word, ft_trace *out);

/* Adds tokens [begin, end) of another trace. */
ft_status ft_trace_append(ft_trace *out, const ft_trace *trace, int64_t begin, int64_t end);

/* Adds a token that comes from no text: its origin is all zeros, and its word -1. */
ft_status ft_trace_append_special(ft_trace *out, int32_t id);

#endif
