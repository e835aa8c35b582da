// An operation graph as the interpreter takes it: tensors, and steps in an order in which they can
// be carried out. It holds no descriptors, so a plan outlives those that it was made of.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "backend/cuda/cudnn/cudnn_api.h"

namespace mock
{

enum { NONE = -1 };

struct Tensor {
    int64_t uid;
    int type; // CUDNN_DATA_*
    std::vector<int64_t> dims, strides;
    int64_t alignment; // bytes
    bool is_virtual, by_value;
    int64_t ragged = NONE; // the unique id of its offsets, or NONE

    bool operator==(const Tensor &other) const;
    int64_t elements() const;
    size_t rank() const;
    // Of a ragged tensor: the dimension that runs over a sequence's rows.
    size_t row_dimension() const;
};

size_t type_bytes(int type);
const char *type_name(int type);

enum class Kind { MATMUL, POINTWISE, REDUCTION, RESHAPE, RNG };

// What a step takes and makes. MATMUL: OUT[m, n] = A[m, k] B[k, n], where M, N and K, if given, are
// how many of these there are in each batch. POINTWISE: A, B and, for BINARY_SELECT, T as in
// cuDNN's XDESC, BDESC and TDESC. RNG: SEED and OFFSET.
enum Role { OUT, A, B, T, M, N, K, SEED, OFFSET, ROLES };

struct Step {
    Kind kind;
    int mode = 0;           // CUDNN_POINTWISE_* or CUDNN_REDUCE_TENSOR_*
    int64_t axis = 0;       // of GEN_INDEX
    double probability = 0; // of RNG: that an element is 1
    std::array<int, ROLES> tensors{NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE};
};

class Program
{
  public:
    std::vector<Tensor> tensors;
    std::vector<Step> steps;

    // The index of a tensor; refused where its unique id is already another tensor's.
    int add(const Tensor &);
    int find(int64_t uid) const; // or NONE
    const Tensor *at(const Step &, Role) const;
    // The step that makes a tensor, or NONE.
    int producer(int tensor) const;

    // Refuses a step whose tensors do not fit together.
    void check(const Step &) const;
    // Refuses what makes no graph, and puts the steps in order.
    void order();
    // Why there is no engine for it; empty: there is.
    std::string unsupported() const;

    std::string write() const;
    static Program read(const std::string &);
};

} // namespace mock
