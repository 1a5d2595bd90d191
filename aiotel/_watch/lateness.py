"""Tell why the watchdog itself woke late: for want of the GIL, of a CPU, or as the process was stopped.

A process that was stopped (a signal, a debugger, a virtual machine that was paused) is nobody's stall.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from .evidence import overlap_ns
from .kernel import own_switches, usage_of

__all__ = ["Lateness"]

WORTH_NS = 2_000_000
"""Less is what any wake-up takes."""
MEASURED_NS = 1_000_000_000
"""How old the time in the queue may be that a late wake-up is judged by."""
LONG_LOOK_NS = 30_000_000
"""A look that takes so long may have been stopped; what it waits for otherwise is the GIL, a few times."""
STOPS = 64
"""How many stops are remembered."""


def _own_queued_ns() -> int:
    """How long the calling thread has had to wait for a CPU; 0 where the system does not tell."""
    usage = usage_of(threading.get_native_id())
    return 0 if usage is None else usage.queued_ns


class Lateness:
    """Of the last time that the watchdog woke."""

    def __init__(
        self,
        *,
        own_switches: Callable[[], int | None] = own_switches,
        process_ns: Callable[[], int] = time.process_time_ns,
        queued_ns: Callable[[], int] = _own_queued_ns,
    ) -> None:
        self._own_switches = own_switches
        self._process_clock = process_ns
        self._own_queued_ns = queued_ns
        self.held_ns = 0
        """So long it waited for the GIL."""
        self._stops: deque[tuple[int, int]] = deque(maxlen=STOPS)
        """When the process was stopped, and when it went on."""
        self._switches: int | None = None
        self._process_ns = 0
        self._measured_ns = 0
        self._queued_ns = 0

    def woke(self, due_ns: int, now_ns: int) -> None:
        """The watchdog's thread has woken now, and should have at that moment."""
        late_ns = now_ns - due_ns
        self.held_ns = 0
        if late_ns > WORTH_NS:
            self._judge(due_ns, now_ns)
        self._measure(now_ns)

    def looked(self, from_ns: int, to_ns: int) -> None:
        """The watchdog's thread has looked at the loops: the process may have been stopped meanwhile."""
        took_ns = to_ns - from_ns
        if took_ns > LONG_LOOK_NS and self._was_stopped(took_ns, self._process_clock() - self._process_ns):
            self._stops.append((from_ns, to_ns))

    def begin(self, now_ns: int) -> None:
        """The watchdog's thread is about to be started, and to wake for the first time."""
        self._switches, self._process_ns = 0, self._process_clock()
        self._measured_ns, self._queued_ns = now_ns, 0

    def guess(self, late_ns: int) -> bool:
        """The watchdog's thread should have woken so long ago; False where others cannot tell why not."""
        ran_ns = self._process_clock() - self._process_ns
        self.held_ns = late_ns if late_ns > WORTH_NS and ran_ns >= late_ns / 2 else 0
        return late_ns <= WORTH_NS or self.held_ns > 0

    def stopped_ns(self, from_ns: int, to_ns: int) -> int:
        """For how long the process was stopped between these two moments."""
        return overlap_ns(self._stops, from_ns, to_ns)

    def _judge(self, due_ns: int, now_ns: int) -> None:
        late_ns = now_ns - due_ns
        # Who waits for the GIL looks again after each switch interval; who is stopped does not.
        expected = late_ns / 1e9 / sys.getswitchinterval()
        switches, ran_ns = self._own_switches(), self._process_clock() - self._process_ns
        if switches is not None and self._switches is not None and expected >= 16:
            held = switches - self._switches - 1 >= expected / 4
        else:
            held = ran_ns >= late_ns / 2
        if held:
            self.held_ns = late_ns
        elif self._was_stopped(late_ns, ran_ns):
            self._stops.append((due_ns, now_ns))

    def _was_stopped(self, passed_ns: int, ran_ns: int) -> bool:
        """Whether nothing of the process ran in that time, though nobody else had its CPU."""
        return ran_ns < passed_ns / 4 and self._own_queued_ns() - self._queued_ns < passed_ns / 2

    def _measure(self, now_ns: int) -> None:
        # Each time: with numbers that are a second old, what was waited for then is taken for this wait.
        self._switches, self._process_ns = self._own_switches(), self._process_clock()
        if now_ns - self._measured_ns > MEASURED_NS:  # this one needs a file
            self._measured_ns = now_ns
            self._queued_ns = self._own_queued_ns()
