"""Count a loop's ticks, from one look at the selector to the next, and the time that it waits there.

By an attribute `select` of the loop's selector, in front of the method of its class: no timer in the loop, no
replaced selector. A tick costs one reading of the clock, or two where the selector may wait.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from asyncio import BaseEventLoop
from collections.abc import Callable
from operator import attrgetter, call
from typing import Any, Final, NamedTuple

from .._faults import faults
from .._measured import Times
from .._record import take
from .beats import Ended, Share, Waited, end_stall, keep_delay
from .kernel import cpu_ns_of

__all__ = ["SHORT_NS", "Ticks"]

OVERDUE_NS: Final = 2_000_000
"""Who waits for a time comes back at most so much later, where nothing is in its way."""
SHORT_NS: Final = 100_000
"""Ticks up to so long are counted and not told apart."""

_selector: Final = attrgetter("_selector")


class _Cells(NamedTuple):
    """What shares the variables of a loop's `select`."""

    start: Callable[[], None]
    stop: Callable[[], None]
    halt: Callable[[], None]
    look: Callable[[], tuple[int, int, int, int, int]]


class Ticks:
    """The ticks of one loop. The loop's thread writes, others read."""

    def __init__(
        self,
        loop: Any,
        selector: Any,
        *,
        sleepers: Waited,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.ident = 0
        self.native_id = 0
        self.base_depth: int | None = None
        self.first: Share | None = None
        self.threshold_ns = 1 << 62
        """A tick that takes so long is a stall."""
        self.stalls: list[Ended] = []
        """Stalls that are over, until the watchdog takes them."""
        self.longs: list[int] = []
        self._taken = self._taken_ns = 0
        self._running = False
        self._ran_cpu_ns = 0
        self._clock = clock
        self._sleepers = sleepers
        self._loop = weakref.ref(loop)
        self._selector = weakref.ref(selector)
        self._selector_id = id(selector)
        # What stands on the selector holds it: that is its own to hold, and not ours.
        select, self._cells = _count(selector.select, self._note, clock)
        selector.select = select
        self._select = weakref.ref(select)
        if loop.is_running():
            self._running = True
            if asyncio._get_running_loop() is loop:
                self._begin()
            if _runs_as_ever(type(loop)):
                self._cells.start()

    def detach(self) -> None:
        """Put back what was found, where it is still ours."""
        _take_off(self._selector(), "select", self._select())

    def mark(self) -> int:
        """See `Beat.mark`."""
        return self._cells.look()[1]

    def look(self, now_ns: int, held_ns: int) -> None:
        """There is nothing to be done for it."""

    def is_asked(self) -> bool:
        """Whether the selector is the one that the loop has now: some replace it."""
        try:
            return bool(next(map(id, map(_selector, map(call, (self._loop,))))) == self._selector_id)
        except AttributeError:
            return False

    def rest(self) -> None:
        """The loop does not run, and has not said so: some replace `run_forever`."""
        self._cells.halt()

    def since_ns(self) -> int:
        """When the tick began that the loop is in; 0 where it waits, or does not run."""
        return max(0, self._cells.look()[1])

    def cpu_ns(self) -> int:
        """CPU time of the thread while it ran the loop."""
        first, now_ns = self.first, cpu_ns_of(self.native_id) if self._running else None
        if first is None or first.thread_ns is None or now_ns is None:
            return self._ran_cpu_ns
        return self._ran_cpu_ns + max(0, now_ns - first.thread_ns)

    def times(self) -> Times:
        """How long the loop was active and idle up to now, and how often it has looked at its selector."""
        count, woke_ns, idle_ns, ran_ns, began_ns = self._cells.look()
        now_ns = self._clock()
        if began_ns:
            ran_ns += now_ns - began_ns
        if woke_ns < 0:
            idle_ns += now_ns + woke_ns
        return Times(active_ns=max(0, ran_ns - idle_ns), idle_ns=idle_ns, iterations=count)

    def take_delays(self) -> tuple[int, int, list[int]]:
        """The ticks since the last time: the short ones, how long those took together, and the others."""
        longs = take(self.longs)
        count, woke_ns, idle_ns, ran_ns, began_ns = self._cells.look()
        active_ns = ran_ns - idle_ns + (abs(woke_ns) - began_ns if began_ns else 0)
        short, short_ns = count - self._taken - len(longs), active_ns - self._taken_ns - sum(longs)
        self._taken, self._taken_ns = count, active_ns
        return max(0, short), max(0, short_ns), longs

    # On the loop's thread.

    def _note(self, from_ns: int, now_ns: int) -> None:
        """A tick is over that was not short."""
        try:
            if from_ns <= 0:  # the first of a loop whose start nobody has told
                self._cells.start()
                return
            keep_delay(self.longs, now_ns - from_ns)
            if not self.native_id:
                self._be_here()
            end_stall(self, from_ns, now_ns, self._sleepers)
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)

    def _be_here(self) -> None:
        self.ident, self.native_id = threading.get_ident(), threading.get_native_id()

    def _begin(self) -> None:
        self._be_here()
        self.first = Share(self._clock(), time.thread_time_ns(), time.process_time_ns())

    def turned(self) -> None:
        """The loop is about to run, or has just stopped: by a method that it calls in either case."""
        try:
            loop = self._loop()
            if loop is None or loop.is_running():  # `set_debug` calls it too
                return
            self._running = not self._running
            if self._running:
                self._begin()
                self._cells.start()
            else:
                self._cells.stop()
                self._ran_cpu_ns += time.thread_time_ns() - (self.first.thread_ns or 0 if self.first else 0)
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)


