"""Which devices there are, by what the core says of them: GPUs are made up here."""

import json
import os
import subprocess
import sys

import pytest
import torch

import ftcore
from ftcore import _core, devices
from ftcore.__main__ import main

GIB = 1 << 30
T4 = {"name": "Tesla T4", "capability": (7, 5), "memory": 15 * GIB, "usable": True, "reason": None}
A100 = {**T4, "name": "NVIDIA A100", "capability": (8, 0), "memory": 40 * GIB}
V100 = {
    **T4,
    "name": "Tesla V100",
    "capability": (7, 0),
    "usable": False,
    "reason": "Tesla V100 (sm_70) is not supported: train on the CPU",
}
LIBRARIES = {
    "driver": {"path": "/usr/lib/libcuda.so.1", "version": "13.0", "error": None},
    "cudnn": {"path": "/site/nvidia/cudnn/lib/libcudnn.so.9", "version": "9.18.1", "error": None},
    "nvrtc": {"path": "/site/nvidia/cu13/lib/libnvrtc.so.13", "version": "13.0", "error": None},
    "cublaslt": {"path": "/site/nvidia/libcublasLt.so.13", "version": "13.0.1", "error": None},
}
NO_DRIVER = {"path": None, "version": None, "error": "there is no NVIDIA driver here"}


@pytest.fixture
def machine(monkeypatch):
    """A function that makes the machine one with these GPUs and libraries."""

    def make(*gpus, **libraries):
        found = [{"index": i, **gpu} for i, gpu in enumerate(gpus)]
        monkeypatch.setattr(_core, "cuda_devices", lambda: found)
        monkeypatch.setattr(_core, "cuda_libraries", lambda: {**LIBRARIES, **libraries})

    monkeypatch.setattr(devices, "_AMD", devices.pathlib.Path("/dev/null/kfd"))
    return make


def test_the_first_gpu_that_will_do_is_the_default(machine):
    machine(V100, T4, A100)
    assert ftcore.default_device() == "cuda:1"
    assert ftcore.resolve_device() == "cuda:1"
    assert ftcore.resolve_device("cuda") == "cuda:1"


def test_with_no_gpu_the_default_is_the_cpu(machine):
    machine(driver=NO_DRIVER)
    assert ftcore.default_device() == "cpu"
    assert ftcore.resolve_device() == "cpu"
    assert ftcore.device_info().gpus == ()


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("cpu", "cpu"),
        ("cpu:0", "cpu"),
        ("cuda", "cuda:0"),
        ("cuda:1", "cuda:1"),
        (1, "cuda:1"),
        (torch.device("cpu"), "cpu"),
        (torch.device("cuda"), "cuda:0"),
        (torch.device("cuda", 1), "cuda:1"),
    ],
)
def test_whatever_torch_takes_for_a_device_is_one(machine, device, name):
    machine(T4, A100)
    assert ftcore.resolve_device(device) == name


