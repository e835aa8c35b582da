"""Loads the core so that its threads soon leave the processor to others while they wait.

libgomp's threads spin for milliseconds by default, which costs a step most of its speed as soon as
another process wants the processor: a waiting thread uses up the time slice that the working one
needs. Put to sleep at once they wake late, which a small model's short operations feel: a step of
MiniLM takes a tenth longer. A thousand turns, some microseconds, bridge the gap between two
operations and cost a few per cent beside a busy process.

How threads wait is read from the environment once, when libgomp is loaded, so it is set for just
that long. Where libgomp is in the process already (torch's), the core has its threads spin for a
hundred turns, which is what there is left to choose. A choice of the user's own is left alone.
"""

import ctypes
import os

_SPIN, _POLICY = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"


def _libgomp_is_loaded() -> bool:
    try:
        ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD)
    except OSError:
        return False
    return True


if _SPIN in os.environ or _POLICY in os.environ:
    from ftcore import _core
elif _libgomp_is_loaded():
    from ftcore import _core

    _core.wait_briefly()
else:
    os.environ[_SPIN] = "1000"
    try:
        from ftcore import _core  # noqa: F401
    finally:
        del os.environ[_SPIN]
