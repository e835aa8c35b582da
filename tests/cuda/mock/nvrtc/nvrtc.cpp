/* A mock libnvrtc.so.13. It preprocesses programs, with g++, and compiles nothing: its images say
 * for which GPU they are and hold the preprocessed text, in which the mock driver looks for a
 * kernel's name. That the text is CUDA, other tests see to, by NVIDIA's NVRTC. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <vector>

#include "../hooks.h"
#include "../mock.h"

namespace files = std::filesystem;

namespace
{

enum Result {
    SUCCESS = 0,
    INVALID_INPUT = 3,
    INVALID_PROGRAM = 4,
    INVALID_OPTION = 5,
    COMPILATION = 6,
};

const char *const names[] = {
    "NVRTC_SUCCESS",
    "NVRTC_ERROR_OUT_OF_MEMORY",
    "NVRTC_ERROR_PROGRAM_CREATION_FAILURE",
    "NVRTC_ERROR_INVALID_INPUT",
    "NVRTC_ERROR_INVALID_PROGRAM",
    "NVRTC_ERROR_INVALID_OPTION",
    "NVRTC_ERROR_COMPILATION",
    "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE",
};

const int architectures[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

struct Program {
    std::string name, source;
    std::map<std::string, std::string> headers = {};
    std::string log = "", cubin = "", ptx = "";
};

struct Options {
    int architecture = 75;
    bool real = true; /* sm_: a CUBIN; compute_: PTX alone */
    std::vector<std::string> macros;
};

std::set<Program *> programs;
int version_major = 13, version_minor = 0;

bool starts_with(const std::string &text, const std::string &start)
{
    return text.compare(0, start.size(), start) == 0;
}

bool is_known(int architecture)
{
    for (int known : architectures)
        if (known == architecture)
            return true;
    return false;
}

bool set_architecture(const std::string &value, Options *out)
{
    bool real = starts_with(value, "sm_");
    if (!real && !starts_with(value, "compute_"))
        return false;
    out->real = real;
    out->architecture = atoi(value.c_str() + (real ? 3 : 8));
    return is_known(out->architecture);
}

/* Those of NVRTC's that change nothing here. */
bool is_harmless(const std::string &option)
{
    static const std::set<std::string> known = {
        "--use_fast_math",
        "-use_fast_math",
        "--fmad=true",
        "--fmad=false",
        "-fmad=true",
        "-fmad=false",
        "--ftz=true",
        "--ftz=false",
        "--prec-div=true",
        "--prec-div=false",
        "--prec-sqrt=true",
        "--prec-sqrt=false",
        "--restrict",
        "-restrict",
        "--device-as-default-execution-space",
        "-default-device",
        "--generate-line-info",
        "-lineinfo",
        "--disable-warnings",
        "-w",
        "--no-source-include",
        "--std=c++14",
        "--std=c++17",
        "--std=c++20",
        "-std=c++14",
        "-std=c++17",
        "-std=c++20",
        "--ptxas-options=-v",
        "--ptxas-options=-O3",
    };
    return known.count(option) || starts_with(option, "--maxrregcount=");
}

/* False: an option is wrong, and the log says so. */
bool parse(int count, const char *const *options, Options *out, std::string *log)
{
    for (int i = 0; i < count; i++) {
        std::string option = options[i];
        size_t equals = option.find('=');
        std::string key = option.substr(0, equals);
        std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
        if (key == "--gpu-architecture" || key == "-arch") {
            if (!set_architecture(value, out)) {
                *log = "nvrtc: error: invalid value for --gpu-architecture (-arch)\n";
                return false;
            }
        } else if (key == "--define-macro") {
            out->macros.push_back("-D" + value);
        } else if (starts_with(option, "-D") && option.size() > 2) {
            out->macros.push_back(option);
        } else if (!is_harmless(option)) {
            *log = "nvrtc: error: unrecognized option " + option + "\n";
            return false;
        }
    }
    return true;
}

