/* The texts of one call of a tokenizer: Python's str, lists and tuples as the core's ft_texts. */
#ifndef FT_PYTHON_TEXTS_H
#define FT_PYTHON_TEXTS_H

#include "python/text.h"

typedef struct ft_python_texts {
    /* What keeps the bytes alive: tuples all through, so that nobody can change them meanwhile. A
     * single text is what it was. The second may be NULL. */
    PyObject *kept[2];
    Py_ssize_t rows;
    ft_texts sides[2];
    ft_text *texts[2]; /* what the sides point to; released with PyMem_Free unless `inlined` */
    int64_t *words[2];
    ft_text inlined[2]; /* of a row of its own */
} ft_python_texts;

/* Reads rows of texts: `first` holds one a row, as `second` does unless that is None, and where it
 * is None a row may be a pair of texts. A text is a str, or a list or tuple of words where
 * `split_words`. Without `is_batch` first and second are one row's texts. Returns -1 with an
 * exception set on failure; clear the texts in any case. */
int ft_python_texts_read(ft_python_texts *texts, PyObject *first, PyObject *second, int is_batch,
                         int split_words);

void ft_python_texts_clear(ft_python_texts *texts);

#endif
