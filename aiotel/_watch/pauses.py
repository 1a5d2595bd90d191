"""Time the garbage collector's pauses, during which no thread runs Python."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from .evidence import overlap_ns

__all__ = ["Pauses"]

WORTH_NS: Final = 1_000_000
"""Shorter pauses are not remembered."""
KEPT: Final = 256


class Pauses:
    """The last long pauses."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._kept: deque[tuple[int, int]] = deque(maxlen=KEPT)
        self._callback = _callback(self._kept, clock)

    def attach(self) -> None:
        """Be called by the collector; once, however often this is asked."""
        if self._callback not in gc.callbacks:
            gc.callbacks.append(self._callback)

    def detach(self) -> None:
        """Be called no more."""
        if self._callback in gc.callbacks:
            gc.callbacks.remove(self._callback)

    def within_ns(self, from_ns: int, to_ns: int) -> int:
        """How long the collector ran between these two moments."""
        return overlap_ns(list(self._kept), from_ns, to_ns)


def _callback(kept: deque[tuple[int, int]], clock: Callable[[], int]) -> Callable[[str, Any], None]:
    """Called twice for each collection, of the young ones too, of which there are many."""
    began_ns = 0

    def collected(phase: str, info: Any) -> None:
        nonlocal began_ns
        if phase == "start":
            began_ns = clock()
        elif began_ns and clock() - began_ns > WORTH_NS:  # it may have begun before anybody was told
            kept.append((began_ns, clock()))

    return collected
