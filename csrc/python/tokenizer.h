/* What tokenizer.c, encode_options.c and encoding.c share: the objects of _core.Tokenizer,
 * _core.EncodeOptions and _core.Encoding. */
#ifndef FT_PYTHON_TOKENIZER_H
#define FT_PYTHON_TOKENIZER_H

#include "python/module.h"
#include "python/texts.h"
#include "tokenizer/rows.h"
#include "tokenizer/tokenizer.h"

typedef struct ft_tokenizer_object {
    PyObject_HEAD ft_tokenizer *tokenizer;
    PyObject *vocabulary; /* keeps what the tokenizer shares */
    PyObject **numbers;   /* [number_count]: the Python int of each id; both NULL until wanted */
    Py_ssize_t number_count;
} ft_tokenizer_object;

typedef enum ft_padding_kind {
    FT_PAD_NOT,
    FT_PAD_TO_LONGEST,
    FT_PAD_TO_LENGTH,
} ft_padding_kind;

typedef struct ft_encode_options_object {
    PyObject_HEAD ft_encode_options encode;
    int split_words; /* texts are lists of words */
    ft_padding_kind padding;
    int64_t pad_length, pad_multiple;
    ft_padding pad; /* its length is the call's */
    int arrays;     /* columns are int64 arrays where the rows allow it */
    int column_count;
    ft_column columns[FT_COLUMNS];
    PyObject *names[FT_COLUMNS];
} ft_encode_options_object;

/* The length that rows shorter than it are padded to; 0 for none. */
int64_t ft_python_padded_length(const ft_encode_options_object *options, int64_t longest);

typedef struct ft_encoding_object {
    PyObject_HEAD ft_tokenizer_object *owner;
    ft_encode_options_object *options;
    PyObject
        *texts[2]; /* what was encoded, to trace it when that is wanted; the second may be NULL */
    int is_batch;
    ft_encoding encoding;
    int64_t longest, shortest; /* rows */
    int64_t length;            /* that rows are padded to, or 0 */
} ft_encoding_object;

/* Encodes texts to a new _core.Encoding; NULL on error. */
PyObject *ft_python_encode(ft_tokenizer_object *owner, ft_encode_options_object *options,
                           PyObject *texts, PyObject *pairs, int is_batch, int trace);

/* A method that takes keyword arguments, as a table of methods wants it. */
#define FT_METHOD(function) ((PyCFunction)(void (*)(void))(function))

#endif
