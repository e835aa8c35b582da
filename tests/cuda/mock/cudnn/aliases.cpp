#include "aliases.h"

#include <algorithm>

#include "failure.h"

namespace mock
{

namespace
{

using Span = std::pair<uintptr_t, uintptr_t>;

bool meet(const Span &a, const Span &b)
{
    return a.first < b.second && b.first < a.second;
}

// Which bytes, from a place's first to its last, are its elements'.
std::vector<bool> bytes_of(const Place &place, const Span &span)
{
    std::vector<bool> taken(span.second - span.first, false);
    size_t bytes = type_bytes(place.tensor->type);
    place.each([&](size_t, int64_t at) {
        size_t start = (uintptr_t)place.memory + (size_t)at * bytes - span.first;
        for (size_t i = start; i < start + bytes; i++)
            taken[i] = true;
    });
    return taken;
}

bool share(const Place &a, const Span &a_span, const Place &b, const Span &b_span)
{
    std::vector<bool> a_bytes = bytes_of(a, a_span), b_bytes = bytes_of(b, b_span);
    for (uintptr_t at = std::max(a_span.first, b_span.first);
         at < std::min(a_span.second, b_span.second); at++)
        if (a_bytes[at - a_span.first] && b_bytes[at - b_span.first])
            return true;
    return false;
}

bool in_place(const Program &program, int output, int input)
{
    const Tensor &a = program.tensors[(size_t)output], &b = program.tensors[(size_t)input];
    if (a.type != b.type || a.dims != b.dims || a.strides != b.strides || a.ragged != b.ragged)
        return false;
    for (const Step &step : program.steps)
        for (int role = OUT + 1; role < ROLES; role++)
            if (step.tensors[role] == input && step.kind != Kind::POINTWISE)
                return false;
    return program.steps[(size_t)program.producer(output)].kind == Kind::POINTWISE;
}

} // namespace

void check_aliases(const Program &program, const std::vector<Place> &places, const void *workspace,
                   size_t workspace_bytes)
{
    Span work = {(uintptr_t)workspace, (uintptr_t)workspace + workspace_bytes};
    std::vector<Span> spans;
    for (const Place &place : places)
        spans.push_back(place.memory ? place.span() : Span{0, 0});
    for (size_t i = 0; i < places.size(); i++) {
        if (meet(spans[i], work))
            refuse("tensor %ld lies in the workspace", (long)places[i].tensor->uid);
        if (program.producer((int)i) == NONE)
            continue;
        for (size_t j = 0; j < places.size(); j++) {
            bool both_outputs = program.producer((int)j) != NONE;
            if (i == j || (both_outputs && j < i) || !meet(spans[i], spans[j]) ||
                !share(places[i], spans[i], places[j], spans[j]))
                continue;
            if (both_outputs || places[i].memory != places[j].memory ||
                !in_place(program, (int)i, (int)j))
                refuse("output %ld shares memory with tensor %ld", (long)places[i].tensor->uid,
                       (long)places[j].tensor->uid);
        }
    }
}

} // namespace mock
