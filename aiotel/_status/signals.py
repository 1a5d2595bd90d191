"""Notice a signal, and hand it on to whoever handled it before.

Python runs a handler on the main thread, between two steps of its code: it does no more than to say that the
signal has come. A handler that the program sets later stands in the place of ours, as it would without.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from .._complaints import complaints
from .._faults import faults

__all__ = ["attach"]


def attach(name: str, then: Callable[[], None]) -> Callable[[], None]:
    """Have `then` called at each signal of this name; gives what ends that.

    `then` must take no lock. Where it cannot be, a complaint says why, and nothing changes.
    """
    number = getattr(signal, name, None)
    problem = _problem(number)
    if problem is None and number is not None:
        handler = _Handler(number, signal.getsignal(number), then)
        with suppress(ValueError):  # in an interpreter beside the main one
            handler.set(handler)
            return handler.detach
        problem = "this is not the main interpreter"
    complaints.add("dump_signal", f"dump_signal: no snapshot is logged at {name}: {problem}")
    return _nothing


def _problem(number: int | None) -> str | None:
    if number is None:
        return "there is no such signal on this system"
    if threading.current_thread() is not threading.main_thread():
        return "aiotel was not started on the main thread, which alone may handle signals"
    if signal.getsignal(number) is None:
        return "it has a handler that was not set from Python, and could not be handed on to it"
    return None


class _Handler:
    """Stands before the handler that was there."""

    def __init__(self, number: int, before: Any, then: Callable[[], None]) -> None:
        self._number = number
        self._before = before
        self._then: Callable[[], None] | None = then

    def __call__(self, number: int, frame: FrameType | None) -> None:
        then = self._then
        try:
            if then is not None:
                then()
        except Exception as error:  # noqa: BLE001  # ours, and not the business of whatever code runs just now
            faults.add(error)
        if callable(self._before):
            self._before(number, frame)
        elif then is None and self._before == signal.SIG_DFL:
            # It is no longer ours, but somebody has kept it: what would have happened without is to happen.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def set(self, handler: Any) -> None:
        """Set the handler of the signal, and keep what asyncio's wants: that it interrupts no system call."""
        signal.signal(self._number, handler)
        if getattr(self._before, "__module__", "").partition(".")[0] in ("asyncio", "uvloop"):
            signal.siginterrupt(self._number, False)

    def detach(self) -> None:
        """Be as if it were not there; the main thread can put back what was."""
        self._then = None
        found: object = signal.getsignal(self._number)
        if found is self and threading.current_thread() is threading.main_thread():
            self.set(self._before)


def _nothing() -> None:
    """What ends what never began."""