def _runs_as_ever(cls: Any) -> bool:
    """Whether loops of this class look at their selector: some have one for show, and never do."""
    names = ("run_forever", "_run_once")
    return all(getattr(cls, name, None) is getattr(BaseEventLoop, name) for name in names)


def _take_off(owner: Any, name: str, ours: Any) -> None:
    """Delete what is ours, where it still stands."""
    if owner is not None and ours is not None and vars(owner).get(name) is ours:
        delattr(owner, name)


def _count(  # noqa: C901  # they share variables
    select_really: Callable[[Any], Any], note: Callable[[int, int], None], clock: Callable[[], int]
) -> tuple[Callable[[Any], Any], _Cells]:
    """A `select` that counts, and what reads its variables: closures are the fastest place for them.

    `woke_ns` is when the loop last came back from its selector; while it waits there, when it began to,
    negative; 0 while it does not run. Another thread cannot come in between two lines without a call.
    """
    count = woke_ns = idle_ns = ran_ns = began_ns = 0

    def select(timeout: Any = None) -> Any:
        nonlocal count, woke_ns, idle_ns
        now_ns = clock()
        count += 1
        if now_ns - woke_ns > SHORT_NS:
            note(woke_ns, now_ns)
        if timeout == 0:
            woke_ns = now_ns
            return select_really(timeout)
        woke_ns = -now_ns
        try:
            return select_really(timeout)
        finally:
            woke_ns = clock()
            if timeout is not None and woke_ns > now_ns + timeout * 1e9 + OVERDUE_NS:
                woke_ns = now_ns + int(timeout * 1e9)  # ready since then: it had to wait for the GIL
            idle_ns += woke_ns - now_ns

    def start() -> None:
        nonlocal woke_ns, began_ns
        woke_ns = began_ns = clock()

    def stop() -> None:
        nonlocal count, woke_ns, ran_ns, began_ns
        now_ns = clock()
        if woke_ns > 0:
            count += 1
            if now_ns - woke_ns > SHORT_NS:
                note(woke_ns, now_ns)
        ran_ns += now_ns - began_ns
        woke_ns = began_ns = 0

    def halt() -> None:
        nonlocal woke_ns, ran_ns, began_ns
        if woke_ns > 0 and began_ns:
            ran_ns += woke_ns - began_ns
            woke_ns = began_ns = 0

    def look() -> tuple[int, int, int, int, int]:
        return count, woke_ns, idle_ns, ran_ns, began_ns

    return select, _Cells(start, stop, halt, look)
