"""Ctrl-C between steps rather than in the middle of one's bookkeeping."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Interrupt:
    """Whether Ctrl-C has been pressed; `check` raises what it would have raised."""

    def __init__(self) -> None:
        self._pressed = False

    def press(self, number: int, frame: Any) -> None:
        """The signal's handler: the first press waits for `check`, a second does not."""
        if self._pressed:
            signal.default_int_handler(number, frame)
        self._pressed = True

    def check(self) -> None:
        """Raises KeyboardInterrupt where Ctrl-C has been pressed."""
        if self._pressed:
            self._pressed = False
            raise KeyboardInterrupt


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Defers Ctrl-C to the next `check`.

    Only Python's own handler is replaced, and only in the main thread, where handlers run.
    """
    interrupt = Interrupt()
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield interrupt
        return
    signal.signal(signal.SIGINT, interrupt.press)
    try:
        yield interrupt
        interrupt.check()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
