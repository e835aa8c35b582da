"""cuDNN itself builds execution plans of the product's graphs, for GPUs that are not at hand.

A plan is built by the code that builds it on a GPU, kernels compiled and all, and loaded again from
its text. So sizes, strides, types and attributes are right, and the graph is one that cuDNN has an
engine for on that GPU; what the kernels compute only a GPU can tell. cuDNN may end the process,
so each GPU has one of its own.

    PYTHONPATH=tests FTCORE_GPU_WHEELS=FOLDER python tests/cuda/test_plans.py

prints what was chosen.
"""

import concurrent.futures
import functools
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import typing

import gpu_wheels
import pytest

HERE = pathlib.Path(__file__).parent
SOURCES = HERE.parents[1] / "csrc"
DEVICES = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]
CANARY = "bert-base bfloat16 attention dense forward"


class Plan(typing.NamedTuple):
    name: str
    engine: str  # cuDNN's number of it; "failed": why is in workspace; "": cuDNN did not come back
    workspace: str
    seconds: str

    @property
    def built(self) -> bool:
        return self.engine.isdigit()


def compile_c(target: pathlib.Path, *arguments: str | pathlib.Path) -> pathlib.Path:
    command = ["cc", "-std=gnu11", "-O1", f"-I{SOURCES}", "-o", str(target), *map(str, arguments)]
    subprocess.run(command, check=True)
    return target


def nvrtc_files() -> list[pathlib.Path]:
    found = gpu_wheels.find("cu13/lib/libnvrtc*.so.*", "cuda_nvrtc/lib/libnvrtc*.so.*")
    return [path for path in found if ".alt." not in path.name]


def nvrtc_version() -> tuple[int, ...]:
    """By which its builtins are named."""
    numbers = (re.search(r"builtins\.so\.([0-9.]+)$", path.name) for path in nvrtc_files())
    return max(tuple(map(int, number[1].split("."))) for number in numbers if number)


def libraries(folder: pathlib.Path) -> list[pathlib.Path]:
    """What the program loads, in order: stand-ins for what needs a GPU, then NVIDIA's own."""
    nvrtc = nvrtc_files()
    cudnn = gpu_wheels.find("cudnn/lib/libcudnn.so.9")
    if not nvrtc or not cudnn or gpu_wheels.cudnn_version() < (9, 10, 2):
        pytest.skip(
            "needs cuDNN 9.10.2 or newer and NVRTC: pip install --no-deps nvidia-cudnn-cu13 "
            "nvidia-cuda-nvrtc"
        )
    shared = ["-shared", "-fPIC"]
    major = nvrtc[-1].name.rpartition(".")[2]
    driver = compile_c(
        folder / "libcuda.so.1", *shared, "-Wl,-soname,libcuda.so.1", HERE / "standin/cuda.c"
    )
    name = f"libcublasLt.so.{major}"
    blas = compile_c(folder / name, *shared, f"-Wl,-soname,{name}", HERE / "standin/cublas_lt.c")
    return [driver, *nvrtc, blas, cudnn[0]]


@functools.cache
def program() -> list[str]:
    """The program that builds plans, and its libraries."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ftcore-plans-"))
    loaded = libraries(folder)
    cudnn = SOURCES / "backend/cuda/cudnn"
    names = ["attention_graph", "graph", "library", "plans"]
    sources = [cudnn / f"{name}.c" for name in names]
    common = [SOURCES / "common/memory.c", SOURCES / "common/status.c"]
    built = compile_c(folder / "plans", HERE / "plans.c", *sources, *common, "-ldl")
    return [str(built), *map(str, loaded)]


def build_plans(device: str, names: str = "") -> list[Plan]:
    """Those whose names begin so, for one GPU."""
    command, *loaded = program()
    done = subprocess.run([command, device, names, *loaded], capture_output=True, text=True)
    lines = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    plans = [Plan(*(line + [""] * 4)[:4]) for line in lines]
    assert done.returncode == 0, (
        f"{device}: ended with {done.returncode} at {plans[-1:]}: {done.stderr}"
    )
    return plans


@functools.cache
def all_plans() -> dict[str, concurrent.futures.Future[list[Plan]]]:
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    return {device: pool.submit(build_plans, device) for device in DEVICES}


@pytest.fixture(scope="module")
def canary():
    """Without a library that it needs cuDNN finds no engine for anything, and does not say why."""
    plans = build_plans("sm_80", CANARY)
    assert plans and all(plan.built for plan in plans), (
        f"cuDNN cannot build even what it is known to have: {plans}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES[1:])
def test_every_graph_has_a_plan(canary, device):
    if device in ("sm_100", "sm_120") and nvrtc_version() < (12, 8):
        pytest.skip(f"this NVRTC does not know {device}")
    plans = all_plans()[device].result()
    assert len(plans) >= 6
    assert [plan for plan in plans if not plan.built] == []


@pytest.mark.slow
def test_what_a_gpu_has_not_is_refused(canary):
    """Attention before compute capability 8.0: the proof can fail."""
    assert [plan.engine for plan in all_plans()["sm_75"].result()] == ["failed", "failed"]


if __name__ == "__main__":
    for chosen in sys.argv[1:] or DEVICES:
        for plan in build_plans(chosen):
            print(f"{chosen:7}{plan.name:58}{plan.engine:>7}{plan.workspace:>12}{plan.seconds:>7}")
