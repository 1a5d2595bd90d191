"""CPU time of a thread, without the full garbage collections that happen to fall into it.

Such a collection takes as long as the program's heap is large, and comes once in ten thousand tasks or so:
in a short round it is there or not, and moves what the tasks seem to cost by a quarter. So it is kept apart.
"""

from __future__ import annotations

import gc
import threading
import time
from typing import NamedTuple, Self

__all__ = ["Clock", "Lap"]

_FULL = 2
"""The generation that is everything."""


class Lap(NamedTuple):
    """CPU time of the thread for one task or step, in µs."""

    us: float
    """Young collections included."""
    full_us: float
    """Full collections."""


class Clock:
    """The clock of the thread that makes it; it runs within its `with` block."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._began_ns = 0
        self._full_ns = 0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._collecting)
        return self

    def __exit__(self, *exception: object) -> None:
        gc.callbacks.remove(self._collecting)

    def read_ns(self) -> tuple[int, int]:
        """All of the thread's CPU time, and what full collections took of it."""
        return time.thread_time_ns(), self._full_ns

    def lap(self, since_ns: tuple[int, int], count: int) -> Lap:
        """What passed since that reading, for each of so many."""
        now_ns, full_ns = self.read_ns()
        full_ns -= since_ns[1]
        return Lap((now_ns - since_ns[0] - full_ns) / count / 1000, full_ns / count / 1000)

    def _collecting(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] != _FULL or threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._began_ns = time.thread_time_ns()
        else:
            self._full_ns += time.thread_time_ns() - self._began_ns
