"""Look at every loop, many times a second, from a thread that does nothing else: whether it goes on.

The thread takes no lock that others hold for long, writes no log, exports nothing; while no loop is open
there is none. What it finds are observations, and notes on the spans of the tasks concerned.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from .._borrowed import Returns
from .._faults import faults
from .._ledger import Ledger
from .lateness import Lateness
from .pauses import Pauses
from .pings import Pings
from .rivals import Rivals
from .stalls import Stalls
from .ticks import Ticks
from .victims import late_sleepers, woken
from .watched import Watched

__all__ = ["Watchdog"]

SLOWEST_NS: Final = 25_000_000
FASTEST_NS: Final = 5_000_000
"""How often loops in callbacks are looked at: a quarter of the least threshold, but within these bounds."""
LATE_NS: Final = 10_000_000
CHECK_NS: Final = 500_000_000
ENDS_S: Final = 0.5
"""How long its end is waited for: it has nothing to do but to wake."""
LINGER_NS: Final = 1_000_000_000
"""How long the thread stays when no loop is open any more: another one may be."""

LEAST_NS: Final = 1_000_000
"""So long it sleeps at least."""
OVERDUE_LOOKS: Final = 50
"""For so many milliseconds at most others wait for the thread to wake."""


def _nothing() -> None:
    """What is done now and then where nothing is."""


class Watchdog:
    """The loops of one session, and the thread that looks at them."""

    def __init__(
        self,
        stalls: Stalls,
        returns: Returns,
        pauses: Pauses,
        *,
        threshold_ns: int | None,
        adaptive: bool = False,
        on_check: Callable[[], None] = _nothing,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._stalls = stalls
        self._returns = returns
        self._pauses = pauses
        self._threshold_ns = threshold_ns
        self._adaptive = adaptive
        self._on_check = on_check
        self._clock = clock
        self._watched: dict[int, Watched] = {}
        self._late = Lateness()
        self._rivals = Rivals()
        # One looks at a time: the thread, or who flushes.
        self._looking = threading.RLock()
        self._asleep = _taken_lock()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._open_ns = self._checked_ns = self._due_ns = 0
        self._cpu_before_ns = self.cpu_ns = 0
        """CPU time that the thread has used, and those before it."""

    # On any thread of the program's.

    def watch(self, loop: Any, ledger: Ledger) -> None:
        """Look at this loop from now on."""
        selector = getattr(loop, "_selector", None)
        beat: Ticks | Pings
        try:
            beat = Ticks(loop, selector, sleepers=partial(late_sleepers, ledger))
        except (AttributeError, TypeError):  # it has none, or one that cannot be hooked
            beat = Pings(ledger, self._returns, woken=woken)
        watched = Watched(
            ledger,
            beat,
            self._rivals,
            self._late,
            threshold_ns=self._threshold_ns,
            adaptive=self._adaptive,
        )
        with self._looking:  # or the thread could be about to end, for want of a loop
            self._watched[id(ledger)] = watched
            self._start()

    def turned(self, ledger: Ledger) -> None:
        """This loop is about to run, or has just stopped. On its thread."""
        watched = self._watched.get(id(ledger))
        if watched is not None:
            watched.beat.turned()

    def unwatch(self, ledger: Ledger) -> None:
        """Look at it no more: it is about to be closed."""
        with self._looking:
            watched = self._watched.get(id(ledger))
            if watched is not None:
                self._leave(watched, self._clock())

    def revive(self) -> None:
        """Start the thread, where it could not be started before, and is needed still."""
        if self._thread is None and any(not watched.gone for watched in self.watched()):
            with suppress(RuntimeError):  # there are still too many
                self._start()

    def stop(self) -> None:
        """Leave all loops as they were found."""
        self._stopped = True
        with suppress(RuntimeError):  # it was let go already
            self._asleep.release()
        self._pauses.detach()
        with self._looking:
            now_ns = self._clock()
            for watched in list(self._watched.values()):
                self._leave(watched, now_ns)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(ENDS_S)

    def forget(self) -> None:
        """In a child process: the thread is not there, and the loops are the parent's."""
        for watched in self._watched.values():
            watched.beat.detach()
        self._watched = {}
        self._looking = threading.RLock()
        self._asleep = _taken_lock()
        self._thread = None
        self.cpu_ns = 0
        self._stalls.forget()

    def look(self) -> None:
        """See now what has happened, for who cannot wait. Any thread but a loop's.

        Where the thread is late and only it can tell why, it may go first.
        """
        for left in range(OVERDUE_LOOKS, -1, -1):
            with self._looking:
                now_ns = self._clock()
                late_ns = now_ns - self._due_ns if self._thread is not None else 0
                if self._late.guess(late_ns) or not left:
                    self._look(now_ns)
                    return
            time.sleep(0.001)

    @property
    def overdue(self) -> bool:
        """Whether the thread should have looked by now: it may be waiting for the GIL."""
        return self._thread is not None and self._clock() > self._due_ns + LATE_NS

    def watched(self) -> list[Watched]:
        """All that is watched, and what was closed since `take_gone` was called last."""
        return list(self._watched.values())

    def take_gone(self) -> list[Watched]:
        """The loops that were closed; theirs is the last look at each."""
        found = [watched for watched in list(self._watched.values()) if watched.gone]
        for watched in found:
            self._watched.pop(id(watched.ledger), None)
        return found

    # On the watchdog's thread.

    def _start(self) -> None:
        with self._looking:  # two loops may be met at once, and the session may be closed just now
            self._open_ns = self._clock()
            if self._thread is not None or self._stopped or sys.is_finalizing():
                return
            run = contextvars.Context().run
            thread = threading.Thread(target=run, args=(self._run,), name="aiotel-watchdog", daemon=True)
            self._pauses.attach()
            self._due_ns = self._open_ns
            self._late.begin(self._due_ns)
            thread.start()  # it may fail, where there are too many: the next loop tries again
            self._thread = thread

    def _run(self) -> None:
        self._cpu_before_ns = self.cpu_ns
        with self._looking:
            now_ns = self._clock()
            self._late.woke(self._due_ns, now_ns)
        while not self._stopped:
            period_ns = self._period_ns()
            # Counted from the last time that it woke: the process may be stopped at any moment after that.
            due_ns = self._due_ns = now_ns + period_ns
            left_ns = max(LEAST_NS, due_ns - self._clock())
            self._asleep.acquire(timeout=left_ns / 1e9)  # cheaper than an event; nobody else takes it
            try:
                with self._looking:
                    now_ns = self._clock()
                    self._late.woke(due_ns, now_ns)
                    self._due_ns = now_ns + period_ns
                    self._look(now_ns)
                    self._late.looked(now_ns, self._clock())
                    if now_ns - self._checked_ns >= CHECK_NS and not self._needed(now_ns):
                        return
            except Exception as error:  # noqa: BLE001  # the watchdog must not die of one bad look
                faults.add(error)

    def _needed(self, now_ns: int) -> bool:
        """Whether a loop is open, or was a moment ago; where not, the thread is to end."""
        self._checked_ns = now_ns
        self.cpu_ns = self._cpu_before_ns + time.thread_time_ns()
        self._rivals.remember()
        with suppress(RuntimeError):  # no thread can be started
            self._on_check()
        if any(not watched.gone for watched in self._watched.values()):
            self._open_ns = now_ns
        if now_ns - self._open_ns < LINGER_NS:
            return True
        self._thread = None
        return False

    def _period_ns(self) -> int:
        """A quarter of the least threshold; half of it while no loop is in a callback."""
        least_ns, busy = SLOWEST_NS * 4, False
        for watched in self.watched():
            if not watched.gone:
                least_ns = min(least_ns, watched.beat.threshold_ns)
                busy = busy or not watched.rests
        return max(FASTEST_NS, least_ns // 4 if busy else least_ns // 2)

    def _look(self, now_ns: int) -> None:
        process_ns = time.process_time_ns()
        for watched in self.watched():
            if watched.gone:
                continue
            if watched.ledger.closed or watched.ledger.lost:
                self._leave(watched, now_ns)
                continue
            if watched.beat.stalls:
                self._stalls.settle(watched)
            watched.look(now_ns, process_ns)
            if watched.followed is not None:
                self._stalls.tell_lasting(watched, now_ns)

    def _leave(self, watched: Watched, now_ns: int) -> None:
        if not watched.gone:
            self._stalls.conclude(watched, now_ns)
            watched.beat.detach()
            watched.gone = True


def _taken_lock() -> threading.Lock:
    """What to wait on for a time: nobody lets go of it until the end."""
    lock = threading.Lock()
    lock.acquire()
    return lock
