"""The CPU kernels' files compile for their own instruction set whatever the build's flags are."""

import os
import pathlib
import platform
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
KERNELS = sorted((ROOT / "csrc" / "backend" / "cpu").glob("kernels_*.c"))

# What -march=native comes to on a processor that has all that any of the files is for.
EVERYTHING = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bf16", "-mfma"]


@pytest.mark.skipif(not KERNELS, reason="the sources are not beside the tests")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the flags are x86-64's")
@pytest.mark.parametrize("flags", [[], EVERYTHING], ids=["plain", "native"])
@pytest.mark.parametrize("source", KERNELS, ids=lambda path: path.stem)
def test_compiles(source, flags):
    compiler = shutil.which(os.environ.get("CC", "gcc"))
    if compiler is None:
        pytest.skip("there is no C compiler")
    command = [compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fopenmp", "-fsyntax-only"]
    done = subprocess.run(
        [*command, *flags, f"-I{ROOT / 'csrc'}", source], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
