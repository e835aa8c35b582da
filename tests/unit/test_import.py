"""What importing ftcore does to the process."""

import os
import subprocess
import sys

import pytest


def run(code, **environment):
    settings = {
        k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    }
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, env={**settings, **environment}, capture_output=True, text=True, check=True
    )
    return result.stdout + result.stderr


@pytest.mark.onednn
def test_threads_soon_wait_asleep_unless_the_user_says_otherwise():
    code = "import ftcore"
    assert "GOMP_SPINCOUNT = '1000'" in run(code, OMP_DISPLAY_ENV="verbose")
    active = run(code, OMP_DISPLAY_ENV="verbose", OMP_WAIT_POLICY="active")
    assert "GOMP_SPINCOUNT = '1000'" not in active
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in active


@pytest.mark.onednn
def test_threads_soon_wait_asleep_where_torch_was_imported_first():
    """libgomp has its threads do so where there are more of them than processors."""
    pytest.importorskip("torch")
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import time
import FIRST, ftcore
import numpy as np
def threads():
    return len(os.listdir("/proc/self/task"))
x = np.ones((64, 64), np.float32)
ftcore._core.Backend("cpu", threads=2).linear_forward(x, x, x[0])
latest = time.monotonic() + 10  # the one that sleeps starts its team on its own
while threads() != EXPECTED and time.monotonic() < latest:
    time.sleep(0.01)
print(threads())
"""

    def threads(first, expected, **environment):
        filled_in = code.replace("FIRST", first).replace("EXPECTED", str(expected))
        return int(run(filled_in, **environment))

    assert threads("ftcore", 2) == 2
    assert threads("torch", 2, GOMP_SPINCOUNT="5") == 2
    assert threads("torch", 4) == 4  # one that sleeps, and its team's other one


def test_the_environment_is_left_as_it_was():
    code = "import os; before = dict(os.environ); import ftcore; print(before == dict(os.environ))"
    assert run(code).strip() == "True"


def test_no_library_but_numpy_is_loaded():
    code = (
        "import sys, ftcore; "
        "print(sorted({'torch', 'transformers', 'datasets', 'safetensors', 'huggingface_hub'} "
        "& set(sys.modules)))"
    )
    assert run(code).strip() == "[]"
