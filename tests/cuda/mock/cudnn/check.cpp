// Which tensors an operation takes.
#include "failure.h"
#include "program.h"

namespace mock
{

namespace
{

const char *const ROLE_NAMES[ROLES] = {"the output", "A or X",     "B",
                                       "T",          "M override", "N override",
                                       "K override", "the seed",   "the offset"};

void need(const Program &program, const Step &step, const char *operation,
          std::initializer_list<Role> roles)
{
    for (Role role : roles)
        if (!program.at(step, role))
            refuse("%s lacks %s", operation, ROLE_NAMES[role]);
}

void same_rank(const Program &program, const Step &step, const char *operation)
{
    for (Role role : {A, B, T}) {
        const Tensor *tensor = program.at(step, role);
        if (tensor && tensor->rank() != program.at(step, OUT)->rank())
            refuse("%s: tensor %ld has %zu dimensions, the output %zu", operation,
                   (long)tensor->uid, tensor->rank(), program.at(step, OUT)->rank());
    }
}

void check_matmul(const Program &program, const Step &step)
{
    need(program, step, "matmul", {A, B, OUT});
    same_rank(program, step, "matmul");
    const Tensor &a = *program.at(step, A), &b = *program.at(step, B), &c = *program.at(step, OUT);
    size_t rank = c.rank();
    if (rank < 3)
        refuse("matmul: its tensors have %zu dimensions; 3 or more are needed", rank);
    bool fits = a.dims[rank - 2] == c.dims[rank - 2] && b.dims[rank - 1] == c.dims[rank - 1] &&
                a.dims[rank - 1] == b.dims[rank - 2];
    for (size_t i = 0; i + 2 < rank; i++)
        fits = fits && (a.dims[i] == c.dims[i] || a.dims[i] == 1) &&
               (b.dims[i] == c.dims[i] || b.dims[i] == 1) &&
               (a.dims[i] == c.dims[i] || b.dims[i] == c.dims[i]);
    if (!fits)
        refuse("matmul: dimensions %s times %s do not give %s", text(a.dims).c_str(),
               text(b.dims).c_str(), text(c.dims).c_str());
    for (Role role : {M, N, K}) {
        const Tensor *lengths = program.at(step, role);
        if (!lengths)
            continue;
        if (lengths->type != CUDNN_DATA_INT32 || lengths->dims[0] != c.dims[0] ||
            lengths->elements() != c.dims[0])
            refuse("matmul: %s (tensor %ld) is %s %s, not INT32 with one element a batch",
                   ROLE_NAMES[role], (long)lengths->uid, type_name(lengths->type),
                   text(lengths->dims).c_str());
    }
}

bool takes_second(int mode)
{
    switch (mode) {
    case CUDNN_POINTWISE_ADD:
    case CUDNN_POINTWISE_MUL:
    case CUDNN_POINTWISE_DIV:
    case CUDNN_POINTWISE_SUB:
    case CUDNN_POINTWISE_CMP_LT:
    case CUDNN_POINTWISE_LOGICAL_AND:
    case CUDNN_POINTWISE_BINARY_SELECT:
        return true;
    case CUDNN_POINTWISE_EXP:
    case CUDNN_POINTWISE_LOG:
    case CUDNN_POINTWISE_IDENTITY:
    case CUDNN_POINTWISE_GEN_INDEX:
        return false;
    default:
        refuse("pointwise mode %d is none that the mock knows", mode);
    }
}

void check_pointwise_types(const Program &program, const Step &step)
{
    auto require = [&](Role role, int type) {
        const Tensor &tensor = *program.at(step, role);
        if (tensor.type != type)
            refuse("pointwise mode %d: tensor %ld is %s, not %s", step.mode, (long)tensor.uid,
                   type_name(tensor.type), type_name(type));
    };
    switch (step.mode) {
    case CUDNN_POINTWISE_LOGICAL_AND:
        require(A, CUDNN_DATA_BOOLEAN);
        require(B, CUDNN_DATA_BOOLEAN);
        [[fallthrough]];
    case CUDNN_POINTWISE_CMP_LT:
        require(OUT, CUDNN_DATA_BOOLEAN);
        break;
    case CUDNN_POINTWISE_BINARY_SELECT:
        require(T, CUDNN_DATA_BOOLEAN);
        break;
    case CUDNN_POINTWISE_GEN_INDEX:
        require(OUT, CUDNN_DATA_INT32);
        break;
    default:
        break;
    }
}

void check_pointwise(const Program &program, const Step &step)
{
    need(program, step, "pointwise", {A, OUT});
    bool second = takes_second(step.mode), third = step.mode == CUDNN_POINTWISE_BINARY_SELECT;
    if (second != (program.at(step, B) != nullptr) || third != (program.at(step, T) != nullptr))
        refuse("pointwise mode %d takes %d inputs", step.mode, 1 + second + third);
    same_rank(program, step, "pointwise");
    check_pointwise_types(program, step);
    const Tensor &out = *program.at(step, OUT);
    for (size_t i = 0; i < out.rank(); i++) {
        int64_t largest = 1;
        for (Role role : {A, B, T}) {
            const Tensor *tensor = program.at(step, role);
            if (!tensor)
                continue;
            largest = tensor->dims[i] > largest ? tensor->dims[i] : largest;
            if (tensor->dims[i] != 1 && tensor->dims[i] != out.dims[i])
                refuse("pointwise mode %d: tensor %ld is %s, its output %s", step.mode,
                       (long)tensor->uid, text(tensor->dims).c_str(), text(out.dims).c_str());
        }
        if (largest != out.dims[i])
            refuse("pointwise mode %d: no input has the %ld entries of its output's dimension %zu",
                   step.mode, (long)out.dims[i], i);
    }
    if (step.mode == CUDNN_POINTWISE_GEN_INDEX &&
        (step.axis < 0 || step.axis >= (int64_t)out.rank()))
        refuse("pointwise: axis %ld of a tensor of %zu dimensions", (long)step.axis, out.rank());
}

void check_reduction(const Program &program, const Step &step)
{
    need(program, step, "reduction", {A, OUT});
    same_rank(program, step, "reduction");
    if (step.mode != CUDNN_REDUCE_TENSOR_ADD && step.mode != CUDNN_REDUCE_TENSOR_MAX)
        refuse("reduction %d is none that the mock knows", step.mode);
    const Tensor &x = *program.at(step, A), &y = *program.at(step, OUT);
    for (size_t i = 0; i < y.rank(); i++)
        if (y.dims[i] != 1 && y.dims[i] != x.dims[i])
            refuse("reduction: %s does not reduce to %s", text(x.dims).c_str(),
                   text(y.dims).c_str());
}

void check_reshape(const Program &program, const Step &step)
{
    need(program, step, "reshape", {A, OUT});
    const Tensor &x = *program.at(step, A), &y = *program.at(step, OUT);
    if (x.elements() != y.elements())
        refuse("reshape: %s has not as many elements as %s", text(x.dims).c_str(),
               text(y.dims).c_str());
    if (x.ragged != y.ragged)
        refuse("reshape: tensors %ld and %ld are not ragged alike", (long)x.uid, (long)y.uid);
}

void check_rng(const Program &program, const Step &step)
{
    need(program, step, "rng", {OUT, SEED, OFFSET});
    for (Role role : {SEED, OFFSET}) {
        const Tensor &tensor = *program.at(step, role);
        if (tensor.type != CUDNN_DATA_INT64 || tensor.elements() != 1)
            refuse("rng: %s (tensor %ld) is %s %s, not one INT64", ROLE_NAMES[role],
                   (long)tensor.uid, type_name(tensor.type), text(tensor.dims).c_str());
    }
    if (program.at(step, OUT)->rank() != 4)
        refuse("rng: the mock's has 4 dimensions, not %zu", program.at(step, OUT)->rank());
    if (!(step.probability > 0 && step.probability <= 1))
        refuse("rng: probability %g", step.probability);
}

} // namespace

void Program::check(const Step &step) const
{
    switch (step.kind) {
    case Kind::MATMUL:
        return check_matmul(*this, step);
    case Kind::POINTWISE:
        return check_pointwise(*this, step);
    case Kind::REDUCTION:
        return check_reduction(*this, step);
    case Kind::RESHAPE:
        return check_reshape(*this, step);
    case Kind::RNG:
        return check_rng(*this, step);
    }
}

} // namespace mock
