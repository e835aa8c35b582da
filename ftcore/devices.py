"""Which devices there are: what the CPU computes with, and which NVIDIA GPUs will do.

Nothing is looked for until a device is first asked about. NVIDIA's driver, NVRTC, cuDNN and
cuBLASLt are loaded then; all but the driver are taken from the `nvidia-*` packages that torch for
CUDA brings, or from where the system's loader finds them. Which GPUs there are, and in which order,
is the driver's to say: it honours CUDA_VISIBLE_DEVICES.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import pathlib
import re
import sys
from typing import Any

from ftcore import _core

logger = logging.getLogger(__name__)

_LEAST_CAPABILITY = (7, 5)
_AMD = pathlib.Path("/dev/kfd")
"""There where the kernel drives one of AMD's GPUs for ROCm."""
_TITLES = {
    "driver": "NVIDIA driver, CUDA",
    "nvrtc": "NVRTC",
    "cudnn": "cuDNN",
    "cublaslt": "cuBLASLt",
}


@dataclasses.dataclass(frozen=True)
class Cpu:
    """The CPU backend. `kernels`: those that are used, of those `available` here, best first (the
    environment variable FTCORE_CPU_KERNELS chooses another). `error`: why there are none of its
    figures."""

    threads: int | None = None
    kernels: str | None = None
    available: tuple[str, ...] = ()
    bfloat16: bool = False
    onednn: str | None = None
    onednn_path: str | None = None
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU. `memory` is in bytes; `reason`: why it is not `usable`, and what to do."""

    device: str
    name: str
    memory: int
    capability: tuple[int, int]
    usable: bool
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Library:
    """One of NVIDIA's libraries and the file it was loaded from. `error`: why it is of no use, and
    what to do."""

    version: str | None = None
    path: str | None = None
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class DeviceInfo:
    """What `device_info` returns. As a str it is a report; `to_dict` makes it plain data."""

    default_device: str
    cpu: Cpu
    gpus: tuple[Gpu, ...]
    libraries: dict[str, Library]

    def to_dict(self) -> dict[str, Any]:
        """The same as dicts, lists, strings and numbers."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    __repr__ = __str__


def device_info() -> DeviceInfo:
    """What ftcore can compute on here: CPU, GPUs, NVIDIA's libraries, and why what is there will
    not do."""
    gpus = _gpus()
    return DeviceInfo(_first_usable(gpus) or "cpu", _cpu(), gpus, _libraries())


def default_device() -> str:
    """The first GPU that will do, as "cuda:0", or else "cpu"."""
    return _first_usable(_gpus()) or "cpu"


def resolve_device(device: Any = None) -> str:
    """The name of a device, "cpu" or "cuda:<number>", of what torch takes for one: such a name,
    "cuda" (the first GPU that will do), a number, a torch.device. None: the default device.

    RuntimeError, as in torch: there is no such device, or it will not do; the message says why.
    TypeError: this is not a device.
    """
    if device is None:
        return default_device()
    kind, index = _parsed(device)
    if kind == "cpu":
        return "cpu"
    gpus = _gpus()
    if index is None:
        if found := _first_usable(gpus):
            return found
        index = 0
    if not gpus:
        raise RuntimeError(f"no GPU can be used: {_why_no_gpu()}; the CPU can be: 'cpu'")
    if index >= len(gpus):
        raise RuntimeError(f"there is no 'cuda:{index}': the last GPU here is {gpus[-1].device!r}")
    gpu = gpus[index]
    if not gpu.usable:
        raise RuntimeError(_why_not(gpu))
    return gpu.device


def shown_device(name: str) -> Any:
    """A device of that name, such as cuda:0, as users see it: a torch.device where torch is loaded,
    else the name."""
    torch = sys.modules.get("torch")
    return name if torch is None else torch.device(name)


def why_no_gpu() -> str:
    """Why the default device is the CPU, where it is, and what to do."""
    gpus = _gpus()
    return _why_not(gpus[0]) if gpus else _why_no_gpu()


@functools.cache
def warn_of_unused_gpu() -> None:
    """Warns, once, where the default device is the CPU and a GPU lacks no more than software."""
    gpus = _gpus()
    if _first_usable(gpus):
        return
    if gpu := next((gpu for gpu in gpus if gpu.capability >= _LEAST_CAPABILITY), None):
        logger.warning(
            "training on the CPU: %s. use_cpu=True trains there without this warning.",
            _why_not(gpu),
        )


@functools.cache
def find_libraries() -> None:
    """Tells the core where Python's packages keep NVIDIA's libraries; whatever is about to load
    them calls this first."""
    _core.set_library_folders(_library_folders(sys.path))


