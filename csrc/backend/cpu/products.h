/* Matrix products through oneDNN, whose primitives are made once per shape and kept. */
#ifndef FT_BACKEND_CPU_PRODUCTS_H
#define FT_BACKEND_CPU_PRODUCTS_H

#include "backend/backend.h"

/* c [m, n] = (c +) op(a) op(b) (+ bias [n]), where op(a) is [m, k] and op(b) [k, n]. */
typedef struct ft_product {
    ft_precision precision; /* of a and b */
    ft_precision c_precision;
    int32_t m, n, k;
    bool a_transposed; /* a is stored as [k, m] */
    bool b_transposed; /* b is stored as [n, k] */
    bool has_bias;
    bool add; /* to what c holds, which is float32 */
} ft_product;

typedef struct ft_products ft_products;

ft_status ft_products_create(ft_products **out);
void ft_products_destroy(ft_products *);

/* Whether oneDNN multiplies in bfloat16 natively here. */
bool ft_products_have_bfloat16(void);

/* Forgets the primitives: to be called before products run on another number of threads. */
void ft_products_drop(ft_products *);

/* On OpenMP's current number of threads, the same for each call since the last ft_products_drop.
 * `operation` names the caller in the message of a failure. */
ft_status ft_products_run(ft_products *, const char *operation, ft_product, const void *a,
                          const void *b, const float *bias, void *c);

#endif
