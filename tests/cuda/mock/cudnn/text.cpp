// Programs as text, for the plan's JSON representation: numbers in the order of the structures,
// and a checksum before them.
#include <sstream>

#include "failure.h"
#include "program.h"

namespace mock
{

namespace
{

uint64_t checksum(const std::string &body) // FNV-1a
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (unsigned char byte : body)
        hash = (hash ^ byte) * 0x100000001b3u;
    return hash;
}

} // namespace

std::string Program::write() const
{
    std::ostringstream out;
    out.precision(17);
    out << tensors.size();
    for (const Tensor &tensor : tensors) {
        out << ' ' << tensor.uid << ' ' << tensor.type << ' ' << tensor.rank();
        for (int64_t dim : tensor.dims)
            out << ' ' << dim;
        for (int64_t stride : tensor.strides)
            out << ' ' << stride;
        out << ' ' << tensor.alignment << ' ' << tensor.is_virtual << ' ' << tensor.by_value << ' '
            << tensor.ragged;
    }
    out << ' ' << steps.size();
    for (const Step &step : steps) {
        out << ' ' << (int)step.kind << ' ' << step.mode << ' ' << step.axis << ' '
            << step.probability;
        for (int tensor : step.tensors)
            out << ' ' << tensor;
    }
    return std::to_string(checksum(out.str())) + ' ' + out.str();
}

Program Program::read(const std::string &text)
{
    size_t space = text.find(' ');
    if (space == std::string::npos ||
        text.substr(0, space) != std::to_string(checksum(text.substr(space + 1))))
        refuse("the plan's representation is damaged");
    std::istringstream in(text.substr(space + 1));
    Program program;
    size_t count = 0, rank = 0;
    for (in >> count; program.tensors.size() < count;) {
        Tensor tensor{};
        in >> tensor.uid >> tensor.type >> rank;
        tensor.dims.resize(rank);
        tensor.strides.resize(rank);
        for (int64_t &dim : tensor.dims)
            in >> dim;
        for (int64_t &stride : tensor.strides)
            in >> stride;
        in >> tensor.alignment >> tensor.is_virtual >> tensor.by_value >> tensor.ragged;
        program.tensors.push_back(tensor);
    }
    for (in >> count; program.steps.size() < count;) {
        Step step{};
        int kind = 0;
        in >> kind >> step.mode >> step.axis >> step.probability;
        step.kind = (Kind)kind;
        for (int &tensor : step.tensors)
            in >> tensor;
        program.steps.push_back(step);
    }
    return program;
}

} // namespace mock
