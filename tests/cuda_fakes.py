"""Stand-ins for NVIDIA's libraries, built by the C compiler: they find nothing and compute nothing,
but answer as the real ones would."""

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

CSRC = pathlib.Path(__file__).resolve().parents[1] / "csrc"

DRIVER = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int number(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}
int cuInit(unsigned flags) { return number("FAKE_INIT", 0); }
int cuDriverGetVersion(int *version) { *version = number("FAKE_VERSION", 13000); return 0; }
int cuGetErrorName(int error, const char **name) { *name = "CUDA_ERROR_FAKE"; return 0; }
int cuGetErrorString(int error, const char **text) { *text = "it is a fake"; return 0; }
int cuDeviceGetCount(int *count) { *count = number("FAKE_DEVICES", 1); return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int bytes, int device)
{
    snprintf(name, bytes, "NVIDIA Fake %d", device);
    return number("FAKE_NAME", 0);
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)15 << 30; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    int capability = number("FAKE_CAPABILITY", 80);
    *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : 1;
    return 0;
}
"""

# A compiled source is the text of what it was compiled of and with. Each is told to FAKE_LOG.
NVRTC = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct program { const char *file; char image[4096]; };
int nvrtcVersion(int *major, int *minor) { *major = MAJOR; *minor = 5; return 0; }
const char *nvrtcGetErrorString(int result) { return "a fake error"; }
int nvrtcGetNumSupportedArchs(int *count) { *count = 3; return 0; }
int nvrtcGetSupportedArchs(int *archs) { archs[0] = 75, archs[1] = 80, archs[2] = 90; return 0; }
int nvrtcCreateProgram(struct program **p, const char *text, const char *file, int headers,
                       const char *const *texts, const char *const *files)
{
    *p = calloc(1, sizeof **p);
    (*p)->file = file;
    return 0;
}
int nvrtcDestroyProgram(struct program **p) { free(*p); return 0; }
int nvrtcCompileProgram(struct program *p, int count, const char *const *options)
{
    if (getenv("FAKE_COMPILE_ERROR"))
        return 6;
    strcat(p->image, p->file);
    for (int i = 0; i < count; i++)
        strcat(strcat(p->image, " "), options[i]);
    if (getenv("FAKE_LOG")) {
        FILE *log = fopen(getenv("FAKE_LOG"), "a");
        fprintf(log, "%s\\n", p->image);
        fclose(log);
    }
    return 0;
}
int nvrtcGetProgramLogSize(struct program *p, size_t *bytes) { *bytes = 20; return 0; }
int nvrtcGetProgramLog(struct program *p, char *log) { strcpy(log, "line 1: no such"); return 0; }
int nvrtcGetCUBINSize(struct program *p, size_t *bytes) { *bytes = strlen(p->image); return 0; }
int nvrtcGetCUBIN(struct program *p, char *out)
{
    memcpy(out, p->image, strlen(p->image));
    return 0;
}
int nvrtcGetPTXSize(struct program *p, size_t *bytes) { *bytes = strlen(p->image) + 1; return 0; }
int nvrtcGetPTX(struct program *p, char *out) { strcpy(out, p->image); return 0; }
"""

CUDNN = """
#include <stddef.h>
size_t cudnnGetVersion(void) { return VERSION; }
size_t cudnnGetCudartVersion(void) { return CUDA * 1000 + 10; }
"""

CUBLASLT = "unsigned long cublasLtGetVersion(void) { return 130001; }"


def compiler():
    found = shutil.which(os.environ.get("CC", "gcc"))
    if found is None or sys.platform != "linux":
        pytest.skip("stand-ins for NVIDIA's libraries are built with gcc, on Linux")
    return found


@functools.cache
def driver_source():
    """With the functions of the product's table that DRIVER leaves out: they refuse everything."""
    wanted = re.findall(
        r"\bFT_CU_FUNCTION\(\s*\w+,\s*(\w+)",
        (CSRC / "backend" / "cuda" / "driver" / "driver_api.h").read_text(),
    )
    others = [name for name in wanted if name != "symbol" and f" {name}(" not in DRIVER]
    return DRIVER + "".join(f"int {name}(void) {{ return 801; }}\n" for name in others)


@functools.cache
def built(soname, source, *options):
    """The library's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / soname
        command = [compiler(), "-shared", "-fPIC", "-w", f"-Wl,-soname,{soname}", *options]
        subprocess.run(
            [*command, "-x", "c", "-", "-o", str(path)], input=source, text=True, check=True
        )
        return path.read_bytes()


def build(folder, soname, source, *options):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / soname
    path.write_bytes(built(soname, source, *options))
    return path


def driver(folder):
    return build(folder, "libcuda.so.1", driver_source())


def nvrtc(folder, major=13):
    return build(folder, f"libnvrtc.so.{major}", NVRTC, f"-DMAJOR={major}")


def cudnn(folder, major=13, version=91801):
    return build(folder, "libcudnn.so.9", CUDNN, f"-DCUDA={major}", f"-DVERSION={version}")


def cublaslt(folder, major=13):
    return build(folder, f"libcublasLt.so.{major}", CUBLASLT)


def ask(expression, folders=(), before="", **environment):
    """The value of a Python expression of `core` in a process of its own, which looks for libraries
    in these folders; it must be JSON."""
    script = (
        "import json, sys\nfrom ftcore import _core as core\n"
        f"core.set_library_folders({[str(f) for f in folders]!r})\n{before}\n"
        f"json.dump({expression}, sys.stdout)"
    )
    clean = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=clean | {k: str(v) for k, v in environment.items()},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def nvidia_files(pattern):
    """Files of NVIDIA's wheels: of those in $FTCORE_GPU_WHEELS, a site-packages folder, or else of
    those that are installed."""
    roots = [os.environ["FTCORE_GPU_WHEELS"]] if "FTCORE_GPU_WHEELS" in os.environ else sys.path
    return sorted(p for root in roots for p in pathlib.Path(root).glob(f"nvidia/*/{pattern}"))


def nvidia_folders(library):
    """The folders of NVIDIA's own libraries where this one is among them; skips the test where it
    is not."""
    if not nvidia_files(f"lib/{library}"):
        pytest.skip(f"{library} was not found in NVIDIA's wheels ($FTCORE_GPU_WHEELS)")
    return sorted({p.parent for p in nvidia_files("lib/*.so.*")})
