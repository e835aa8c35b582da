/* The vocabulary in a tokenizer.json: the object {"token": id, ...} at model.vocab. It is most of
 * the file. The rest is left to others: what this reader passes over it does not check. */
#ifndef FT_TOKENIZER_VOCABULARY_JSON_H
#define FT_TOKENIZER_VOCABULARY_JSON_H

#include "tokenizer/vocabulary.h"

/* Where in the text the vocabulary is: [start, stop), from its { past its }. Both are 0 where there
 * is none, or where the text around it is malformed in a way that hides it. */
typedef struct ft_json_span {
    size_t start, stop;
} ft_json_span;

/* Reads model.vocab of a JSON text. Of equal keys the last counts. FT_ERROR_VALUE where model.vocab
 * is malformed, or an id is not a whole number from 0 to 2^31 - 1, or a token is no valid UTF-8.
 * The text is valid JSON if this succeeds and the text with null for the span is. The vocabulary is
 * zero-initialised, and is cleared by the caller in any case. */
ft_status ft_vocabulary_read_json(ft_vocabulary *vocabulary, const uint8_t *text, size_t length,
                                  ft_json_span *span);

#endif
