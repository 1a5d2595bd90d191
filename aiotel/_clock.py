"""Tell the time of day of a moment on the monotonic clock.

One clock for everything that is measured: a wall clock that is set would give spans of negative length.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """The distance between the monotonic clock and the time of day; both in ns."""

    __slots__ = ("_monotonic_ns", "_offset_ns", "_time_ns")

    def __init__(
        self,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._time_ns = time_ns
        self._offset_ns = time_ns() - monotonic_ns()

    def adjust(self) -> None:
        """Follow a time of day that was set by more than the jitter of reading two clocks."""
        offset_ns = self._time_ns() - self._monotonic_ns()
        if abs(offset_ns - self._offset_ns) > 1_000_000:
            self._offset_ns = offset_ns

    def wall_ns(self, monotonic_ns: int) -> int:
        """The time of day, in ns since the epoch."""
        return monotonic_ns + self._offset_ns

    def now_ns(self) -> int:
        """The time of day of this moment, on the same scale."""
        return self._monotonic_ns() + self._offset_ns
