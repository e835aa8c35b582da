"""What the benchmarks share: the offline hub, the machine's name, medians, tables."""

import argparse
import contextlib
import importlib.metadata
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@contextlib.contextmanager
def hub(folder: pathlib.Path | None, models: Sequence[str]) -> Iterator[pathlib.Path]:
    """Makes the current folder one that holds glue/ and these models: the given one, or one that
    FTCORE_TEST_DATA's make_hub.py lays out for the time being."""
    with contextlib.ExitStack() as stack:
        if folder is None:
            data = os.environ.get("FTCORE_TEST_DATA")
            if not data:
                raise SystemExit("set FTCORE_TEST_DATA to the folder that holds make_hub.py")
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
            script = pathlib.Path(data).resolve() / "make_hub.py"
            command = [sys.executable, str(script), str(folder), "--models", *models]
            subprocess.run(command, check=True, capture_output=True)
        stack.enter_context(contextlib.chdir(folder))
        yield folder.resolve()


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """--hub and --json, which every benchmark takes."""
    parser.add_argument(
        "--hub", type=pathlib.Path, help="a folder that make_hub.py has laid out already"
    )
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file too")


def machine() -> dict[str, Any]:
    """The processor's name and count, and the versions of what is compared."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        name = next((x.split(":", 1)[1].strip() for x in lines if "model name" in x), name)
    versions = {}
    for package in ("ftcore", "torch", "transformers", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "processor": name,
        "processors": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **versions,
    }


def load() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]


def summary(values: Iterable[float]) -> dict[str, float]:
    """The median, the quartiles and the number of the values."""
    ordered = sorted(values)
    low, middle, high = statistics.quantiles(ordered, n=4) if len(ordered) > 1 else [ordered[0]] * 3
    return {"median": middle, "low": low, "high": high, "count": len(ordered)}


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        print("| " + " | ".join(cells) + " |")
