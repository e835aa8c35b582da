/* The object of _core.Vocabulary. */
#ifndef FT_PYTHON_VOCABULARY_H
#define FT_PYTHON_VOCABULARY_H

#include "python/module.h"
#include "tokenizer/vocabulary.h"

typedef struct ft_vocabulary_object {
    PyObject_HEAD ft_vocabulary vocabulary;
} ft_vocabulary_object;

#endif
