/* What the methods of _core.Backend share. Each checks its operands, makes its results and calls
 * one operation of the backend's table. */
#ifndef FT_PYTHON_OPERATIONS_H
#define FT_PYTHON_OPERATIONS_H

#include "python/call.h"

/* In a method, whose call is `call`. */
#define RUN(operation, ...) FT_CALL_RUN(call, operation, __VA_ARGS__)

/* Stops a method at the first of its steps that fails. */
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return NULL;                                                                           \
    } while (0)

#define PARSE(format, ...)                                                                         \
    PyArg_ParseTupleAndKeywords(args, kwargs, format, (char **)names, __VA_ARGS__)

/* Operands and results of a precision, of float32 and of int32; CHECK looks, and no more. */
#define CHECK(precision, object, name, ...)                                                        \
    ft_operand(object, name, ft_operand_type(precision), FT_SHAPE(__VA_ARGS__))
#define OPERAND(precision, object, name, ...)                                                      \
    ft_call_operand(call, object, name, ft_operand_type(precision), FT_SHAPE(__VA_ARGS__))
#define F32(object, name, ...) OPERAND(FT_FLOAT32, object, name, __VA_ARGS__)
#define I32(object, name, ...) ft_call_operand(call, object, name, NPY_INT32, FT_SHAPE(__VA_ARGS__))
#define NEW(precision, ...) ft_call_add(call, ft_operand_type(precision), FT_SHAPE(__VA_ARGS__))
#define NEW_F32(...) NEW(FT_FLOAT32, __VA_ARGS__)
#define COPY(precision, object, name, ...)                                                         \
    ft_call_add_copy(call, object, name, ft_operand_type(precision), FT_SHAPE(__VA_ARGS__))
#define COPY_F32(object, name, ...) COPY(FT_FLOAT32, object, name, __VA_ARGS__)

/* 0 where the backend takes operands of this precision; -1 with an exception. */
int ft_operations_take(ft_backend_object *self, ft_precision precision);

/* The precision of a method's main operand, which is that of the others; -1 with an exception where
 * it has another type or the backend does not take it. */
int ft_operations_precision(ft_backend_object *self, PyObject *object, const char *name,
                            ft_precision *out);

#define FT_OPERATIONS_DECLARE(name)                                                                \
    PyObject *ft_operations_##name(ft_backend_object *self, PyObject *args, PyObject *kwargs)

/* Defines the method: what follows is the body of its call. */
#define FT_OPERATIONS_METHOD(name)                                                                 \
    static PyObject *name##_call(ft_call *call, PyObject *args, PyObject *kwargs);                 \
    FT_OPERATIONS_DECLARE(name)                                                                    \
    {                                                                                              \
        return ft_call_method(self, args, kwargs, name##_call);                                    \
    }                                                                                              \
    static PyObject *name##_call(ft_call *call, PyObject *args, PyObject *kwargs)

/* operations_layers.c */
FT_OPERATIONS_DECLARE(embedding_forward);
FT_OPERATIONS_DECLARE(embedding_backward);
FT_OPERATIONS_DECLARE(linear_forward);
FT_OPERATIONS_DECLARE(linear_backward);
FT_OPERATIONS_DECLARE(attention_forward);
FT_OPERATIONS_DECLARE(attention_backward);
FT_OPERATIONS_DECLARE(residual_norm_forward);
FT_OPERATIONS_DECLARE(residual_norm_backward);
FT_OPERATIONS_DECLARE(first_rows_gather);
FT_OPERATIONS_DECLARE(first_rows_scatter);

/* operations_pack.c */
FT_OPERATIONS_DECLARE(padded_lengths);
FT_OPERATIONS_DECLARE(pack);

/* operations_passes.c */
FT_OPERATIONS_DECLARE(dropout);
FT_OPERATIONS_DECLARE(loss);
FT_OPERATIONS_DECLARE(scale_add);
FT_OPERATIONS_DECLARE(scale_by);
FT_OPERATIONS_DECLARE(sum_of_squares);
FT_OPERATIONS_DECLARE(clip);
FT_OPERATIONS_DECLARE(adamw);
FT_OPERATIONS_DECLARE(cast);
FT_OPERATIONS_DECLARE(zero_rows);
FT_OPERATIONS_DECLARE(add_flags);

#endif
