"""Loads the core so that its threads leave the processor to others while they wait.

libgomp's threads spin by default, which costs a step most of its speed as soon as another process
wants the processor: a waiting thread uses up the time slice that the working one needs. How they
wait is read from the environment once, when libgomp is loaded, so it is set for just that long. A
choice of the user's own is left alone, and a libgomp that is in the process already (torch's)
keeps its ways.
"""

import os

_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")

if any(name in os.environ for name in _SETTINGS):
    from ftcore import _core  # noqa: F401
else:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    try:
        from ftcore import _core  # noqa: F401
    finally:
        del os.environ["OMP_WAIT_POLICY"]