@pytest.mark.parametrize(
    ("device", "error", "message"),
    [
        ("cuda:2", RuntimeError, "there is no 'cuda:2': the last GPU here is 'cuda:1'"),
        ("cuda:0", RuntimeError, r"cuda:0 \(Tesla V100\) cannot be used: .*sm_70.*on the CPU"),
        ("cpu:1", RuntimeError, "there is no 'cpu:1'"),
        ("mps", RuntimeError, "device 'mps' is not supported"),
        ("cuda:01", RuntimeError, "Invalid device string: 'cuda:01'"),
        ("CUDA", RuntimeError, "Invalid device string: 'CUDA'"),
        (torch.device("meta"), RuntimeError, "device 'meta' is not supported"),
        (-1, RuntimeError, "must not be negative"),
        (True, TypeError, "not bool"),
        (1.0, TypeError, "not float"),
    ],
)
def test_what_is_no_device_is_refused(machine, device, error, message):
    machine(V100, T4)
    with pytest.raises(error, match=message):
        ftcore.resolve_device(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", 0])
def test_with_no_gpu_cuda_is_refused_with_the_reason(machine, device):
    machine(driver=NO_DRIVER)
    with pytest.raises(RuntimeError, match="no NVIDIA driver here; the CPU can be"):
        ftcore.resolve_device(device)
    machine()
    with pytest.raises(RuntimeError, match="CUDA_VISIBLE_DEVICES"):
        ftcore.resolve_device(device)


@pytest.mark.parametrize("name", ["cudnn", "nvrtc", "cublaslt"])
def test_a_gpu_without_its_libraries_is_not_usable(machine, name):
    machine(A100, **{name: {"path": None, "version": None, "error": "pip install it"}})
    (gpu,) = ftcore.device_info().gpus
    assert (gpu.usable, gpu.reason) == (False, "pip install it")
    assert ftcore.default_device() == "cpu"
    with pytest.raises(RuntimeError, match="pip install it"):
        ftcore.resolve_device("cuda")


@pytest.fixture
def warnings_of(caplog):
    """A function that gives what is warned of a GPU that is not used."""

    def get():
        devices.warn_of_unused_gpu.cache_clear()
        caplog.clear()
        devices.warn_of_unused_gpu()
        devices.warn_of_unused_gpu()
        return [record.getMessage() for record in caplog.records]

    yield get
    devices.warn_of_unused_gpu.cache_clear()


def test_a_gpu_that_lacks_software_is_spoken_of_once(machine, warnings_of):
    lacking = {"cudnn": {"path": None, "version": None, "error": "pip install it"}}
    machine(T4, **lacking)
    (message,) = warnings_of()
    assert "cuda:0 (Tesla T4) cannot be used: pip install it" in message
    assert "use_cpu=True" in message


def test_of_gpus_that_are_too_old_or_used_nothing_is_said(machine, warnings_of):
    for gpus in ((), (V100,), (V100, T4)):
        machine(*gpus)
        assert warnings_of() == []


def test_why_float16_is_refused_is_said(machine, tmp_path):
    machine(T4, cudnn={"path": None, "version": None, "error": "pip install it"})
    with pytest.raises(
        ValueError, match=r"\(Tesla T4\) cannot be used: pip install it; on the CPU"
    ):
        ftcore.TrainingArguments(str(tmp_path), fp16=True)
    machine(driver=NO_DRIVER)
    with pytest.raises(ValueError, match="no NVIDIA driver here; on the CPU use bf16=True"):
        ftcore.TrainingArguments(str(tmp_path), fp16=True)
    with pytest.raises(ValueError, match="float16 is for GPUs; on the CPU use bf16_full_eval=True"):
        ftcore.TrainingArguments(str(tmp_path), fp16_full_eval=True, use_cpu=True)


def test_a_gpu_of_amds_is_named(machine, monkeypatch, tmp_path):
    machine(driver=NO_DRIVER)
    monkeypatch.setattr(devices, "_AMD", tmp_path)
    with pytest.raises(RuntimeError, match=r"AMD's \(ROCm\), which ftcore does not support"):
        ftcore.resolve_device("cuda")


def test_the_report_says_what_there_is_and_where_from(machine):
    machine(V100, A100)
    report = str(ftcore.device_info())
    assert "default device: cuda:1" in report
    assert "cuda:0: Tesla V100, 15.0 GiB, compute capability 7.0: not usable: " in report
    assert "cuda:1: NVIDIA A100, 40.0 GiB, compute capability 8.0: usable" in report
    assert "NVIDIA driver, CUDA 13.0 (/usr/lib/libcuda.so.1)" in report
    assert "cuDNN 9.18.1 (/site/nvidia/cudnn/lib/libcudnn.so.9)" in report
    assert "cuBLASLt 13.0.1 (/site/nvidia/libcublasLt.so.13)" in report
    assert repr(ftcore.device_info()) == report


def test_with_no_gpu_the_report_wants_no_libraries(machine):
    machine(driver=NO_DRIVER, cudnn={"path": None, "version": None, "error": "pip install it"})
    report = str(ftcore.device_info())
    assert report.count("there is no NVIDIA driver here") == 1
    assert "pip install it" not in report


@pytest.mark.onednn
def test_the_cpus_kernels_are_those_of_the_environment(machine, monkeypatch):
    machine()
    cpu = ftcore.device_info().cpu
    assert cpu.kernels == cpu.available[0]
    assert cpu.available[-1] == "generic"
    assert cpu.onednn_path and os.path.exists(cpu.onednn_path)
    monkeypatch.setenv("FTCORE_CPU_KERNELS", "generic")
    assert ftcore.device_info().cpu.kernels == "generic"
    monkeypatch.setenv("FTCORE_CPU_KERNELS", "sse9")
    assert "got 'sse9'" in str(ftcore.device_info())


def test_a_build_without_onednn_says_so(machine, monkeypatch):
    def refuse():
        raise RuntimeError("this build of ftcore has no oneDNN")

    machine()
    monkeypatch.setattr(_core, "cpu_info", refuse)
    assert "cpu: this build of ftcore has no oneDNN" in str(ftcore.device_info())


def test_info_prints_the_report_or_plain_data(machine, capsys):
    machine(T4)
    assert main(["info"]) == 0
    assert capsys.readouterr().out.strip() == str(ftcore.device_info())
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["default_device"] == "cuda:0"
    assert found["gpus"][0]["capability"] == [7, 5]
    assert found["libraries"]["cudnn"]["version"] == "9.18.1"


def test_libraries_are_looked_for_in_packages_of_nvidias(tmp_path, monkeypatch):
    site, other = tmp_path / "site", tmp_path / "other"
    for folder in ("site/nvidia/cudnn/lib", "site/nvidia/cu13/lib", "site/nvidia/cu13/include"):
        (tmp_path / folder).mkdir(parents=True)
    other.mkdir()
    monkeypatch.chdir(site)
    folders = devices._library_folders(["", ".", str(other), str(site)])
    assert folders == [str(site / "nvidia/cu13/lib"), str(site / "nvidia/cudnn/lib")]


def test_importing_ftcore_looks_for_no_device():
    code = (
        "import sys, ftcore; from ftcore import Trainer, AutoTokenizer; "
        "maps = open('/proc/self/maps').read(); "
        "print([x for x in ('libcuda', 'libcudnn', 'libnvrtc') if x in maps])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
