"""Builds the mock libraries from this folder and the kernels of ``csrc/backend/cuda/kernels``."""

import concurrent.futures
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

MOCK = pathlib.Path(__file__).resolve().parent
CSRC = MOCK.parents[2] / "csrc"
KERNELS = CSRC / "backend" / "cuda" / "kernels"
PRECISIONS = ("f32", "bf16", "f16")
DRIVER = ("hooks.cpp", *(f"cuda/{p.name}" for p in sorted((MOCK / "cuda").glob("*.cpp"))))
NVRTC = ("hooks.cpp", "nvrtc/nvrtc.cpp")
CUBLASLT = ("hooks.cpp", *(f"cublaslt/{p.name}" for p in sorted((MOCK / "cublaslt").glob("*.cpp"))))
CUDNN = ("hooks.cpp", *(f"cudnn/{p.name}" for p in sorted((MOCK / "cudnn").glob("*.cpp"))))
EMULATOR = ("emulator.cpp", "fiber.cpp", "faults.cpp", "stacks.cpp", "harness.cpp")

# No contraction: the same rounding on every processor. The kernels' casts between pointer types
# are those of CUDA, where they may alias.
FLAGS = [
    *["-std=c++17", "-O2", "-g1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off"],
    *["-fno-strict-aliasing", "-Wall", "-Wno-unknown-pragmas", "-Wno-unused-function"],
    *["-Wno-sign-compare", f"-I{CSRC}", f"-I{MOCK}"],
]
# Built as the extension is. The fibers are not for the thread sanitizer.
SANITIZERS = [s for s in ("address", "undefined") if s in os.environ.get("FTCORE_SANITIZE", "")]
if SANITIZERS:
    FLAGS += [f"-fsanitize={','.join(SANITIZERS)}", "-fno-omit-frame-pointer", "-O1"]


def compiler() -> str | None:
    """g++, which the mock is built with; None where there is none."""
    return shutil.which(os.environ.get("CXX", "g++"))


def cache() -> pathlib.Path:
    """Where what was built is kept: a folder of this user's, by the content of what it is of."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"ftcore-mock-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is another user's")
    return folder


def run(command: list[str]) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}  # a sanitizer's
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def make(name: str, key: str, command) -> pathlib.Path:
    """The file of that name and of this key, made by command(path) if it is not there yet."""
    path = cache() / hashlib.sha256(key.encode()).hexdigest()[:16] / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            command(pathlib.Path(scratch) / name)
            os.replace(pathlib.Path(scratch) / name, path)
    return path


@functools.cache
def headers() -> str:
    """The text of all headers that what is built may include."""
    folders = [CSRC / "backend", CSRC / "common"]
    paths = {p for f in folders for p in f.rglob("*") if p.suffix in (".h", ".cuh")}
    paths |= set(MOCK.rglob("*.h"))
    return "".join(f"{p.name}\n{p.read_text()}" for p in sorted(paths))


def listed() -> dict[str, list[str]]:
    """The kernels of list.h, by source."""
    names: dict[str, list[str]] = {}
    text = (KERNELS / "list.h").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for source, name in re.findall(r"FT_KERNEL_OF\(\s*(\w+)\s*,\s*(\w+)\s*\)", text):
        names.setdefault(source, []).append(name)
    return names


UNIT = """#include "emulator.h"
#include "backend/precision.h"
namespace {{
#include "{source}"
#if FT_PRECISION == 2
inline float ft_to_float(unsigned short x) {{ return ft_from_float16(x); }}
inline unsigned short ft_round_element(float x) {{ return ft_to_float16(x); }}
#endif
{kernels}
}}
"""


def kernel_object(source: pathlib.Path, names: list[str], precision: str) -> pathlib.Path:
    """A kernel source and the registration of its kernels, compiled for one precision."""
    kernels = "\n".join(f"FT_EMULATED_KERNEL({name})" for name in names)
    unit = UNIT.format(source=source, kernels=kernels)
    label = f"{source.stem}_{precision}"
    flags = [
        *[*FLAGS, f"-DFT_UNIT={label}", f"-DFT_PRECISION={PRECISIONS.index(precision)}"],
        f"-I{KERNELS}",
    ]

    def command(path):
        written = path.with_suffix(".cpp")
        written.write_text(unit)
        run([compiler(), *flags, "-c", str(written), "-o", str(path)])
        # Static shared memory: see __shared__ in emulator.h. Attributes of sections are ignored
        # inside templates by g++ before 14.
        section = ["--set-section-flags", ".bss=alloc,load,contents,data"]
        section += ["--rename-section", f".bss=ft_shared_{label}"]
        run(["objcopy", *section, str(path)])

    key = "".join([unit, source.read_text(), headers(), *flags])
    return make(f"{label}.o", key, command)


def plain_object(name: str) -> pathlib.Path:
    source = MOCK / name
    flags = [*FLAGS, "-Wextra"]

    def command(path):
        run([compiler(), *flags, "-c", str(source), "-o", str(path)])

    return make(f"{source.stem}.o", "".join([source.read_text(), headers(), *flags]), command)


def library(name: str, jobs) -> pathlib.Path:
    """A shared library of the objects that the jobs make."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        objects = [str(path) for path in threads.map(lambda job: job(), jobs)]

    def command(path):
        flags = [*FLAGS, "-shared", "-Wl,-Bsymbolic", f"-Wl,-soname,{name}", "-Wl,-z,defs"]
        run([compiler(), *flags, *objects, "-o", str(path), "-lpthread", "-ldl"])

    return make(name, " ".join(objects), command)


def jobs_of(names):
    return [functools.partial(plain_object, name) for name in names]


def kernel_jobs(source, names, precisions=PRECISIONS):
    return [functools.partial(kernel_object, source, names, p) for p in precisions]


def kernels_of(source: pathlib.Path, names: list[str], precisions=PRECISIONS):
    """A library of the kernels of one source: for tests of the emulator, or of single kernels."""
    jobs = jobs_of(EMULATOR) + kernel_jobs(source, names, precisions)
    return library(f"lib{source.stem}.so", jobs)


def driver() -> pathlib.Path:
    """libcuda.so.1, with the kernels of list.h."""
    sources = {KERNELS / f"{source}.cu": names for source, names in listed().items()}
    return driver_of("libcuda.so.1", sources)


def driver_of(name, sources, precisions=PRECISIONS) -> pathlib.Path:
    """A driver of that name with the kernels of these sources."""
    jobs = jobs_of(EMULATOR + DRIVER)
    for source, names in sources.items():
        jobs += kernel_jobs(source, names, precisions)
    return library(name, jobs)


def nvrtc() -> pathlib.Path:
    return library("libnvrtc.so.13", jobs_of(NVRTC))


def cudnn() -> pathlib.Path:
    """libcudnn.so.9."""
    return library("libcudnn.so.9", jobs_of(CUDNN))


def cublaslt() -> pathlib.Path:
    """libcublasLt.so.13."""
    return library("libcublasLt.so.13", jobs_of(CUBLASLT))


if __name__ == "__main__":
    print(driver())
    print(nvrtc())
    print(cudnn())
    print(cublaslt())
