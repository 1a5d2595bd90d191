"""Count the callbacks that hold their loop for too long, by function and by what called them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

from .._ledger import Ledger
from .._record import take
from ..observations import CallbackType
from .callees import callee_of, reads
from .functions import name_of
from .sources import is_of_a_file

__all__ = ["Slow"]

USUAL_NS: Final = 100_000_000
"""What asyncio calls slow, unless it is told otherwise."""
WAITING: Final = 65536
"""How many may wait to be counted."""


class Slow:
    """Those of one session that were slow. `after_ns` is the limit; None leaves it to each loop."""

    def __init__(self, after_ns: int | None = None) -> None:
        self._after_ns = after_ns
        self._seen: list[tuple[str, CallbackType]] = []
        self.dropped = 0

    # On the loop's thread.

    def is_slow(self, loop: Any, took_ns: int) -> bool:
        """Whether that long is too long."""
        if self._after_ns is not None:
            return took_ns >= self._after_ns
        try:
            return bool(took_ns >= loop.slow_callback_duration * 1e9)
        except (AttributeError, TypeError):  # it is the program's to set, and read in debug mode only
            return took_ns >= USUAL_NS

    def add_step(self, ledger: Ledger, task: Any) -> None:
        """Count a step of a task."""
        record = ledger.live.get(id(task))
        known = record is not None and record.alive() is task
        self.add(record.function.name if known and record is not None else name_of(task.get_coro()), "task")

    def add_callback(self, loop: Any, handle: Any, callback: Any) -> None:
        """Count what a handle has called, which it may have forgotten since.

        What is called because a file can be written to counts as a reader, too.
        """
        function = callee_of(callback)
        if isinstance(handle, asyncio.TimerHandle):
            self.add(function, "timer")
        elif reads(callback) or is_of_a_file(loop, handle):
            self.add(function, "reader")
        else:
            self.add(function, "callback")

    def add(self, function: str, kind: CallbackType) -> None:
        """Count one."""
        if len(self._seen) < WAITING:
            self._seen.append((function, kind))
        else:
            self.dropped += 1

    # On the pump's thread.

    def take(self) -> Counter[tuple[str, CallbackType]]:
        """How many there were, by function and type, since this was asked last."""
        return Counter(take(self._seen))

    def forget(self) -> None:
        """In a child process: what was seen is the parent's to tell."""
        self._seen.clear()
        self.dropped = 0