std::string text_of(const files::path &path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string shell_quoted(const std::string &text)
{
    std::string out = "'";
    for (char c : text)
        out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

/* g++'s exit status; what it wrote, and what it said. */
int preprocess(const Program &program, const Options &options, std::string *text, std::string *log)
{
    std::string folder = (files::temp_directory_path() / "mock-nvrtc-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr)
        return 1;
    files::path root = folder;
    for (const auto &[name, content] : program.headers) {
        files::create_directories((root / name).parent_path());
        std::ofstream(root / name) << content;
    }
    std::ofstream(root / program.name) << program.source;
    const char *compiler = getenv("CXX");
    std::string command = "unset LD_PRELOAD; cd " + shell_quoted(folder) + " && " +
                          (compiler ? compiler : "g++") +
                          " -E -P -x c++ -nostdinc -iquote . -D__CUDACC_RTC__ -D__CUDACC__"
                          " -D__CUDA_ARCH__=" +
                          std::to_string(options.architecture * 10);
    for (const std::string &macro : options.macros)
        command += " " + shell_quoted(macro);
    command += " " + shell_quoted(program.name) + " > preprocessed 2> log";
    int status = system(command.c_str());
    *text = text_of(root / "preprocessed");
    *log = text_of(root / "log");
    files::remove_all(root);
    return status;
}

int copy_out(const std::string &text, char *out)
{
    memcpy(out, text.c_str(), text.size() + 1);
    return SUCCESS;
}

} // namespace

#define FT_PROGRAM(handle)                                                                         \
    Program *program = (Program *)(handle);                                                        \
    if (!programs.count(program))                                                                  \
    return INVALID_PROGRAM

FT_EXPORT const char *nvrtcGetErrorString(int result)
{
    return result >= 0 && result < (int)(sizeof names / sizeof *names) ? names[result]
                                                                       : "NVRTC_ERROR unknown";
}

FT_EXPORT int nvrtcVersion(int *major, int *minor)
{
    FT_HOOK(nvrtcVersion);
    *major = version_major;
    *minor = version_minor;
    return SUCCESS;
}

FT_EXPORT int nvrtcGetNumSupportedArchs(int *out)
{
    FT_HOOK(nvrtcGetNumSupportedArchs);
    *out = sizeof architectures / sizeof *architectures;
    return SUCCESS;
}

FT_EXPORT int nvrtcGetSupportedArchs(int *out)
{
    FT_HOOK(nvrtcGetSupportedArchs);
    memcpy(out, architectures, sizeof architectures);
    return SUCCESS;
}

FT_EXPORT int nvrtcCreateProgram(void **out, const char *source, const char *name, int count,
                                 const char *const *headers, const char *const *header_names)
{
    FT_HOOK(nvrtcCreateProgram);
    if (source == nullptr || count < 0)
        return INVALID_INPUT;
    Program *program = new Program{name == nullptr ? "default_program" : name, source};
    for (int i = 0; i < count; i++)
        program->headers[header_names[i]] = headers[i];
    programs.insert(program);
    *out = program;
    return SUCCESS;
}

FT_EXPORT int nvrtcDestroyProgram(void **handle)
{
    FT_HOOK(nvrtcDestroyProgram);
    FT_PROGRAM(*handle);
    programs.erase(program);
    delete program;
    *handle = nullptr;
    return SUCCESS;
}

FT_EXPORT int nvrtcCompileProgram(void *handle, int count, const char *const *option_list)
{
    FT_HOOK(nvrtcCompileProgram);
    FT_PROGRAM(handle);
    Options options;
    program->cubin.clear();
    program->ptx.clear();
    if (!parse(count, option_list, &options, &program->log))
        return INVALID_OPTION;
    std::string text;
    if (preprocess(*program, options, &text, &program->log) != 0)
        return COMPILATION;
    std::string architecture = std::to_string(options.architecture);
    program->ptx = "// mock PTX for compute_" + architecture + "\n" + text;
    if (options.real)
        program->cubin = "mock image for sm_" + architecture + "\n" + text;
    return SUCCESS;
}

/* Each size counts a zero at the end: of a CUBIN too, which is text here. */
FT_EXPORT int nvrtcGetProgramLogSize(void *handle, size_t *out)
{
    FT_HOOK(nvrtcGetProgramLogSize);
    FT_PROGRAM(handle);
    *out = program->log.size() + 1;
    return SUCCESS;
}

FT_EXPORT int nvrtcGetProgramLog(void *handle, char *out)
{
    FT_HOOK(nvrtcGetProgramLog);
    FT_PROGRAM(handle);
    return copy_out(program->log, out);
}

FT_EXPORT int nvrtcGetPTXSize(void *handle, size_t *out)
{
    FT_HOOK(nvrtcGetPTXSize);
    FT_PROGRAM(handle);
    if (program->ptx.empty())
        return INVALID_PROGRAM;
    *out = program->ptx.size() + 1;
    return SUCCESS;
}

FT_EXPORT int nvrtcGetPTX(void *handle, char *out)
{
    FT_HOOK(nvrtcGetPTX);
    FT_PROGRAM(handle);
    return program->ptx.empty() ? INVALID_PROGRAM : copy_out(program->ptx, out);
}

FT_EXPORT int nvrtcGetCUBINSize(void *handle, size_t *out)
{
    FT_HOOK(nvrtcGetCUBINSize);
    FT_PROGRAM(handle);
    *out = program->cubin.empty() ? 0 : program->cubin.size() + 1;
    return SUCCESS;
}

FT_EXPORT int nvrtcGetCUBIN(void *handle, char *out)
{
    FT_HOOK(nvrtcGetCUBIN);
    FT_PROGRAM(handle);
    return program->cubin.empty() ? INVALID_PROGRAM : copy_out(program->cubin, out);
}

FT_EXPORT void mock_set_nvrtc_version(int major, int minor)
{
    version_major = major;
    version_minor = minor;
}

FT_EXPORT int mock_programs()
{
    return (int)programs.size();
}

FT_EXPORT void mock_reset()
{
    hooks::reset();
    version_major = 13;
    version_minor = 0;
}
