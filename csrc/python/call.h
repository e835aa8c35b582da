/* One call of a method of _core.Backend: its operands and results where the backend can reach them.
 * Where a backend's memory is the host's they are the NumPy arrays' own; elsewhere each is copied
 * to the backend's memory as it is asked for, and what the operation writes is copied back behind
 * it. All that a call holds is let go of when it ends. */
#ifndef FT_PYTHON_CALL_H
#define FT_PYTHON_CALL_H

#include <pthread.h>

#include "python/operands.h"

typedef struct ft_backend_object {
    PyObject_HEAD ft_backend *backend;
    pthread_mutex_t busy; /* a backend does one operation at a time */
} ft_backend_object;

/* What is written but copied: where it belongs, and where the backend has it. */
typedef struct ft_copy {
    void *host, *memory;
    size_t bytes;
    bool written;
} ft_copy;

typedef struct ft_call {
    ft_backend_object *self;
    PyObject *results[8];
    int result_count;
    ft_copy copies[24];
    int copy_count;
} ft_call;

/* Runs a call of the table without the GIL. -1 with an exception where it fails. */
#define FT_BACKEND_RUN(self, operation, ...)                                                       \
    __extension__({                                                                                \
        ft_status run_;                                                                            \
        Py_BEGIN_ALLOW_THREADS                                                                     \
        pthread_mutex_lock(&(self)->busy);                                                         \
        run_ = (self)->backend->operations->operation((self)->backend, ##__VA_ARGS__);             \
        pthread_mutex_unlock(&(self)->busy);                                                       \
        Py_END_ALLOW_THREADS                                                                       \
        if (run_ != FT_OK)                                                                         \
            ft_python_raise(run_);                                                                 \
        run_ == FT_OK ? 0 : -1;                                                                    \
    })

/* The same for the operation of a method, after which what it has written is the host's too. */
#define FT_CALL_RUN(call, operation, ...)                                                          \
    (FT_BACKEND_RUN((call)->self, operation, __VA_ARGS__) < 0 ? -1 : ft_call_download(call))

int ft_call_download(ft_call *);

/* `bytes` of host memory, at least 1, where the backend can reach them; NULL with an exception. The
 * memory must live as long as the call. */
void *ft_call_reach(ft_call *, void *host, size_t bytes, bool written);

/* Memory of the backend for the operation alone, `bytes` of it, at least 1; NULL with an exception.
 */
void *ft_call_temporary(ft_call *, size_t bytes);

/* The data of operands that were checked as those of ft_operand, ft_operand_writable and
 * ft_operand_strided are. */
void *ft_call_operand(ft_call *, PyObject *object, const char *name, int type, int dimensions,
                      const npy_intp *shape);
void *ft_call_writable(ft_call *, PyObject *object, const char *name, int type, int dimensions,
                       const npy_intp *shape);
void *ft_call_strided(ft_call *, PyObject *object, const char *name, int type, npy_intp rows,
                      npy_intp columns, int32_t *stride);
int ft_call_layout(ft_call *, PyObject *cu_seqlens, PyObject *key_starts, npy_intp rows,
                   ft_layout *out);

/* A zero-filled array that the call returns; NULL with an exception. */
void *ft_call_add(ft_call *, int type, int dimensions, const npy_intp *shape);

/* The same, holding a copy of `from` (an array of that type and shape), or zeros where it is None.
 */
void *ft_call_add_copy(ft_call *, PyObject *from, const char *name, int type, int dimensions,
                       const npy_intp *shape);

/* A [rows, columns] view of memory of that type whose rows are `stride` apart. */
void *ft_call_add_strided(ft_call *, int type, npy_intp rows, npy_intp columns, npy_intp stride);

void ft_call_add_none(ft_call *);

/* The tuple of the arrays that were added, or the only one, or None. */
PyObject *ft_call_results(ft_call *);

/* What a method of _core.Backend is made of: `body` runs in a call that is ended behind it. */
typedef PyObject *(*ft_call_body)(ft_call *, PyObject *args, PyObject *kwargs);
PyObject *ft_call_method(ft_backend_object *, PyObject *args, PyObject *kwargs, ft_call_body);

#endif
