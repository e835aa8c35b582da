"""The machine: its processors, how busy they are, and the versions of what is compared."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
from typing import Any

import ftcore

_CPUS = pathlib.Path("/sys/devices/system/cpu")


def describe() -> dict[str, Any]:
    """The processor's name, how many there are at hand, and versions."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        name = next((x.split(":", 1)[1].strip() for x in lines if "model name" in x), name)
    versions = {"ftcore": ftcore.__version__}
    for package in ("torch", "transformers", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "processor": name,
        "processors": len(processors()),
        "python": platform.python_version(),
        **versions,
    }


def load() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]


def processors() -> list[int]:
    """The numbers of the processors at hand, one of each core first, its siblings behind them."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(os.cpu_count() or 1))
    seen: set[str] = set()
    first: list[int] = []
    siblings: list[int] = []
    for number in sorted(os.sched_getaffinity(0)):
        core = _core_of(number)
        (siblings if core in seen else first).append(number)
        seen.add(core)
    return first + siblings


def cores() -> int:
    """How many cores the processors at hand belong to."""
    return len({_core_of(number) for number in processors()})


def _core_of(number: int) -> str:
    with contextlib.suppress(OSError):
        return (_CPUS / f"cpu{number}" / "topology" / "thread_siblings_list").read_text()
    return str(number)


@contextlib.contextmanager
def confined_to(numbers: list[int]) -> Any:
    """Runs what is inside, and the processes that it starts, on these processors alone."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, numbers)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
