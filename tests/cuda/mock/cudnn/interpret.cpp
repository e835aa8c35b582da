#include "interpret.h"

#include <cstring>
#include <memory>

#include "aliases.h"
#include "failure.h"
#include "steps.h"
#include "values.h"

namespace mock
{

namespace
{

class Run
{
  public:
    Run(const Program &program, const std::vector<void *> &memory)
        : program(program), memory(memory), values(program.tensors.size())
    {
    }
    void carry_out(const Step &);
    void read_inputs();
    void write_outputs();
    std::vector<Place> places() const;

  private:
    const Program &program;
    const std::vector<void *> &memory;
    std::vector<std::unique_ptr<Values>> values; // by tensor

    Place place(size_t tensor) const;
    Operand operand(const Step &, Role) const;
    std::vector<int32_t> lengths(const Step &, Role, int64_t most) const;
    uint64_t integer(const Step &, Role) const;
};

Place Run::place(size_t index) const
{
    const Tensor &tensor = program.tensors[index];
    const void *offsets = nullptr;
    if (tensor.ragged != NONE)
        offsets = memory[(size_t)program.find(tensor.ragged)];
    return {&tensor, memory[index], (const int32_t *)offsets};
}

std::vector<Place> Run::places() const
{
    std::vector<Place> all;
    for (size_t i = 0; i < program.tensors.size(); i++)
        all.push_back(place(i));
    return all;
}

void Run::read_inputs()
{
    for (size_t i = 0; i < program.tensors.size(); i++)
        if (program.producer((int)i) == NONE)
            values[i] = std::make_unique<Values>(read(place(i)));
}

void Run::write_outputs()
{
    for (size_t i = 0; i < program.tensors.size(); i++)
        if (program.producer((int)i) != NONE && memory[i])
            write(place(i), *values[i]);
}

Operand Run::operand(const Step &step, Role role) const
{
    if (step.tensors[role] == NONE)
        return {nullptr, nullptr};
    return {program.at(step, role), values[(size_t)step.tensors[role]].get()};
}

std::vector<int32_t> Run::lengths(const Step &step, Role role, int64_t most) const
{
    if (step.tensors[role] == NONE)
        return {};
    const int32_t *first = (const int32_t *)memory[(size_t)step.tensors[role]];
    std::vector<int32_t> all(first, first + program.at(step, role)->elements());
    for (int32_t length : all)
        if (length < 0 || length > most)
            refuse("a matmul's length is %d, its tensor's dimension %ld", length, (long)most);
    return all;
}

uint64_t Run::integer(const Step &step, Role role) const
{
    uint64_t value;
    memcpy(&value, memory[(size_t)step.tensors[role]], sizeof value);
    return value;
}

void Run::carry_out(const Step &step)
{
    const Tensor &out = *program.at(step, OUT);
    Operand a = operand(step, A), b = operand(step, B);
    auto make = [&]() -> Values {
        switch (step.kind) {
        case Kind::MATMUL: {
            size_t rank = out.rank();
            return matmul(out, a, b, lengths(step, M, out.dims[rank - 2]),
                          lengths(step, N, out.dims[rank - 1]),
                          lengths(step, K, a.tensor->dims[rank - 1]));
        }
        case Kind::POINTWISE:
            return pointwise(step, out, a, b, operand(step, T));
        case Kind::REDUCTION:
            return reduction(step, out, a);
        case Kind::RESHAPE:
            return reshape(out, a);
        default:
            return rng(step, out, integer(step, SEED), integer(step, OFFSET));
        }
    };
    values[(size_t)step.tensors[OUT]] = std::make_unique<Values>(make());
}

} // namespace

void interpret(const Program &program, const std::vector<void *> &memory, void *workspace)
{
    Run run(program, memory);
    check_aliases(program, run.places(), workspace, WORKSPACE_BYTES);
    run.read_inputs();
    for (const Step &step : program.steps)
        run.carry_out(step);
    run.write_outputs();
    memset(workspace, 0xA5, WORKSPACE_BYTES);
}

} // namespace mock
