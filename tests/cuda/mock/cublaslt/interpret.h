/* A matmul's arithmetic. */
#ifndef FT_MOCK_CUBLASLT_INTERPRET_H
#define FT_MOCK_CUBLASLT_INTERPRET_H

#include "cublaslt.h"

namespace cublaslt
{

/* One matmul that was checked, as bytes that may be copied. C has D's layout. */
struct Work {
    Operation operation;
    Layout layout_a, layout_b, layout_d;
    const void *a, *b, *c, *bias; /* bias nullptr: none */
    void *d, *workspace;
    size_t workspace_bytes; /* what the algorithm needs: it is overwritten */
    float alpha, beta;
};

/* For mock_enqueue: 0. */
int interpret(void *work);

} // namespace cublaslt

#endif
