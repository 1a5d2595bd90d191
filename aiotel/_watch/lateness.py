"""Tell why the watchdog itself woke late: for want of the GIL, of a CPU, or as the process was stopped.

A process that was stopped (a signal, a debugger, a virtual machine that was paused) is nobody's stall.
"""

from __future__ import annotations

import sys
import threading
import time

from .kernel import own_switches, usage_of

__all__ = ["Lateness"]

WORTH_NS = 2_000_000
"""Less is what any wake-up takes."""
MEASURED_NS = 1_000_000_000
"""How old the numbers may be that a late wake-up is judged by."""


class Lateness:
    """Of the last time that the watchdog woke."""

    def __init__(self) -> None:
        self.held_ns = 0
        """So long it waited for the GIL."""
        self.stopped_ns = 0
        """So long the process was stopped."""
        self._woken = 0
        self._measured_ns = 0
        self._switches: int | None = None
        self._process_ns = 0
        self._queued_ns = 0

    def woke(self, due_ns: int, now_ns: int) -> None:
        """The watchdog's thread has woken now, and should have at that moment."""
        late_ns = now_ns - due_ns
        self._woken += 1
        self.held_ns = self.stopped_ns = 0
        if late_ns > WORTH_NS:
            self._judge(late_ns)
        if late_ns > WORTH_NS or now_ns - self._measured_ns > MEASURED_NS:
            self._measured_ns, self._woken = now_ns, 0
            self._switches, self._process_ns = own_switches(), time.process_time_ns()

    def guess(self, late_ns: int) -> None:
        """The watchdog's thread should have woken so long ago, as another thread sees."""
        ran_ns = time.process_time_ns() - self._process_ns
        self.held_ns, self.stopped_ns = (late_ns if ran_ns >= late_ns / 2 else 0), 0

    def _judge(self, late_ns: int) -> None:
        # Who waits for the GIL looks again after each switch interval; who is stopped does not.
        expected = late_ns / 1e9 / sys.getswitchinterval()
        switches = own_switches()
        if switches is not None and self._switches is not None and expected >= 4:
            held = switches - self._switches - self._woken >= expected / 4
        else:
            held = time.process_time_ns() - self._process_ns >= late_ns / 2
        if held:
            self.held_ns = late_ns
        elif self._was_queued_ns() < late_ns / 2:
            self.stopped_ns = late_ns

    def _was_queued_ns(self) -> int:
        usage = usage_of(threading.get_native_id())
        if usage is None:
            return 0
        before, self._queued_ns = self._queued_ns, usage.queued_ns
        return usage.queued_ns - before
