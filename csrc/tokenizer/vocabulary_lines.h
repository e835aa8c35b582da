/* A vocabulary of one token a line, such as vocab.txt: the first line's id is 0. */
#ifndef FT_TOKENIZER_VOCABULARY_LINES_H
#define FT_TOKENIZER_VOCABULARY_LINES_H

#include "tokenizer/vocabulary.h"

/* Reads text whose lines end with "\n", but for the last, which may do without. `trim`: takes the
 * white space off each line's end, as the Hugging Face library does. Of equal lines the last
 * counts. FT_ERROR_VALUE where the text is not valid UTF-8. The vocabulary is zero-initialised, and
 * is cleared by the caller in any case. It shares the text, which must outlive it. */
ft_status ft_vocabulary_read_lines(ft_vocabulary *vocabulary, const uint8_t *text, size_t length,
                                   bool trim);

#endif
