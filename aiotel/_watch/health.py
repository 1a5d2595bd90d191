"""Add up what loops do with their time, those that were closed included, and how they are just now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Final

from .._inspect.glances import glance, size_of
from .._ledger import Ledger
from .._measured import Handles, Times
from .watched import Watched

__all__ = ["Health"]

LEAST_NS: Final = 100_000_000
"""Of a shorter time no utilization is told: that of the last time it was asked is."""


class Health:
    """Of all loops of one session. Any thread but a loop's."""

    def __init__(
        self, watched: Callable[[], Iterable[Watched]], *, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._watched = watched
        self._clock = clock
        self._closed = Times(0, 0, 0)
        self._closed_cpu_ns = self._shown_cpu_ns = 0
        self._shown = Times(0, 0, 0)
        self._used: dict[int, tuple[Times, float | None]] = {}
        """By the loop: its times when its utilization was told last, and what that was."""
        # Guards the sums: several readers may ask at once.
        self._lock = threading.Lock()

    def forget(self) -> None:
        """In a child process: these were the parent's loops."""
        self._lock = threading.Lock()
        self._closed, self._shown = Times(0, 0, 0), Times(0, 0, 0)
        self._closed_cpu_ns = self._shown_cpu_ns = 0
        self._used = {}

    def take_leave(self, watched: Watched) -> None:
        """Keep the times of a loop that is watched no more."""
        with self._lock:
            self._closed = _sum(self._closed, watched.beat.times())
            self._closed_cpu_ns += watched.cpu_ns
            self._used.pop(id(watched), None)

    def times(self) -> Times:
        """Since the beginning; nothing of it ever goes down."""
        with self._lock:
            total = self._closed
            for watched in self._watched():
                total = _sum(total, watched.beat.times())
            self._shown = Times(*map(max, total, self._shown))
            return self._shown

    def cpu_ns(self) -> int:
        """CPU time of the loops' threads while their loops were watched."""
        with self._lock:
            total_ns = self._closed_cpu_ns + sum(watched.cpu_ns for watched in self._watched())
            self._shown_cpu_ns = max(total_ns, self._shown_cpu_ns)
            return self._shown_cpu_ns

    def utilization(self) -> float | None:
        """The greatest share of the time since this was asked last that a loop was active."""
        with self._lock:
            shares = [self._utilization(watched) for watched in self._watched() if not watched.gone]
            return max((share for share in shares if share is not None), default=None)

    def heartbeat_age_ns(self) -> int:
        """Since when the loop that has been stuck for longest has not gone on."""
        now_ns = self._clock()
        return max((watched.age_ns(now_ns) for watched in self._watched() if not watched.gone), default=0)

    def age_ns_of(self, ledger: Ledger) -> int:
        """Since when this loop has not gone on; 0 where it does, or is not watched."""
        now_ns = self._clock()
        found = (watched for watched in self._watched() if watched.ledger is ledger and not watched.gone)
        return next((watched.age_ns(now_ns) for watched in found), 0)

    def handles(self) -> Handles:
        """How many callbacks wait, on the loops that show them."""
        found = [_handles(watched) for watched in self._watched() if not watched.gone]
        return Handles(*map(sum, zip(*found, strict=True))) if found else Handles()

    def _utilization(self, watched: Watched) -> float | None:
        times = watched.beat.times()
        if times is None:
            return None
        before, share = self._used.get(id(watched), (Times(0, 0, 0), None))
        active_ns, idle_ns = times.active_ns - before.active_ns, times.idle_ns - before.idle_ns
        if active_ns + idle_ns < LEAST_NS:
            return share if active_ns + idle_ns else None  # it does not run
        share = active_ns / (active_ns + idle_ns)
        self._used[id(watched)] = times, share
        return share


def _sum(one: Times, other: Times | None) -> Times:
    return one if other is None else Times(*(a + b for a, b in zip(one, other, strict=True)))


def _handles(watched: Watched) -> Handles:
    loop = watched.ledger.loop
    try:
        cancelled = int(glance(loop, attrgetter("_timer_cancelled_count")))
    except (AttributeError, TypeError):  # it is no more, or shows nothing
        return Handles()
    return Handles(size_of(loop, "_ready") or 0, size_of(loop, "_scheduled") or 0, cancelled)
