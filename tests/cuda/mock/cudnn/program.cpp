#include "program.h"

#include <algorithm>

#include "failure.h"

namespace mock
{

bool Tensor::operator==(const Tensor &other) const
{
    return uid == other.uid && type == other.type && dims == other.dims &&
           strides == other.strides && alignment == other.alignment &&
           is_virtual == other.is_virtual && by_value == other.by_value && ragged == other.ragged;
}

int64_t Tensor::elements() const
{
    int64_t count = 1;
    for (int64_t dim : dims)
        count *= dim;
    return count;
}

size_t Tensor::rank() const
{
    return dims.size();
}

size_t Tensor::row_dimension() const
{
    return strides[3] > strides[2] ? 3 : 2;
}

size_t type_bytes(int type)
{
    switch (type) {
    case CUDNN_DATA_HALF:
    case CUDNN_DATA_BFLOAT16:
        return 2;
    case CUDNN_DATA_FLOAT:
    case CUDNN_DATA_INT32:
        return 4;
    case CUDNN_DATA_INT64:
        return 8;
    case CUDNN_DATA_BOOLEAN:
        return 1;
    default:
        refuse("data type %d is none that the mock knows", type);
    }
}

const char *type_name(int type)
{
    switch (type) {
    case CUDNN_DATA_HALF:
        return "HALF";
    case CUDNN_DATA_BFLOAT16:
        return "BFLOAT16";
    case CUDNN_DATA_FLOAT:
        return "FLOAT";
    case CUDNN_DATA_INT32:
        return "INT32";
    case CUDNN_DATA_INT64:
        return "INT64";
    default:
        return "BOOLEAN";
    }
}

int Program::add(const Tensor &tensor)
{
    int known = find(tensor.uid);
    if (known == NONE) {
        tensors.push_back(tensor);
        return (int)tensors.size() - 1;
    }
    if (!(tensors[known] == tensor))
        refuse("two different tensors have the unique id %ld", (long)tensor.uid);
    return known;
}

int Program::find(int64_t uid) const
{
    for (size_t i = 0; i < tensors.size(); i++)
        if (tensors[i].uid == uid)
            return (int)i;
    return NONE;
}

const Tensor *Program::at(const Step &step, Role role) const
{
    return step.tensors[role] == NONE ? nullptr : &tensors[step.tensors[role]];
}

int Program::producer(int tensor) const
{
    for (size_t i = 0; i < steps.size(); i++)
        if (steps[i].tensors[OUT] == tensor)
            return (int)i;
    return NONE;
}

void Program::order()
{
    std::vector<bool> known(tensors.size(), false);
    for (size_t i = 0; i < tensors.size(); i++) {
        const Tensor &tensor = tensors[i];
        int producers = (int)std::count_if(steps.begin(), steps.end(), [&](const Step &step) {
            return step.tensors[OUT] == (int)i;
        });
        if (producers > 1)
            refuse("tensor %ld is the output of %d operations", (long)tensor.uid, producers);
        if (producers && tensor.by_value)
            refuse("tensor %ld is by value, and the output of an operation", (long)tensor.uid);
        if (!producers && tensor.is_virtual)
            refuse("tensor %ld is virtual, and no operation's output", (long)tensor.uid);
        known[i] = !producers;
    }

    std::vector<Step> waiting = steps, ordered;
    while (!waiting.empty()) {
        auto ready = std::find_if(waiting.begin(), waiting.end(), [&](const Step &step) {
            for (int role = OUT + 1; role < ROLES; role++)
                if (step.tensors[role] != NONE && !known[step.tensors[role]])
                    return false;
            return true;
        });
        if (ready == waiting.end())
            refuse("the operations form a cycle");
        known[ready->tensors[OUT]] = true;
        ordered.push_back(*ready);
        waiting.erase(ready);
    }
    steps = ordered;
}

std::string Program::unsupported() const
{
    bool matmul = false;
    for (const Step &step : steps) {
        if (step.kind != Kind::MATMUL)
            continue;
        matmul = true;
        for (Role role : {A, B}) {
            const Tensor *operand = at(step, role);
            if (!operand->is_virtual && type_bytes(operand->type) != 2)
                return text("Reason: operand %ld of a matmul is %s in memory", (long)operand->uid,
                            type_name(operand->type));
        }
        if (!at(step, A)->is_virtual && !at(step, B)->is_virtual &&
            at(step, A)->type != at(step, B)->type)
            return text("Reason: a matmul of %s and %s", type_name(at(step, A)->type),
                        type_name(at(step, B)->type));
    }
    return matmul ? "" : "Reason: no engine for operations without a matmul";
}

} // namespace mock
