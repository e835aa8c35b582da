#include "python/operands.h"

#include <string.h>

#include "backend/precision.h"

static int wrong_shape(PyArrayObject *array, const char *name, int dimensions,
                       const npy_intp *shape)
{
    char expected[128] = "";
    for (int i = 0; i < dimensions; i++) {
        size_t used = strlen(expected);
        const char *comma = i ? ", " : "";
        if (shape[i] == FT_ANY)
            PyOS_snprintf(expected + used, sizeof expected - used, "%sany", comma);
        else
            PyOS_snprintf(expected + used, sizeof expected - used, "%s%zd", comma,
                          (Py_ssize_t)shape[i]);
    }
    PyObject *got = PyObject_GetAttrString((PyObject *)array, "shape");
    if (got != NULL)
        PyErr_Format(PyExc_ValueError, "%s must have the shape [%s], got %R", name, expected, got);
    Py_XDECREF(got);
    return -1;
}

static int check(PyObject *object, const char *name, int type, int dimensions,
                 const npy_intp *shape)
{
    if (!PyArray_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a NumPy array", name);
        return -1;
    }
    PyArrayObject *array = (PyArrayObject *)object;
    if (PyArray_TYPE(array) != type || !PyArray_ISNOTSWAPPED(array)) {
        PyArray_Descr *wanted = PyArray_DescrFromType(type);
        if (wanted != NULL)
            PyErr_Format(PyExc_TypeError, "%s must be an array of %S, got %S", name,
                         (PyObject *)wanted, (PyObject *)PyArray_DESCR(array));
        Py_XDECREF((PyObject *)wanted);
        return -1;
    }
    if (PyArray_NDIM(array) != dimensions)
        return wrong_shape(array, name, dimensions, shape);
    for (int i = 0; i < dimensions; i++)
        if ((shape[i] != FT_ANY && PyArray_DIM(array, i) != shape[i]) ||
            PyArray_DIM(array, i) > INT32_MAX)
            return wrong_shape(array, name, dimensions, shape);
    return 0;
}

void *ft_operand(PyObject *object, const char *name, int type, int dimensions,
                 const npy_intp *shape)
{
    if (check(object, name, type, dimensions, shape) < 0)
        return NULL;
    PyArrayObject *array = (PyArrayObject *)object;
    if (!PyArray_ISCARRAY_RO(array)) {
        PyErr_Format(PyExc_ValueError, "%s must be C-contiguous", name);
        return NULL;
    }
    return PyArray_DATA(array);
}

void *ft_operand_writable(PyObject *object, const char *name, int type, int dimensions,
                          const npy_intp *shape)
{
    void *data = ft_operand(object, name, type, dimensions, shape);
    if (data != NULL && !PyArray_ISWRITEABLE((PyArrayObject *)object)) {
        PyErr_Format(PyExc_ValueError, "%s is written to but is read-only", name);
        return NULL;
    }
    return data;
}

int ft_operand_type(ft_precision precision)
{
    static const int types[] = {
        [FT_FLOAT32] = NPY_FLOAT32, [FT_BFLOAT16] = NPY_UINT16, [FT_FLOAT16] = NPY_FLOAT16};
    return types[precision];
}

int ft_operand_precision(PyObject *object, const char *name, ft_precision *out)
{
    if (PyArray_Check(object)) {
        int type = PyArray_TYPE((PyArrayObject *)object);
        for (*out = FT_FLOAT32; *out <= FT_FLOAT16; ++*out)
            if (type == ft_operand_type(*out))
                return 0;
        PyErr_Format(PyExc_TypeError,
                     "%s must be an array of float32, float16 or of uint16 that holds bfloat16, "
                     "got %S",
                     name, (PyObject *)PyArray_DESCR((PyArrayObject *)object));
    } else {
        PyErr_Format(PyExc_TypeError, "%s must be a NumPy array", name);
    }
    return -1;
}

int ft_operand_parse_precision(const char *name, ft_precision *out)
{
    for (*out = FT_FLOAT32; *out <= FT_FLOAT16; ++*out)
        if (!strcmp(name, ft_precision_name(*out)))
            return 0;
    PyErr_Format(PyExc_ValueError, "precision must be 'float32', 'bfloat16' or 'float16', got '%s'",
                 name);
    return -1;
}

void *ft_operand_strided(PyObject *object, const char *name, int type, npy_intp rows,
                         npy_intp columns, int32_t *stride)
{
    if (check(object, name, type, FT_SHAPE(rows, columns)) < 0)
        return NULL;
    PyArrayObject *array = (PyArrayObject *)object;
    npy_intp item = PyArray_ITEMSIZE(array);
    npy_intp width = PyArray_DIM(array, 1), row = PyArray_STRIDE(array, 0);
    if (PyArray_DIM(array, 0) <= 1)
        row = width * item;
    if ((width > 1 && PyArray_STRIDE(array, 1) != item) || row % item || row < width * item ||
        row / item > INT32_MAX || !PyArray_ISALIGNED(array)) {
        PyErr_Format(PyExc_ValueError,
                     "%s must have contiguous rows, at a distance that is positive", name);
        return NULL;
    }
    *stride = (int32_t)(row / item);
    return PyArray_DATA(array);
}

