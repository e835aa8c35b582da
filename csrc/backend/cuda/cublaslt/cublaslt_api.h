/* What is used of cuBLASLt of CUDA 12 and 13: its functions' types and its constants, under
 * NVIDIA's names so that its documentation can be searched for them. NVIDIA's headers are not
 * needed to build; a test compares each constant with theirs.
 *
 * Matrices are column-major. An operation is D = alpha op(A) op(B) + beta C, then the epilogue. A
 * heuristic, which knows the operation, the layouts and what the caller grants, names an algorithm:
 * a kernel of the library's own and how to run it, so that nothing is compiled. */
#ifndef FT_BACKEND_CUDA_CUBLASLT_CUBLASLT_API_H
#define FT_BACKEND_CUDA_CUBLASLT_CUBLASLT_API_H

#include <stddef.h>
#include <stdint.h>

typedef struct cublasLtContext *ft_cublaslt_handle;
typedef void *ft_cublaslt_operation;  /* cublasLtMatmulDesc_t */
typedef void *ft_cublaslt_layout;     /* cublasLtMatrixLayout_t */
typedef void *ft_cublaslt_preference; /* cublasLtMatmulPreference_t */

/* cublasStatus_t */
enum {
    CUBLAS_STATUS_SUCCESS = 0,
    CUBLAS_STATUS_NOT_INITIALIZED = 1,
    CUBLAS_STATUS_ALLOC_FAILED = 3,
    CUBLAS_STATUS_INVALID_VALUE = 7,
    CUBLAS_STATUS_ARCH_MISMATCH = 8,
    CUBLAS_STATUS_EXECUTION_FAILED = 13,
    CUBLAS_STATUS_NOT_SUPPORTED = 15,
};

/* cudaDataType_t */
enum {
    CUDA_R_32F = 0,
    CUDA_R_16F = 2,
    CUDA_R_16BF = 14,
};

/* cublasComputeType_t */
enum {
    CUBLAS_COMPUTE_32F = 68,
    CUBLAS_COMPUTE_32F_FAST_TF32 = 77, /* A and B, of CUDA_R_32F, are rounded to TensorFloat-32 */
};

/* cublasOperation_t */
enum {
    CUBLAS_OP_N = 0,
    CUBLAS_OP_T = 1,
};

/* cublasLtMatmulDescAttributes_t; alpha and beta are read from the host's memory by default */
enum {
    CUBLASLT_MATMUL_DESC_TRANSA = 3,       /* int32_t */
    CUBLASLT_MATMUL_DESC_TRANSB = 4,       /* int32_t */
    CUBLASLT_MATMUL_DESC_EPILOGUE = 7,     /* uint32_t */
    CUBLASLT_MATMUL_DESC_BIAS_POINTER = 8, /* a vector as long as D's columns, of D's type; of it
                                              heuristics read how it is aligned */
};

/* cublasLtEpilogue_t */
enum {
    CUBLASLT_EPILOGUE_DEFAULT = 1,
    CUBLASLT_EPILOGUE_BIAS = 4, /* added to each of D's columns */
};

/* cublasLtMatmulPreferenceAttributes_t */
enum {
    CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1,   /* uint64_t */
    CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK = 3, /* uint32_t */
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5, /* uint32_t, as those of B, C and D */
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES = 6,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES = 7,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES = 8,
};

/* cublasLtReductionScheme_t: how sums that are split among blocks come together */
enum {
    CUBLASLT_REDUCTION_SCHEME_NONE = 0,         /* they are not split */
    CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE = 2, /* parts in the workspace, added up afterwards */
};

typedef struct ft_cublaslt_algorithm { /* cublasLtMatmulAlgo_t */
    uint64_t data[8];
} ft_cublaslt_algorithm;

typedef struct ft_cublaslt_choice { /* cublasLtMatmulHeuristicResult_t */
    ft_cublaslt_algorithm algorithm;
    size_t workspace; /* bytes that it needs */
    int state;        /* CUBLAS_STATUS_SUCCESS, or the rest is not set */
    float waves;
    int reserved[4];
} ft_cublaslt_choice;

/* The library's functions. All but the first three return a cublasStatus_t. */
typedef struct ft_cublaslt_functions {
    size_t (*GetVersion)(void);
    const char *(*GetStatusName)(int status);
    const char *(*GetStatusString)(int status);
    int (*Create)(ft_cublaslt_handle *);
    int (*Destroy)(ft_cublaslt_handle);
    int (*MatmulDescCreate)(ft_cublaslt_operation *, int compute_type, int scale_type);
    int (*MatmulDescDestroy)(ft_cublaslt_operation);
    int (*MatmulDescSetAttribute)(ft_cublaslt_operation, int name, const void *value, size_t size);
    int (*MatrixLayoutCreate)(ft_cublaslt_layout *, int type, uint64_t rows, uint64_t columns,
                              int64_t leading);
    int (*MatrixLayoutDestroy)(ft_cublaslt_layout);
    int (*MatmulPreferenceCreate)(ft_cublaslt_preference *);
    int (*MatmulPreferenceDestroy)(ft_cublaslt_preference);
    int (*MatmulPreferenceSetAttribute)(ft_cublaslt_preference, int name, const void *value,
                                        size_t size);
    int (*MatmulAlgoGetHeuristic)(ft_cublaslt_handle, ft_cublaslt_operation, ft_cublaslt_layout a,
                                  ft_cublaslt_layout b, ft_cublaslt_layout c, ft_cublaslt_layout d,
                                  ft_cublaslt_preference, int wanted, ft_cublaslt_choice *,
                                  int *found);
    int (*Matmul)(ft_cublaslt_handle, ft_cublaslt_operation, const void *alpha, const void *a,
                  ft_cublaslt_layout, const void *b, ft_cublaslt_layout, const void *beta,
                  const void *c, ft_cublaslt_layout, void *d, ft_cublaslt_layout,
                  const ft_cublaslt_algorithm *, void *workspace, size_t workspace_bytes,
                  void *stream);
} ft_cublaslt_functions;

#endif
