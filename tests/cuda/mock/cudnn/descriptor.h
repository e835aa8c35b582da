// Descriptors: attributes set by name, type and count, checked against what their kind has.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "program.h"

namespace mock
{

enum class Use { REQUIRED, OPTIONAL, ANSWER }; // ANSWER: got, never set

struct Attribute {
    int name, type;
    int64_t fewest, most; // elements
    Use use;
};

struct Kinds {
    int kind;
    const char *name;
    std::vector<Attribute> attributes;
};

const Kinds &kind_of(int kind);
size_t element_bytes(int attribute_type);

class Descriptor;
using Reference = std::shared_ptr<Descriptor>;

struct Value {
    int type = 0;
    int64_t count = 0;
    std::vector<uint8_t> bytes;        // of elements that are no descriptors
    std::vector<Reference> references; // of those that are
};

class Descriptor
{
  public:
    explicit Descriptor(int kind) : kind(kind) {}

    const int kind;
    bool finalized = false;
    bool destroyed = false;

    void set(int name, int type, int64_t count, Value value);
    bool has(int name) const;
    // What was set. Refused where it was not.
    const Value &value(int name) const;
    // Its first element.
    template <typename T> T scalar(int name) const
    {
        return *reinterpret_cast<const T *>(value(name).bytes.data());
    }
    template <typename T> T scalar(int name, T otherwise) const
    {
        return has(name) ? scalar<T>(name) : otherwise;
    }
    template <typename T> std::vector<T> array(int name) const
    {
        const T *first = reinterpret_cast<const T *>(value(name).bytes.data());
        return std::vector<T>(first, first + value(name).count);
    }
    std::string characters(int name) const;
    // The finalised descriptor, of that kind, that an attribute names.
    const Descriptor &reference(int name, int of_kind) const;

    // Refuses a descriptor with attributes missing.
    void check_complete() const;
    const Attribute &attribute(int name, int type) const;
    const char *name() const;

    // What finalising made of it: of an operation graph, a configuration, a plan.
    std::shared_ptr<const Program> program;
    bool has_device = false; // a handle or device properties are known
    int engine = 0;          // of a configuration, an engine and a plan
    bool fails = false;      // a configuration whose plans do not finalise
    int configurations = 0;  // of heuristics: how many
    int failing = 0;         // ... the first of which fail

  private:
    std::map<int, Value> values;
};

// Refuses a descriptor that is destroyed, not finalised or not of that kind.
void check_usable(const Descriptor &, int kind);

} // namespace mock