npy_intp ft_operand_size(PyObject *array, int dimension)
{
    return PyArray_DIM((PyArrayObject *)array, dimension);
}

int ft_operand_ids(PyObject *array, npy_intp limit, const char *name)
{
    const int32_t *ids = PyArray_DATA((PyArrayObject *)array);
    for (npy_intp i = 0; i < ft_operand_size(array, 0); i++)
        if (ids[i] < 0 || ids[i] >= limit) {
            PyErr_Format(PyExc_IndexError, "%s[%zd] is %d, but the table has %zd rows", name,
                         (Py_ssize_t)i, (int)ids[i], (Py_ssize_t)limit);
            return -1;
        }
    return 0;
}

int ft_operand_dropout(PyObject *object, ft_dropout *out)
{
    memset(out, 0, sizeof *out);
    if (object == NULL || object == Py_None)
        return 0;
    if (!PyTuple_Check(object)) {
        PyErr_SetString(PyExc_TypeError,
                        "dropout must be (p, seed, step, micro_step, site) or None");
        return -1;
    }
    double p;
    unsigned long long seed;
    unsigned int step;
    unsigned short micro_step, site;
    if (!PyArg_ParseTuple(object, "dKIHH;dropout must be (p, seed, step, micro_step, site)", &p,
                          &seed, &step, &micro_step, &site))
        return -1;
    if (!(p >= 0 && p < 1)) {
        PyErr_SetString(PyExc_ValueError, "dropout's p must be in [0, 1)");
        return -1;
    }
    *out = (ft_dropout){(float)p, seed, step, micro_step, site};
    return 0;
}

static int check_boundaries(const int32_t *cu, const int32_t *keys, npy_intp sequences)
{
    if (cu[0] != 0) {
        PyErr_SetString(PyExc_ValueError, "cu_seqlens must start with 0");
        return -1;
    }
    for (npy_intp s = 0; s < sequences; s++) {
        if (cu[s + 1] <= cu[s] || cu[s + 1] - cu[s] > 65536) {
            PyErr_Format(PyExc_ValueError,
                         "sequence %zd must have 1 to 65536 rows, but cu_seqlens goes from %d to "
                         "%d",
                         (Py_ssize_t)s, (int)cu[s], (int)cu[s + 1]);
            return -1;
        }
        if (keys[s] < cu[s] || keys[s] >= cu[s + 1]) {
            PyErr_Format(PyExc_ValueError, "key_starts[%zd] is %d, not a row of its sequence",
                         (Py_ssize_t)s, (int)keys[s]);
            return -1;
        }
    }
    return 0;
}

int ft_operand_layout(PyObject *cu_seqlens, PyObject *key_starts, npy_intp rows, ft_layout *out)
{
    const int32_t *cu = ft_operand(cu_seqlens, "cu_seqlens", NPY_INT32, FT_SHAPE(FT_ANY));
    if (cu == NULL)
        return -1;
    npy_intp sequences = ft_operand_size(cu_seqlens, 0) - 1;
    if (sequences < 1) {
        PyErr_SetString(PyExc_ValueError, "cu_seqlens must hold one sequence at least");
        return -1;
    }
    const int32_t *keys = cu;
    if (key_starts != NULL && key_starts != Py_None) {
        keys = ft_operand(key_starts, "key_starts", NPY_INT32, FT_SHAPE(sequences));
        if (keys == NULL)
            return -1;
    }
    if (check_boundaries(cu, keys, sequences) < 0)
        return -1;
    int32_t tokens = cu[sequences], longest = 0;
    if (rows != FT_ANY && rows < tokens) {
        PyErr_Format(PyExc_ValueError, "cu_seqlens ends at %d, but there are only %zd rows",
                     (int)tokens, (Py_ssize_t)rows);
        return -1;
    }
    bool first_masked = false;
    for (npy_intp s = 0; s < sequences; s++) {
        longest = cu[s + 1] - cu[s] > longest ? cu[s + 1] - cu[s] : longest;
        first_masked |= keys[s] != cu[s];
    }
    *out = (ft_layout){
        .sequences = (int32_t)sequences,
        .tokens = tokens,
        .rows = rows == FT_ANY ? tokens : (int32_t)rows,
        .max_length = longest,
        .cu_seqlens = cu,
        .key_starts = keys,
        .first_masked = first_masked,
    };
    return 0;
}
