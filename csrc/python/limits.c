/* ftcore._core.measure_products and measure_stream: what the machine can do at most. */
#include "python/module.h"

#ifdef FT_HAVE_ONEDNN

#    include "backend/cpu/limits.h"
#    include "python/operands.h"

/* Of a product's sides, and of products: what they take together can be counted in bytes. */
enum { LARGEST = 1 << 20, MOST = 1 << 12 };

static PyObject *list_of(const double *values, int count)
{
    PyObject *list = PyList_New(count);
    for (int i = 0; list != NULL && i < count; i++) {
        PyObject *item = PyFloat_FromDouble(values[i]);
        if (item == NULL || PyList_SetItem(list, i, item) < 0)
            Py_CLEAR(list);
    }
    return list;
}

/* The list of the seconds, which is no longer needed, or the exception of a failure. */
static PyObject *finish(ft_status status, double *seconds, int passes)
{
    PyObject *result = NULL;
    if (status == FT_OK)
        result = list_of(seconds, passes);
    else
        ft_python_raise(status);
    PyMem_Free(seconds);
    return result;
}

static double *new_seconds(int passes)
{
    if (passes < 1) {
        PyErr_Format(PyExc_ValueError, "passes must be at least 1, got %d", passes);
        return NULL;
    }
    double *seconds = PyMem_Calloc((size_t)passes, sizeof *seconds);
    if (seconds == NULL)
        PyErr_NoMemory();
    return seconds;
}

static int get_product(PyObject *item, ft_limit_product *out)
{
    if (item == NULL)
        return -1;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "a product is a tuple (rows, in, out)");
        return -1;
    }
    if (!PyArg_ParseTuple(item, "iii", &out->rows, &out->in, &out->out))
        return -1;
    if (out->rows < 1 || out->in < 1 || out->out < 1 || out->rows > LARGEST || out->in > LARGEST ||
        out->out > LARGEST) {
        PyErr_Format(PyExc_ValueError, "rows, in and out of a product must be from 1 to %d",
                     LARGEST);
        return -1;
    }
    return 0;
}

static ft_limit_product *get_products(PyObject *sequence, Py_ssize_t *count)
{
    *count = PySequence_Size(sequence);
    if (*count > MOST)
        PyErr_Format(PyExc_ValueError, "there are %zd products: at most %d", *count, MOST);
    if (*count < 0 || *count > MOST)
        return NULL;
    ft_limit_product *products = PyMem_Calloc(*count ? (size_t)*count : 1, sizeof *products);
    if (products == NULL)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; products != NULL && i < *count; i++) {
        PyObject *item = PySequence_GetItem(sequence, i);
        if (get_product(item, &products[i]) < 0) {
            PyMem_Free(products);
            products = NULL;
        }
        Py_XDECREF(item);
    }
    return products;
}

static PyObject *measure_products(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"products", "precision", "threads", "passes", NULL};
    (void)module;
    PyObject *sequence;
    const char *precision_name = "float32";
    ft_precision precision;
    int threads = 0, passes = 1;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|sii:measure_products", names,
                                     &sequence, &precision_name, &threads, &passes) ||
        ft_operand_parse_precision(precision_name, &precision) < 0)
        return NULL;
    Py_ssize_t count;
    ft_limit_product *products = get_products(sequence, &count);
    double *seconds = products ? new_seconds(passes) : NULL;
    if (seconds == NULL) {
        PyMem_Free(products);
        return NULL;
    }
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status =
        ft_limit_products_measure(threads, precision, products, (size_t)count, passes, seconds);
    Py_END_ALLOW_THREADS
    PyMem_Free(products);
    return finish(status, seconds, passes);
}

static PyObject *measure_stream(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"elements", "threads", "passes", NULL};
    (void)module;
    Py_ssize_t elements;
    int threads = 0, passes = 1;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "n|ii:measure_stream", names, &elements,
                                     &threads, &passes))
        return NULL;
    if (elements < 1 || elements > PY_SSIZE_T_MAX / 32)
        return PyErr_Format(PyExc_ValueError, "elements = %zd is out of range", elements);
    double *seconds = new_seconds(passes);
    if (seconds == NULL)
        return NULL;
    ft_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ft_limit_stream_measure(threads, (size_t)elements, passes, seconds);
    Py_END_ALLOW_THREADS
    return finish(status, seconds, passes);
}

#else

static PyObject *refuse(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    (void)module, (void)arguments, (void)keywords;
    PyErr_SetString(PyExc_RuntimeError,
                    "this build of ftcore has no oneDNN, whose speed is the limit: set ONEDNN_ROOT "
                    "and reinstall");
    return NULL;
}
#    define measure_products refuse
#    define measure_stream refuse

#endif

static PyMethodDef functions[] = {
    {"measure_products", (PyCFunction)(void (*)(void))measure_products,
     METH_VARARGS | METH_KEYWORDS,
     "measure_products(products, precision='float32', threads=0, passes=1)\n--\n\n"
     "Seconds of each pass over the products of a step, forward and backward."},
    {"measure_stream", (PyCFunction)(void (*)(void))measure_stream, METH_VARARGS | METH_KEYWORDS,
     "measure_stream(elements, threads=0, passes=1)\n--\n\n"
     "Seconds of each pass that reads four arrays and writes three of them."},
    {NULL, NULL, 0, NULL},
};

int ft_python_add_limits(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
