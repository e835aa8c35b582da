/* What the methods of _core.Backend share. Each checks its operands, makes its results and calls
 * one operation of the backend's table. */
#ifndef FT_PYTHON_OPERATIONS_H
#define FT_PYTHON_OPERATIONS_H

#include <pthread.h>

#include "python/operands.h"

typedef struct ft_backend_object {
    PyObject_HEAD ft_backend *backend;
    pthread_mutex_t busy; /* a backend does one operation at a time */
} ft_backend_object;

/* Runs a call of the table without the GIL. -1 with an exception where it fails. */
#define RUN(self, operation, ...)                                                                  \
    __extension__({                                                                                \
        ft_status run_;                                                                            \
        Py_BEGIN_ALLOW_THREADS                                                                     \
        pthread_mutex_lock(&(self)->busy);                                                         \
        run_ = (self)->backend->operations->operation((self)->backend, __VA_ARGS__);               \
        pthread_mutex_unlock(&(self)->busy);                                                       \
        Py_END_ALLOW_THREADS                                                                       \
        if (run_ != FT_OK)                                                                         \
            ft_python_raise(run_);                                                                 \
        run_ == FT_OK ? 0 : -1;                                                                    \
    })

/* Stops a method at the first of its steps that fails; its `results` are let go of. */
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            goto error;                                                                            \
    } while (0)

#define PARSE(format, ...)                                                                         \
    PyArg_ParseTupleAndKeywords(args, kwargs, format, (char **)names, __VA_ARGS__)

/* Operands and results of a precision, of float32 and of int32. */
#define OPERAND(precision, object, name, ...)                                                      \
    ft_operand(object, name, ft_operand_type(precision), FT_SHAPE(__VA_ARGS__))
#define F32(object, name, ...) OPERAND(FT_FLOAT32, object, name, __VA_ARGS__)
#define I32(object, name, ...) ft_operand(object, name, NPY_INT32, FT_SHAPE(__VA_ARGS__))
#define NEW(precision, ...)                                                                        \
    ft_results_add(&results, ft_operand_type(precision), FT_SHAPE(__VA_ARGS__))
#define NEW_F32(...) NEW(FT_FLOAT32, __VA_ARGS__)
#define COPY(precision, object, name, ...)                                                         \
    ft_results_add_copy(&results, object, name, ft_operand_type(precision), FT_SHAPE(__VA_ARGS__))
#define COPY_F32(object, name, ...) COPY(FT_FLOAT32, object, name, __VA_ARGS__)

/* 0 where the backend takes operands of this precision; -1 with an exception. */
int ft_operations_take(ft_backend_object *self, ft_precision precision);

/* The precision of a method's main operand, which is that of the others; -1 with an exception where
 * it has another type or the backend does not take it. */
int ft_operations_precision(ft_backend_object *self, PyObject *object, const char *name,
                            ft_precision *out);

#define FT_OPERATIONS_METHOD(name)                                                                 \
    PyObject *ft_operations_##name(ft_backend_object *self, PyObject *args, PyObject *kwargs)

/* operations_layers.c */
FT_OPERATIONS_METHOD(embedding_forward);
FT_OPERATIONS_METHOD(embedding_backward);
FT_OPERATIONS_METHOD(linear_forward);
FT_OPERATIONS_METHOD(linear_backward);
FT_OPERATIONS_METHOD(attention_forward);
FT_OPERATIONS_METHOD(attention_backward);
FT_OPERATIONS_METHOD(residual_norm_forward);
FT_OPERATIONS_METHOD(residual_norm_backward);
FT_OPERATIONS_METHOD(first_rows_gather);
FT_OPERATIONS_METHOD(first_rows_scatter);

/* operations_passes.c */
FT_OPERATIONS_METHOD(dropout);
FT_OPERATIONS_METHOD(loss);
FT_OPERATIONS_METHOD(scale_add);
FT_OPERATIONS_METHOD(sum_of_squares);
FT_OPERATIONS_METHOD(clip);
FT_OPERATIONS_METHOD(adamw);
FT_OPERATIONS_METHOD(cast);
FT_OPERATIONS_METHOD(zero_rows);

#endif
