/* Modules, their kernels, and launches. */
#include <cstdlib>
#include <cstring>
#include <map>

#include <elf.h>

#include "../launch.h"
#include "driver.h"

namespace driver
{

struct Function {
    const emulator::Kernel *kernel;
    int most_shared; /* bytes of dynamic shared memory */
};

struct Module {
    std::string image;
    std::map<std::string, Function> functions = {};
};

static Objects<Module> modules;
static std::map<std::string, int> launches;
static emulator::Order order;

void reset_modules()
{
    const char *wanted = getenv("FT_MOCK_ORDER");
    order = wanted != nullptr && wanted[0] == '1' ? emulator::Order::descending
                                                  : emulator::Order::ascending;
    launches.clear();
}

static const bool started = (reset_modules(), true);

int modules_alive()
{
    return modules.count();
}

/* An image of NVRTC's up to the end of its last section; or one of the mock NVRTC's, which is text:
 * see nvrtc.cpp. */
static std::string image_of(const void *data)
{
    const char *bytes = (const char *)data;
    if (memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return bytes;
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)bytes;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(bytes + header->e_shoff);
    size_t end = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
    for (int i = 0; i < header->e_shnum; i++) {
        size_t section_end = sections[i].sh_offset + sections[i].sh_size;
        if (sections[i].sh_type != SHT_NOBITS && section_end > end)
            end = section_end;
    }
    return std::string(bytes, end);
}

static const char *const mock_image = "mock image for sm_";

static int check_image(const std::string &image)
{
    if (image.compare(0, SELFMAG, ELFMAG) == 0 || image.compare(0, 2, "//") == 0 ||
        image.compare(0, 8, ".version") == 0)
        return SUCCESS;
    if (image.compare(0, strlen(mock_image), mock_image) != 0)
        return failure(INVALID_IMAGE, "neither an ELF file nor PTX");
    int capability = atoi(image.c_str() + strlen(mock_image));
    if (capability / 10 != device().major || capability % 10 > device().minor)
        return failure(NO_BINARY_FOR_GPU, "a module for sm_%d on sm_%d%d", capability,
                       device().major, device().minor);
    return SUCCESS;
}

static Function *function_of(void *handle)
{
    for (Module *module : modules.alive)
        for (auto &[name, function] : module->functions)
            if (&function == handle)
                return &function;
    return nullptr;
}

} // namespace driver

using namespace driver;

FT_EXPORT int cuModuleLoadData(void **out, const void *data)
{
    FT_CALL(cuModuleLoadData);
    FT_TRY(check_unsafe("cuModuleLoadData"));
    std::string image = image_of(data);
    FT_TRY(check_image(image));
    *out = modules.add(image);
    return SUCCESS;
}

FT_EXPORT int cuModuleUnload(void *handle)
{
    FT_CALL(cuModuleUnload);
    FT_TRY(check_unsafe("cuModuleUnload"));
    FT_TRY(drain_all());
    return modules.remove(handle) ? SUCCESS : INVALID_HANDLE;
}

FT_EXPORT int cuModuleGetFunction(void **out, void *handle, const char *name)
{
    FT_CALL(cuModuleGetFunction);
    Module *module = modules.find(handle);
    if (module == nullptr)
        return failure(INVALID_HANDLE, "cuModuleGetFunction: there is no such module");
    if (module->image.find(name) == std::string::npos)
        return failure(NOT_FOUND, "the module has no %s", name);
    const emulator::Kernel *kernel = emulator::find(name);
    if (kernel == nullptr)
        return failure(NOT_FOUND, "%s is not in list.h", name);
    constexpr int most_unasked = 49152;
    *out = &module->functions.insert({name, {kernel, most_unasked}}).first->second;
    return SUCCESS;
}

FT_EXPORT int cuFuncSetAttribute(void *handle, int attribute, int value)
{
    FT_CALL(cuFuncSetAttribute);
    Function *function = function_of(handle);
    if (function == nullptr)
        return failure(INVALID_HANDLE, "cuFuncSetAttribute: there is no such function");
    if (attribute != 8) /* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
        return SUCCESS;
    if (value < 0 || value > device().shared_memory)
        return failure(INVALID_VALUE, "%s: %d bytes of shared memory, the GPU has %d",
                       function->kernel->name, value, device().shared_memory);
    function->most_shared = value;
    return SUCCESS;
}

static int run(emulator::Launch launch, const std::vector<char> &parameter)
{
    FT_TRY(ready());
    launch.parameter = parameter.data();
    launch.order = order;
    launches[launch.kernel->name]++;
    std::string problem = emulator::run(launch);
    if (problem.empty() && !(problem = check_bounds()).empty())
        problem = std::string(launch.kernel->name) + ": " + problem;
    if (problem.empty())
        return SUCCESS;
    return break_context(failure(LAUNCH_FAILED, "%s", problem.c_str()));
}

FT_EXPORT int cuLaunchKernel(void *handle, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                             unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                             void *stream_handle, void **parameters, void **extra)
{
    FT_CALL(cuLaunchKernel);
    Function *function = function_of(handle);
    Stream *stream = stream_of(stream_handle);
    if (function == nullptr || stream == nullptr)
        return failure(INVALID_HANDLE, "cuLaunchKernel: there is no such %s",
                       function == nullptr ? "function" : "stream");
    const emulator::Kernel *kernel = function->kernel;
    if (parameters == nullptr || extra != nullptr)
        return failure(INVALID_VALUE, "%s: its parameter is to be given", kernel->name);
    if ((int)shared > function->most_shared)
        return failure(INVALID_VALUE, "%s: %u bytes of dynamic shared memory, where %d are allowed",
                       kernel->name, shared, function->most_shared);
    emulator::Launch launch = {
        kernel, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared, nullptr, order};
    std::string problem = emulator::check(launch);
    if (!problem.empty())
        return failure(INVALID_VALUE, "%s", problem.c_str());
    const char *parameter = (const char *)parameters[0];
    std::vector<char> copy(parameter, parameter + kernel->parameter_bytes);
    return enqueue(stream, [=] { return run(launch, copy); });
}

FT_EXPORT void mock_set_order(int wanted)
{
    order = (emulator::Order)wanted;
}

FT_EXPORT int mock_launches(const char *kernel)
{
    std::lock_guard<std::recursive_mutex> held(hooks::lock);
    int count = 0;
    for (const auto &[name, times] : launches)
        if (kernel == nullptr || name == kernel)
            count += times;
    return count;
}
