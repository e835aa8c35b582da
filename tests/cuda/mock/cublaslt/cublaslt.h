/* The mock cuBLASLt's inner interfaces: matmuls of matrices in the host's memory, as far as the
 * library promises anything of them. What NVIDIA leaves undefined is refused. */
#ifndef FT_MOCK_CUBLASLT_H
#define FT_MOCK_CUBLASLT_H

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "../hooks.h"
#include "../mock.h"
#include "backend/cuda/cublaslt/cublaslt_api.h"

namespace cublaslt
{

/* ---- failures: library.cpp ---- */

/* Keeps the message for mock_message, and returns the status. */
int failure(int status, const char *pattern, ...) __attribute__((format(printf, 2, 3)));
/* For work on a stream, which is not under hooks::lock. */
void keep_message(const std::string &);

#define FT_REFUSE_IF(condition, ...)                                                               \
    if (condition)                                                                                 \
    return cublaslt::failure(CUBLAS_STATUS_INVALID_VALUE, __VA_ARGS__)

#define FT_FORWARD_FAILURE(call)                                                                   \
    if (int status = (call))                                                                       \
    return status

/* ---- what programs create: objects.cpp ---- */

struct Layout {
    int type;
    int64_t rows, columns, leading;

    int64_t bytes() const; /* from the first to behind the last element */
    bool operator==(const Layout &) const;
};

struct Operation {
    int compute_type, scale_type;
    int32_t transposed_a, transposed_b;
    uint32_t epilogue;
    const void *bias;
};

struct Preference {
    uint64_t workspace;
    uint32_t schemes;
    uint32_t alignments[4]; /* of A, B, C and D */
};

template <typename T> std::set<T *> &alive()
{
    static std::set<T *> objects;
    return objects;
}

/* nullptr: there is no such object. */
template <typename T> T *find(void *object)
{
    return alive<T>().count((T *)object) ? (T *)object : nullptr;
}

size_t type_bytes(int type);

/* ---- choosing and running: matmul.cpp ---- */

/* The handles' number; library.cpp. */
bool is_handle(ft_cublaslt_handle);

/* Of the last heuristic. */
extern Preference last_preference;
/* How many ran: [1] of operands that are rounded to TensorFloat-32, [0] of others. */
extern int matmuls[2];

} // namespace cublaslt

#endif
