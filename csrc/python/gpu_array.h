/* The Python type ftcore._core.GpuArray: an array of another library's in a GPU's memory, seen
 * through __dlpack__ (the C functions for it where the type has them: see dlpack.h) or
 * __cuda_array_interface__. */
#ifndef FT_PYTHON_GPU_ARRAY_H
#define FT_PYTHON_GPU_ARRAY_H

#include "backend/backend.h"
#include "python/module.h"

typedef struct ft_gpu_array {
    PyObject_HEAD void *data;
    ft_number type;
    int dimensions;     /* at most 2 */
    int64_t shape[2];   /* 1 beyond the dimensions */
    int64_t strides[2]; /* in bytes */
    int gpu;
    int read_only;
    PyObject *stream; /* an int: the stream on which its library works; None: that is not known */
    PyObject *owner;  /* keeps the memory */
} ft_gpu_array;

/* None gives NULL in *out; -1, with TypeError, where it is no GpuArray of that GPU. */
int ft_python_gpu_array(const ft_module_state *state, PyObject *object, const char *name, int gpu,
                        const ft_gpu_array **out);

/* The bytes that its numbers lie in: how many, and how many of them lie before `data`. 0 where
 * there can be no such array: an extent is negative, or bytes cannot be counted. */
int ft_gpu_array_span(const ft_gpu_array *array, size_t *bytes, size_t *before);

int ft_number_bytes(ft_number type);
int ft_number_numpy(ft_number type);
int ft_gpu_array_is_contiguous(const ft_gpu_array *array);

/* gpu_array_read.c */

/* Fills in what the object shows. 1 where it is such an array, 0 where it is nothing of the kind or
 * cannot be read, in which case an exception may be set; -1 with one. ordered, alone: whether there
 * is a stream, and alone, as gpu_array has them. */
int ft_gpu_array_read(ft_module_state *state, PyObject *object, int ordered, int alone,
                      ft_gpu_array *array);

/* Clears an exception that says no more than that an object is not what it was asked for; -1 where
 * it is to be raised, as an interruption is. */
int ft_gpu_array_forgive(void);

#endif
