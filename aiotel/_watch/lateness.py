"""Tell why the watchdog itself woke late: for want of the GIL, of a CPU, or as the process was stopped.

A process that was stopped (a signal, a debugger, a virtual machine that was paused) is nobody's stall.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from .kernel import own_switches, usage_of

__all__ = ["Lateness"]

WORTH_NS = 2_000_000
"""Less is what any wake-up takes."""


class Lateness:
    """Of the last time that the watchdog woke."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.held_ns = 0
        """So long it waited for the GIL."""
        self.stopped_ns = 0
        """So long the process was stopped."""
        self._clock = clock
        self._switches: int | None = None
        self._process_ns = 0
        self._queued_ns = 0

    def woke(self, due_ns: int) -> None:
        """The watchdog's thread has woken, and should have at this moment."""
        late_ns = self._clock() - due_ns
        switches, process_ns = own_switches(), time.process_time_ns()
        self.held_ns = self.stopped_ns = 0
        if late_ns > WORTH_NS:
            ran_ns = process_ns - self._process_ns
            waits = 0 if switches is None or self._switches is None else switches - self._switches - 1
            self._judge(late_ns, ran_ns, waits)
        self._switches, self._process_ns = switches, process_ns

    def _judge(self, late_ns: int, ran_ns: int, waits: int) -> None:
        # Who waits for the GIL looks again after each switch interval; who is stopped does not.
        expected = late_ns / 1e9 / sys.getswitchinterval()
        if ran_ns >= late_ns / 2 or waits >= max(1, expected / 4):
            self.held_ns = late_ns
        elif self._was_queued_ns() < late_ns / 2:
            self.stopped_ns = late_ns

    def _was_queued_ns(self) -> int:
        usage = usage_of(threading.get_native_id())
        if usage is None:
            return 0
        before, self._queued_ns = self._queued_ns, usage.queued_ns
        return usage.queued_ns - before
