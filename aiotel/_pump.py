"""Take what the loops have put into the mailboxes, and hand it on, from a thread of our own."""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import context as otel_context

from ._complaints import complaints
from ._faults import faults
from ._mailbox import Mailbox
from ._record import Record

__all__ = ["Pump"]

TICK_S: Final = 0.1
"""How often the pump looks, and how long a finished record waits for notes that come late."""
BUSY_TICK_S: Final = 0.02
HELD: Final = 8192
"""How many records the pump takes in hand; the rest stays in the mailbox, where what is over is counted."""


class Pump:
    """Drains the mailboxes every tick; `flush` does it at once, on the caller's thread."""

    def __init__(
        self,
        records: Mailbox[Record],
        observations: Mailbox[Any],
        *,
        end: Callable[[list[Record]], None],
        tell: Callable[[list[Any]], None],
        look: Callable[[], None],
        room: Callable[[int], int],
        make_room: Callable[[], None],
    ) -> None:
        self._records = records
        self._observations = observations
        self._end = end
        self._tell = tell
        self._look = look
        self._room = room
        self._make_room = make_room
        self._held: list[Record] = []
        self._flushing = False
        self._wake = threading.Event()
        self._stopped = False
        self._first: Callable[[], None] = _nothing
        self._last: Callable[[], None] | None = None
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        # One drains at a time: the pump, or whoever flushes. Re-entrant: a span processor may flush.
        self._draining = threading.RLock()
        # Two loops may be met at once, or one as the session is closed: one thread, which somebody stops.
        # Re-entrant: a signal may come in between, and its handler may close the session.
        self._starting = threading.RLock()
        self.cpu_ns = 0
        """CPU time that the pump's thread has used."""

    def start(self) -> None:
        """Start the thread, unless it runs; after a fork, in the child, anew."""
        with self._starting:
            if self._thread is None and not self._stopped and not sys.is_finalizing():
                run = contextvars.Context().run
                thread = threading.Thread(target=run, args=(self._run,), name="aiotel-pump", daemon=True)
                thread.start()
                self._thread = thread

    def forget(self) -> None:
        """Be as new, in a child process: the thread is not there, and what was in hand is the parent's."""
        self._thread = None
        self._held = []
        self._draining = threading.RLock()
        self._starting = threading.RLock()
        self._wake = threading.Event()
        self._done = threading.Event()
        self._records.queue.clear()
        self._observations.queue.clear()

    def flush(self, timeout: float) -> bool:
        """Hand on all that waits, within so many seconds; False where it took longer."""
        return contextvars.Context().run(self._flush, time.monotonic() + timeout)

    def stop(self, last: Callable[[], None], timeout: float, *, first: Callable[[], None]) -> bool:
        """Do a first thing, flush, do a last thing, and end the thread; False where that took longer.

        All on the pump's thread, because at the interpreter's end no other can be started, and exporters
        may hang.
        """
        deadline = time.monotonic() + timeout
        with self._starting:
            self._stopped = True
        if self._thread is None:
            first()
            in_time = self._flush(deadline)
            last()
            return in_time
        self._first, self._last = first, last
        self._wake.set()
        return self._done.wait(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        otel_context.attach(otel_context.set_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY, True))
        while self._last is None:
            self._wake.wait(BUSY_TICK_S if len(self._held) >= HELD else TICK_S)
            self._wake.clear()
            self._guarded(self._tick)
            self.cpu_ns = time.thread_time_ns()
        self._guarded(self._first)
        self._guarded(self._flush, time.monotonic() + 3600)
        self._guarded(self._last)
        self._done.set()

    def waiting(self) -> int:
        """How many records have not been handed on."""
        return len(self._held) + len(self._records.queue)

    def _tick(self) -> None:
        with self._draining:
            self._look()
            self._hand_on(self._room(len(self._held)))
            if len(self._held) < HELD:
                self._held += self._records.take(HELD)
            self.tell_observations()
        complaints.say()

    def _flush(self, deadline: float) -> bool:
        if not self._draining.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return False
        try:
            if self._flushing:
                return True
            self._flushing = True
            try:
                self._look()
                self.tell_observations()
                return self._end_all(deadline)
            finally:
                self._flushing = False
        finally:
            self._draining.release()

    def _end_all(self, deadline: float) -> bool:
        while True:
            self._held += self._records.take(HELD)
            if not self._held:
                return True
            if time.monotonic() > deadline:
                return False
            ready = self._room(len(self._held))
            if not ready:
                self._make_room()
                ready = max(1, self._room(len(self._held)))
            self._hand_on(ready)

    def _hand_on(self, ready: int) -> None:
        # Out of the hands first: a span processor that flushes must not meet them again.
        records, self._held = self._held[:ready], self._held[ready:]
        self._end(records)

    def tell_observations(self) -> None:
        """Tell what waits."""
        self._tell(self._observations.take(HELD))

    def _guarded(self, step: Callable[..., Any], *arguments: Any) -> None:
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001  # the pump must not die of one bad letter
            faults.add(error)


def _nothing() -> None:
    """What is done first where nothing is."""
