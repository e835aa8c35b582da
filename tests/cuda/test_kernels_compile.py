"""Every CUDA kernel compiles for every GPU architecture that we name, by NVIDIA's compiler, which
needs no GPU: without a warning, and without a register that is spilled to memory. list.h names them
all."""

import concurrent.futures
import ctypes
import functools
import os
import pathlib
import re

import pytest
from cuda_fakes import nvidia_files
from cuda_support import PRECISIONS, build

LISTED = build.listed()
CAPABILITIES = (75, 80, 86, 89, 90, 100, 120)
# ptxas says of each function what it takes.
FUNCTION = re.compile(r"Compiling entry function '(\w+)'.*?(?=Compiling entry|\Z)", re.DOTALL)
SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")


class Nvrtc:
    """NVIDIA's run-time compiler."""

    def __init__(self, folder: pathlib.Path):
        # Some releases do not find this one by themselves.
        for path in plain(folder.glob("libnvrtc-builtins.so.*")):
            ctypes.CDLL(str(path))
        self.library = ctypes.CDLL(str(plain(folder.glob("libnvrtc.so.*"))[0]))
        self.library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def call(self, name, *arguments) -> str | None:
        code = getattr(self.library, name)(*arguments)
        return self.library.nvrtcGetErrorString(code).decode() if code else None

    def capabilities(self) -> list[int]:
        """The GPUs that this release compiles for."""
        count = ctypes.c_int()
        assert self.call("nvrtcGetNumSupportedArchs", ctypes.byref(count)) is None
        known = (ctypes.c_int * count.value)()
        assert self.call("nvrtcGetSupportedArchs", known) is None
        return list(known)

    def compile(self, source: pathlib.Path, options: list[str]) -> tuple[str | None, str]:
        """What failed, or None; and the compiler's messages."""
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        made = (ctypes.byref(program), source.read_bytes(), source.name.encode(), 0, None, None)
        assert self.call("nvrtcCreateProgram", *made) is None
        encoded = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        failed = self.call("nvrtcCompileProgram", program, len(options), encoded)
        self.call("nvrtcGetProgramLogSize", program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        self.call("nvrtcGetProgramLog", program, log)
        self.call("nvrtcDestroyProgram", ctypes.byref(program))
        return failed, log.value.decode()


def plain(paths) -> list[pathlib.Path]:
    """Without the variants that wheels hold beside a library."""
    return sorted(path for path in paths if ".alt." not in path.name)


@functools.cache
def nvrtc() -> Nvrtc | None:
    found = plain(nvidia_files("lib/libnvrtc.so.*"))
    return Nvrtc(found[0].parent) if found else None


def test_the_list_has_every_source_and_each_kernel_once():
    assert sorted(LISTED) == sorted(path.stem for path in build.KERNELS.glob("*.cu"))
    names = [name for names in LISTED.values() for name in names]
    assert len(set(names)) == len(names)


def faults_of(source: str, precision: str, capability: int) -> list[str]:
    """What is wrong with a source's kernels of one precision, compiled for such GPUs."""
    name = PRECISIONS[precision]
    failed, log = nvrtc().compile(
        build.KERNELS / f"{source}.cu",
        [
            f"--gpu-architecture=sm_{capability}",
            "--std=c++17",
            f"-DFT_PRECISION={list(PRECISIONS).index(precision)}",
            f"-I{build.KERNELS}",
            "--ptxas-options=-v",
        ],
    )
    if failed is not None or "warning" in log.lower():
        return [f"{source} {precision}: {failed}\n{log}"]
    said = {match[1]: match[0] for match in FUNCTION.finditer(log)}
    faults = [f"{source} {precision}: {f}" for f in set(said) ^ functions(source, name)]
    for about in said.values():
        spills = SPILLS.search(about)
        if spills is None or set(spills.groups()) != {"0"}:
            faults.append(about)
    return faults


def functions(source: str, name: str) -> set[str]:
    return {f"ft_{kernel}_{name}" for kernel in LISTED[source]}


@pytest.mark.slow
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_kernels_compile_without_warnings_or_spills(capability):
    if nvrtc() is None:
        pytest.skip("NVRTC was not found in NVIDIA's wheels ($FTCORE_GPU_WHEELS)")
    if capability not in nvrtc().capabilities():
        pytest.skip(f"this NVRTC does not know sm_{capability}")
    each = [(source, precision, capability) for source in LISTED for precision in PRECISIONS]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = [fault for found in pool.map(lambda one: faults_of(*one), each) for fault in found]
    assert faults == []
