/* What this machine can do at most: measurements beside which a train step's time is put. */
#ifndef FT_BACKEND_CPU_LIMITS_H
#define FT_BACKEND_CPU_LIMITS_H

#include "backend/backend.h"

/* The product of a layer, y [rows, out] = x [rows, in] weight^T, with its two of the backward pass.
 */
typedef struct ft_limit_product {
    int32_t rows, in, out;
} ft_limit_product;

/* Runs the products of one step through oneDNN with nothing between them: forward those of all
 * layers in the order given, then back again, for each the gradient of its input and of its weight.
 * Every layer has operands of its own, as in a step, so that weights come from memory. In bfloat16
 * all operands are, but for the weights' gradients.
 * seconds [passes]: each pass, after one that is not counted. */
ft_status ft_limit_products_measure(int threads, ft_precision precision,
                                    const ft_limit_product *products, size_t count, int passes,
                                    double *seconds);

/* Reads four arrays of `elements` floats and writes three of them, as AdamW does, with next to no
 * arithmetic. seconds [passes]: each pass, after one that is not counted. */
ft_status ft_limit_stream_measure(int threads, size_t elements, int passes, double *seconds);

#endif
