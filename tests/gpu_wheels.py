"""NVIDIA's wheels, for tests that need a library or a header of theirs but no GPU.

``FTCORE_GPU_WHEELS`` names folders like site-packages in which they lie, separated as in PATH;
without it they are looked for where Python looks for packages.
"""

import importlib.util
import os
import pathlib
import re

import pytest


def folders() -> list[pathlib.Path]:
    """The folders that ``import nvidia`` would look into."""
    given = os.environ.get("FTCORE_GPU_WHEELS")
    if given:
        return [pathlib.Path(folder).resolve() / "nvidia" for folder in given.split(os.pathsep)]
    spec = importlib.util.find_spec("nvidia")
    return [pathlib.Path(p) for p in (spec.submodule_search_locations if spec else None) or ()]


def find(*patterns: str) -> list[pathlib.Path]:
    """All files that match one of the patterns below such a folder."""
    return [
        path
        for folder in folders()
        for pattern in patterns
        for path in sorted(folder.glob(pattern))
    ]


def cudnn_include() -> pathlib.Path:
    """The folder of cuDNN's headers; skips where there are none."""
    found = find("cudnn/include/cudnn_graph.h")
    if not found:
        pytest.skip("needs cuDNN's headers: pip install --no-deps nvidia-cudnn-cu13")
    return found[0].parent


def cudnn_version() -> tuple[int, ...]:
    """The version of the headers, and so of the library."""
    text = (cudnn_include() / "cudnn_version.h").read_text()
    names = ("CUDNN_MAJOR", "CUDNN_MINOR", "CUDNN_PATCHLEVEL")
    numbers = (re.search(rf"#define {name} (\d+)", text) for name in names)
    return tuple(int(number[1]) for number in numbers if number)
