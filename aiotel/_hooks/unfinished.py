"""Find tasks that were cancelled and go on: they have swallowed it, or their cleaning up takes long.

Those that our hooks saw being cancelled are looked at once the limit is over. For those whose `cancel()` the
program called, which nobody sees, a few of the loop's tasks are asked in turn. Whatever holds a task runs on
its loop's thread, called from the pump while there is something to look at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Any, Final

from .._borrowed import Returns
from .._faults import faults
from .._inspect.coroutines import coroutines, frame_of
from .._ledger import Ledger
from .._mailbox import Mailbox
from .._record import AnyRecord, Record
from .._repeats import Repeats
from .._visits import ask
from ..observations import Cancellation, UnfinishedCancellation
from .chains import handled, pending, place
from .errors import task_facts
from .explanations import asked, by_message, message_in, record_of
from .requests import REQUESTS, Request, Watch, first_of

__all__ = ["LIMIT_S", "Unfinished"]

LIMIT_S: Final = 5.0
"""A task that still runs so long after it was cancelled is told."""
AT_ONCE: Final = 200
"""How many tasks are looked at in one go, which takes 0.1 ms."""
FEW: Final = 10
BUDGET_NS: Final = 2_000_000
"""Whoever cleans up for long is looked at for so long in one go, a few at a time."""
STEP_NS: Final = 200_000_000
"""The least time from one go to the next, for those that nobody saw being cancelled: 1,000 a second."""
ROUND_NS: Final = 1_000_000_000
"""The least time from one round, in which each task of a loop is asked, to the next."""
LOOKS: Final = 3
"""A task that is about to run is looked at again, but not for ever: it may never do anything else."""

# Functions that wait, cancelled, for others to end: those are looked at for themselves.
_WAITING: Final = frozenset(
    {
        ("asyncio.taskgroups", "TaskGroup.__aexit__"),
        ("asyncio.taskgroups", "TaskGroup._aexit"),
        ("asyncio.tasks", "_cancel_and_wait"),
        ("anyio._backends._asyncio", "TaskGroup.__aexit__"),
    }
)


class Unfinished:
    """Looks for them, in all loops of a session."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        wall_ns: Callable[[int], int],
        returns: Returns,
        *,
        limit_s: float = LIMIT_S,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._wall_ns = wall_ns
        self._returns = returns
        self._clock = clock
        self.limit_ns = int(limit_s * 1e9)
        self._watches: dict[int, Watch] = {}

    def forget(self) -> None:
        """In a child process: the loops are the parent's."""
        self._watches = {}

    # On the loop's thread.

    def add(self, ledger: Ledger, task: Any, cancellation: Cancellation) -> None:
        """Look at this task when the limit is over."""
        now_ns = self._clock()
        watch = self._watch(ledger)
        watch.add(task, cancellation, now_ns)
        if not watch.next_ns:
            watch.next_ns = now_ns + self.limit_ns

    def cause_of(self, ledger: Ledger, task: Any) -> Cancellation | None:
        """Why this task, which is being cancelled, was asked to end."""
        watch = self._watch(ledger)
        request = watch.requests.get(id(task)) or watch.told.get(id(task))
        return request.cancellation if request is not None and request() is task else None

    # On the pump's thread. No task is touched here: it might be the last to hold it.

    def look(self, ledgers: Iterable[Ledger]) -> None:
        """Have each loop look, where there is something to look at and the last look is over."""
        try:
            self._look(ledgers, self._clock())
        except Exception as error:  # noqa: BLE001  # what else the pump does is to go on
            faults.add(error)

    def _look(self, ledgers: Iterable[Ledger], now_ns: int) -> None:
        for key, watch in self._watches.copy().items():
            if watch.ledger.closed:
                self._watches.pop(key, None)
        for ledger in ledgers:
            watch = self._watch(ledger)
            if watch.asked:
                continue
            keys = self._turn(ledger, watch, now_ns)
            if keys or 0 < watch.next_ns <= now_ns:
                self._ask(ledger, watch, keys)

    def _ask(self, ledger: Ledger, watch: Watch, keys: list[int]) -> None:
        watch.asked = True
        if not ask(ledger, partial(self._look_here, watch, keys), self._returns):
            watch.asked = False
            watch.next_ns = 0

    def _turn(self, ledger: Ledger, watch: Watch, now_ns: int) -> list[int]:
        """The ids of tasks whose turn it is; none where there is no task older than the limit."""
        wait_ns = STEP_NS if watch.turn else ROUND_NS
        if now_ns - watch.turn_ns < min(wait_ns, self.limit_ns):
            return []
        try:
            eldest = next(iter(ledger.live), None)
        except RuntimeError:  # the loop has changed the table between these two steps
            return []
        if eldest != watch.eldest[0]:
            watch.eldest = (eldest, now_ns)
        if eldest is None or now_ns - watch.eldest[1] < self.limit_ns:
            return []
        watch.turn_ns = now_ns
        if not watch.turn:
            watch.turn = list(ledger.live)
        keys = watch.turn[-AT_ONCE:]
        del watch.turn[-AT_ONCE:]
        return keys

    # On the loop's thread.

    def _look_here(self, watch: Watch, keys: list[int]) -> None:
        try:
            self._ask_each(watch, keys)
            self._look_at_due(watch)
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)
        finally:
            watch.asked = False

    def _ask_each(self, watch: Watch, keys: list[int]) -> None:
        now_ns = self._clock()
        before_ns = now_ns - self.limit_ns
        live = watch.ledger.live
        for key in keys:
            record = live.get(key)
            if record is None or record.start_ns > before_ns:
                continue
            task = record.alive()
            if task is not None and pending(task):
                watch.add(task, None, now_ns)
                watch.next_ns = watch.next_ns or now_ns + self.limit_ns

    def _look_at_due(self, watch: Watch) -> None:
        now_ns = self._clock()
        for request in first_of(watch.told, AT_ONCE):
            task = request()
            if task is not None and pending(task):  # not to be told again; to the end of the queue
                watch.told[request.key] = request
        due = first_of(watch.requests, AT_ONCE, until_ns=now_ns - self.limit_ns)
        for number, request in enumerate(due, 1):
            self._look_at(watch, request, now_ns)
            if not number % FEW and self._clock() - now_ns > BUDGET_NS:
                watch.requests = {late.key: late for late in due[number:]} | watch.requests
                break
        first = next(iter(watch.requests.values()), None)
        watch.next_ns = 0 if first is None else first.since_ns + self.limit_ns

    def _look_at(self, watch: Watch, request: Request, now_ns: int) -> None:
        task = request()
        if task is None or task.done():
            return
        record = record_of(watch.ledger, task)
        if task.cancelling() == 0:  # `uncancel()` has taken it back
            if isinstance(record, Record):
                record.note_cancellation(None)
            return
        waiter = getattr(task, "_fut_waiter", None)
        if (waiter is None or waiter.done()) and request.looks < LOOKS:
            request.looks += 1
            watch.requests[request.key] = request
        elif not _waits_for_others(task, waiter):
            self._tell(watch.ledger, task, record, request, now_ns)
            if len(watch.told) < REQUESTS:
                watch.told[request.key] = request

    def _tell(
        self, ledger: Ledger, task: Any, record: AnyRecord | None, request: Request, now_ns: int
    ) -> None:
        cleaning = handled(task)
        at = place(task)
        kind: Any = "swallowed" if cleaning is None else "slow_cancellation"
        key: Hashable = (kind, None if record is None else record.function, at)
        repeat = self._repeats.begin(key)
        if repeat is None:
            return
        repeat.first = found = UnfinishedCancellation(
            kind=kind,
            task=task_facts(task, record),
            cancellation=request.cancellation or by_message(message_in(cleaning)) or asked(ledger, task),
            exact=request.cancellation is not None,
            seconds=(now_ns - request.since_ns) / 1e9,
            time_ns=self._wall_ns(now_ns),
            at=at,
        )
        self._mailbox.put(found)

    def _watch(self, ledger: Ledger) -> Watch:
        # Two threads may come here at once, and are to find the same one.
        return self._watches.get(id(ledger)) or self._watches.setdefault(id(ledger), Watch(ledger))


def _waits_for_others(task: Any, waiter: Any) -> bool:
    """Whether all it does is to wait for tasks that were cancelled too, and that go on."""
    if waiter is not None and (pending(waiter) or getattr(waiter, "_cancel_requested", False)):
        return True
    for coroutine in coroutines(task):
        frame = frame_of(coroutine)
        code = None if frame is None else frame.f_code
        if code is not None and (frame.f_globals.get("__name__"), code.co_qualname) in _WAITING:
            return True
    return False
