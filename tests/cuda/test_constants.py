"""The constants that ftcore has of NVIDIA's interfaces are those of NVIDIA's headers."""

import pathlib
import re
import shutil
import subprocess

import gpu_wheels
import pytest

SOURCES = pathlib.Path(__file__).parents[2] / "csrc/backend/cuda"

# cuDNN's headers include these two of the CUDA runtime's, for a few types.
RUNTIME = {
    "cuda_runtime_api.h": "#include <stddef.h>\n"
    "typedef struct CUstream_st *cudaStream_t; typedef struct CUgraph_st *cudaGraph_t;\n",
    "library_types.h": "typedef int libraryPropertyType; typedef int cudaDataType;\n",
}


def assert_equal(constants, header, includes, folder):
    """Each of the constants, (theirs, value), is what the header says."""
    program = folder / "constants.c"
    checks = [f'_Static_assert({name} == {value}, "{name}");' for name, value in constants]
    program.write_text("\n".join([f"#include <{header}>", *checks, ""]))
    command = ["cc", "-std=gnu11", "-fsyntax-only", *(f"-I{i}" for i in includes), str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_those_of_cudnn(tmp_path):
    include = gpu_wheels.cudnn_include()
    ours = (SOURCES / "cudnn/cudnn_api.h").read_text()
    constants = re.findall(r"\b(CUDNN_\w+) = (\d+)", ours)
    assert len(constants) > 100
    for name, text in RUNTIME.items():
        (tmp_path / name).write_text(text)
    assert_equal(constants, "cudnn_graph.h", [tmp_path, include], tmp_path)


CUBLASLT = (SOURCES / "cublaslt/cublaslt_api.h").read_text()
# How the product calls cuBLASLt: with pointers to void for its descriptors, and int for its
# enumerations, which is what they are to a caller.
CALLS = """
int calls(cublasLtHandle_t handle, void *object, void **out, int number, size_t size,
          int64_t leading, const float *scale, const void *memory,
          cublasLtMatmulHeuristicResult_t *choice)
{
    return cublasLtCreate(&handle) + cublasLtDestroy(handle) +
           cublasLtMatmulDescCreate((cublasLtMatmulDesc_t *)out, number, number) +
           cublasLtMatmulDescDestroy(object) +
           cublasLtMatmulDescSetAttribute(object, number, memory, size) +
           cublasLtMatrixLayoutCreate((cublasLtMatrixLayout_t *)out, number, size, size, leading) +
           cublasLtMatrixLayoutDestroy(object) +
           cublasLtMatmulPreferenceCreate((cublasLtMatmulPreference_t *)out) +
           cublasLtMatmulPreferenceDestroy(object) +
           cublasLtMatmulPreferenceSetAttribute(object, number, memory, size) +
           cublasLtMatmulAlgoGetHeuristic(handle, object, object, object, object, object, object,
                                          number, choice, &number) +
           cublasLtMatmul(handle, object, scale, memory, object, memory, object, scale, memory,
                          object, object, object, &choice->algo, object, size, object);
}
const char *texts(int status)
{
    return cublasLtGetVersion() ? cublasLtGetStatusName(status) : cublasLtGetStatusString(status);
}
"""


# cuBLASLt's include these, and look beside themselves first.
STANDINS = {
    "driver_types.h": RUNTIME["cuda_runtime_api.h"],
    "cuComplex.h": "typedef struct { float x, y; } cuComplex;\n"
    "typedef struct { double x, y; } cuDoubleComplex;\n",
    "cuda_fp16.h": "typedef struct { short bits; } __half;\n",
    "cuda_bf16.h": "typedef struct { short bits; } __nv_bfloat16;\n",
}


def cublaslt_includes(folder):
    """A folder of cuBLASLt's headers with what they include."""
    headers = [
        *gpu_wheels.find("cu13/include/cublas*.h", "cublas/include/cublas*.h"),
        *gpu_wheels.find("cu13/include/library_types.h", "cuda_runtime/include/library_types.h"),
    ]
    if not {"cublasLt.h", "cublas_api.h", "library_types.h"} <= {path.name for path in headers}:
        pytest.skip(
            "needs cuBLASLt's headers and the CUDA runtime's: pip install --no-deps nvidia-cublas "
            "nvidia-cuda-runtime"
        )
    for path in headers:
        shutil.copy(path, folder)
    for name, text in STANDINS.items():
        (folder / name).write_text(text)
    return [folder]


def test_those_of_cublaslt(tmp_path):
    constants = re.findall(r"\b(CU[A-Z]\w+) = (\d+)", CUBLASLT)
    assert len(constants) > 25
    assert_equal(constants, "cublasLt.h", cublaslt_includes(tmp_path), tmp_path)


def test_functions_and_structures_of_cublaslt(tmp_path):
    functions = set(re.findall(r"\(\*(\w+)\)\(", CUBLASLT))
    assert functions == set(re.findall(r"cublasLt(\w+)\(", CALLS))
    layout = {"algo": 0, "workspaceSize": 64, "state": 72, "wavesCount": 76, "reserved": 80}
    constants = [(f"offsetof(cublasLtMatmulHeuristicResult_t, {k})", v) for k, v in layout.items()]
    constants += [("sizeof(cublasLtMatmulHeuristicResult_t)", 96)]
    (tmp_path / "calls.h").write_text(f"#include <stddef.h>\n#include <cublasLt.h>\n{CALLS}")
    assert_equal(constants, "calls.h", cublaslt_includes(tmp_path), tmp_path)


DRIVER = (SOURCES / "driver/driver_api.h").read_text()


def driver_include():
    found = gpu_wheels.find("cu13/include/cuda.h", "cuda_runtime/include/cuda.h")
    if not found:
        pytest.skip("needs the driver's header: pip install --no-deps nvidia-cuda-runtime")
    return found[0].parent


def test_those_of_the_driver(tmp_path):
    constants = re.findall(r"FT_CU_CONSTANT\(FT_\w+,\s*\\?\s*(\w+),\s*\\?\s*(\d+)\)", DRIVER)
    assert len(constants) > 20
    assert_equal(constants, "cuda.h", [driver_include()], tmp_path)


def test_symbols_of_the_driver(tmp_path):
    """The header maps each function's plain name to the symbol that ftcore looks for."""
    symbols = re.findall(r"FT_CU_FUNCTION\(\w+,\s*\\?\s*(cu\w+),", DRIVER)
    assert len(symbols) > 20
    program = tmp_path / "symbols.c"
    checks = [
        f'_Static_assert(__builtin_strcmp(TEXT({re.sub("_v[0-9]+$", "", s)}), "{s}") == 0, "{s}");'
        f"static void *use_{s} = (void *){s};"
        for s in symbols
    ]
    head = ["#include <cuda.h>", "#define TEXT_OF(x) #x", "#define TEXT(x) TEXT_OF(x)"]
    program.write_text("\n".join([*head, *checks, ""]))
    command = ["cc", "-std=gnu11", "-fsyntax-only", f"-I{driver_include()}", str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
