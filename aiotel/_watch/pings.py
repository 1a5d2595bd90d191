"""Ask a loop that has no selector how late it is: by a call that it is to answer, one at a time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from .._borrowed import Returns
from .._faults import faults
from .._inspect.glances import is_running, task_id_of
from .._inspect.stacks import top_of
from .._ledger import Ledger
from .._measured import Times
from .._record import AnyRecord, take
from .._visits import ask
from .beats import Ended, Share, end_stall, keep_delay

__all__ = ["EVERY_NS", "Pings"]

EVERY_NS: Final = 100_000_000
"""The least time from one answer to the next question."""
IDLE_NS: Final = 500_000_000
"""The same where the loop has nothing to do, and would be woken for it."""
Woken = Callable[[Ledger, int], Iterable[tuple[AnyRecord, int]]]
"""The records of those that are about to run, and for how long they cannot have run before."""


class Pings:
    """The questions to one loop, and its answers."""

    def __init__(
        self,
        ledger: Ledger,
        returns: Returns,
        *,
        woken: Woken,
        every_ns: int = EVERY_NS,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.base_depth: int | None = None
        self.threshold_ns = 1 << 62
        self.stalls: list[Ended] = []
        self.every_ns = every_ns
        self._ledger = ledger
        # Until it answers: who makes tasks on a loop runs it, too, as a rule.
        self.ident, self.native_id = threading.get_ident(), threading.get_native_id()
        self.first: Share | None = Share(clock(), time.thread_time_ns(), time.process_time_ns())
        self._returns = returns
        self._woken = woken
        self._clock = clock
        self._sent_ns = 0
        """When it was asked what it has not answered; negative where the answer will tell nothing."""
        self._since_ns = 0
        self._answered_ns = 0
        self._base: object = None
        """The code that runs the loop."""
        self._callback_seen: object = None
        self._seen_ns = 0
        """What the loop was seen to run, and when that was first."""
        self._late: list[int] = []

    def detach(self) -> None:
        """Ask no more; an answer that is still to come does nothing."""
        self._sent_ns = -1

    def turned(self) -> None:
        """It is seen before the next question."""

    def is_asked(self) -> bool:
        """It is: by its own `call_soon_threadsafe`."""
        return True

    def rest(self) -> None:
        """It is seen before the next question."""

    def since_ns(self) -> int:
        """Since when the loop owes an answer, or was seen in the callback that it is in."""
        return self._since_ns if self._sent_ns > 0 else 0

    def mark(self) -> int:
        """See `Beat.mark`; such a loop has to be looked at, always."""
        return 1

    def look(self, now_ns: int, held_ns: int) -> None:
        """Ask the loop, where it is time to: now and then, and when it seems to be in one callback for long.

        Where the GIL was held meanwhile, in that callback perhaps, nobody could ask.
        """
        if self._sent_ns > 0 and not is_running(self._ledger.loop):
            self._sent_ns = -self._sent_ns  # it stopped meanwhile: the answer will tell nothing
        if self._sent_ns:
            return
        callback = self._callback()
        if callback is None or callback != self._callback_seen:
            self._callback_seen, self._seen_ns = callback, now_ns - held_ns
        again = callback is not None and self._seen_ns < now_ns
        every_ns = IDLE_NS if callback is None else self.every_ns
        if again or now_ns - self._answered_ns >= every_ns:
            # A loop that was in no callback had nothing to do, and owes nothing for the time before.
            self._since_ns = now_ns if callback is None else min(now_ns, self._seen_ns)
            self._sent_ns = now_ns
            if not (is_running(self._ledger.loop) and ask(self._ledger, self._answer, self._returns)):
                self._sent_ns = 0

    def _callback(self) -> tuple[object, int] | None:
        """The innermost code that the loop's thread runs, and the task; None where it is in the loop."""
        code = top_of(self.ident) if self.ident else None
        return None if code is None or code is self._base else (code, task_id_of(self._ledger.loop))

    def take_delays(self) -> tuple[int, int, list[int]]:
        """How late the answers were since the last look."""
        return 0, 0, take(self._late)

    def cpu_ns(self) -> int | None:
        """It does not say when it runs."""
        return None

    def times(self) -> Times | None:
        """Such a loop does not say what it does with its time."""
        return None

    # On the loop's thread.

    def _answer(self) -> None:
        try:
            now_ns = self._clock()
            sent_ns, since_ns = self._sent_ns, self._since_ns
            self._sent_ns, self._answered_ns, self._callback_seen = 0, now_ns, None
            if self.ident != threading.get_ident():
                self.ident, self.native_id = threading.get_ident(), threading.get_native_id()
                self.first = None
            self.base_depth, self._base = _below()
            if sent_ns <= 0:
                return
            keep_delay(self._late, now_ns - sent_ns)
            end_stall(self, since_ns, now_ns, partial(self._woken, self._ledger))
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)


def _below() -> tuple[int, object]:
    """How many frames are below those of a callback, and the code of the one that runs the loop."""
    frame = sys._getframe(1).f_back
    code, depth = None if frame is None else frame.f_code, 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    return depth, code