def _library_folders(paths: list[str]) -> list[str]:
    """The folders of libraries of the packages `nvidia-*` that are installed in these."""
    roots = (pathlib.Path(path) / "nvidia" for path in paths if pathlib.Path(path).is_absolute())
    return [str(folder) for root in roots for folder in sorted(root.glob("*/lib"))]


def _parsed(device: Any) -> tuple[str, int | None]:
    kind: str
    index: int | None
    if isinstance(device, int) and not isinstance(device, bool):
        kind, index = "cuda", device
        if index < 0:
            raise RuntimeError(f"the number of a device must not be negative, got {index}")
    elif isinstance(device, str):
        parts = re.fullmatch(r"([a-z]+)(?::(0|[1-9][0-9]*))?", device)
        if parts is None:
            raise RuntimeError(f"Invalid device string: {device!r}")
        kind, index = parts[1], None if parts[2] is None else int(parts[2])
    elif isinstance(getattr(device, "type", None), str) and hasattr(device, "index"):
        kind, index = device.type, device.index
    else:
        raise TypeError(
            f"a device is a str, a number or a torch.device, not {type(device).__name__}"
        )
    if kind not in ("cpu", "cuda"):
        raise RuntimeError(
            f"device {str(device)!r} is not supported: ftcore computes on 'cpu' and, with NVIDIA "
            "GPUs, on 'cuda'"
        )
    if kind == "cpu" and index not in (None, 0):
        raise RuntimeError(f"there is no 'cpu:{index}': the CPU is one device, 'cpu'")
    return kind, index


def _cpu() -> Cpu:
    try:
        return Cpu(**_core.cpu_info())
    except (RuntimeError, ValueError) as error:
        return Cpu(error=str(error))


def _libraries() -> dict[str, Library]:
    find_libraries()
    found = {name: Library(**fields) for name, fields in _core.cuda_libraries().items()}
    driver = found["driver"]
    if driver.error and driver.path is None and _AMD.exists():
        error = (
            "this machine's GPU is one of AMD's (ROCm), which ftcore does not support: train on "
            "the CPU"
        )
        found["driver"] = Library(error=error)
    return found


def _gpus() -> tuple[Gpu, ...]:
    find_libraries()
    found = []
    missing: str | None = None
    for number, gpu in enumerate(_core.cuda_devices()):
        if number == 0:
            missing = next((x.error for x in _libraries().values() if x.error), None)
        reason = gpu["reason"] or missing
        found.append(
            Gpu(
                f"cuda:{gpu['index']}",
                gpu["name"],
                gpu["memory"],
                gpu["capability"],
                reason is None,
                reason,
            )
        )
    return tuple(found)


def _first_usable(gpus: tuple[Gpu, ...]) -> str | None:
    return next((gpu.device for gpu in gpus if gpu.usable), None)


def _why_not(gpu: Gpu) -> str:
    return f"{gpu.device} ({gpu.name}) cannot be used: {gpu.reason}"


def _why_no_gpu() -> str:
    return _libraries()["driver"].error or "the NVIDIA driver shows none (CUDA_VISIBLE_DEVICES?)"


def _lines(info: DeviceInfo) -> list[str]:
    cpu = info.cpu
    lines = [f"default device: {info.default_device}"]
    if cpu.error:
        lines.append(f"cpu: {cpu.error}")
    else:
        others = [name for name in cpu.available if name != cpu.kernels]
        lines += [
            f"cpu: {cpu.threads} threads, {cpu.kernels} kernels"
            + (f" (FTCORE_CPU_KERNELS may choose {', '.join(others)})" if others else ""),
            f"  bfloat16: {'yes' if cpu.bfloat16 else 'no, it would be slower than float32'}",
            f"  oneDNN {cpu.onednn}" + (f" ({cpu.onednn_path})" if cpu.onednn_path else ""),
        ]
    for gpu in info.gpus:
        major, minor = gpu.capability
        state = "usable" if gpu.usable else f"not usable: {gpu.reason}"
        lines.append(
            f"{gpu.device}: {gpu.name}, {gpu.memory / 2**30:.1f} GiB, compute capability "
            f"{major}.{minor}: {state}"
        )
    if not info.gpus:
        lines.append(f"cuda: {_why_no_gpu()}")
    for name, library in info.libraries.items():
        if library.path is None and library.error and not info.gpus:
            continue  # with no GPU nothing is missing
        where = f" ({library.path})" if library.path else ""
        trouble = f": {library.error}" if library.error else ""
        version = f" {library.version}" if library.version else ""
        lines.append(f"  {_TITLES.get(name, name)}{version}{where}{trouble}")
    return lines
