"""See which failures of tasks somebody has looked at, and which nobody has for a while.

asyncio tells of a task that failed, and that nobody has looked at, when the task is collected: of one that
somebody holds, never. So failed tasks are looked at again, on their own loop's thread, in a callback that is
queued only while there is something to see. A look peeks: to retrieve the exception would silence asyncio.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

from .._borrowed import Borrowed, Returns, is_only_ours
from .._faults import faults
from .._ledger import SETTLED, TOLD, UNRETRIEVED, Failed, Ledger
from .._mailbox import Mailbox
from .._repeats import Repeats
from .._visits import ask
from ..observations import Failure, Retrieved, Unretrieved
from .errors import task_facts
from .exceptions import facts_of, fingerprint_of, type_of

__all__ = ["Retrievals", "find"]

GRACE_NS: Final = 2_000_000_000
"""So long after a failed task went, asyncio may still tell of it: the collector runs finalizers late."""
FEW: Final = 10
BUDGET_NS: Final = 2_000_000
"""Failed tasks are looked at for so long in one callback, a few at a time."""
HANDLED: Final = 1_000_000
"""How many handled exceptions may wait to be counted."""
PAUSE_NS: Final = 500_000_000
"""How long a loop is left alone between two looks."""
NEVER_RETRIEVED: Final = "Task exception was never retrieved"


class Retrievals:
    """Follows every failed task until it is certain what became of its exception."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        wall_ns: Callable[[int], int],
        returns: Returns,
        *,
        after_ns: int,
        frames: int,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._wall_ns = wall_ns
        self._returns = returns
        self._after_ns = after_ns
        self._frames = frames
        self._clock = clock

    # On the pump's thread.

    def look(self, ledgers: Iterable[Ledger]) -> None:
        """Have each loop look at its failed tasks, where there is something to see."""
        now_ns = self._clock()
        for ledger in ledgers:
            if now_ns < ledger.next_look_ns or not self._is_something(ledger, now_ns):
                continue
            ledger.next_look_ns = now_ns + PAUSE_NS
            if ledger.closed:
                self._look_at(ledger, off_loop=True)
            elif not ledger.looking:
                self._queue(ledger)

    def _is_something(self, ledger: Ledger, now_ns: int) -> bool:
        if ledger.forgotten or ledger.dead or (ledger.held and now_ns - ledger.held_ns >= self._after_ns):
            return True
        try:
            return bool(ledger.fresh) and now_ns - ledger.fresh[0].ended_ns >= self._after_ns
        except IndexError:  # its loop has just taken the last one
            return False

    def _queue(self, ledger: Ledger) -> None:
        ledger.looking = True
        if not ask(ledger, partial(self._look_at, ledger), self._returns):
            ledger.looking = False

    # On the loop's thread; on the pump's where the loop is closed, so that nothing else writes to the ledger.

    def _look_at(self, ledger: Ledger, *, off_loop: bool = False) -> None:
        try:
            ledger.looking = False
            now_ns = self._clock()
            self._bury(ledger, now_ns)
            for number, failed in enumerate(self._due(ledger, now_ns), 1):
                task = failed()
                if task is not None:
                    self._look_at_one(ledger, failed, task, now_ns)
                if off_loop and task is not None and is_only_ours(task):
                    self._returns.leave(task)
                del task
                if not number % FEW and self._clock() - now_ns > BUDGET_NS:
                    ledger.next_look_ns = 0  # the rest at the pump's next turn
                    break
        except Exception as error:  # noqa: BLE001  # ours, not the program's
            faults.add(error)

    def _bury(self, ledger: Ledger, now_ns: int) -> None:
        """Decide about tasks that went a while ago: where asyncio has not told, somebody has looked."""
        while ledger.forgotten:
            failed = ledger.forgotten.popleft()
            failed.gone_ns = now_ns
            ledger.dead.append(failed)
        while ledger.dead and now_ns - ledger.dead[0].gone_ns >= GRACE_NS:
            failed = ledger.dead.popleft()
            if not failed.told & (TOLD | SETTLED):
                self._retrieved(ledger, failed, now_ns)
            ledger.forget_failed(failed)

    def _due(self, ledger: Ledger, now_ns: int) -> Iterator[Failed]:
        """The failed tasks that it is time to look at, each taken out."""
        while ledger.fresh and now_ns - ledger.fresh[0].ended_ns >= self._after_ns:
            yield ledger.fresh.popleft()
        if now_ns - ledger.held_ns >= self._after_ns:
            ledger.held_ns = now_ns
            for _ in range(len(ledger.held)):
                yield ledger.held.popleft()

    def _look_at_one(self, ledger: Ledger, failed: Failed, task: Any, now_ns: int) -> None:
        if not task._log_traceback:
            self._retrieved(ledger, failed, now_ns)
            return
        if not failed.told & UNRETRIEVED:
            self._tell(ledger, failed, task)
        ledger.held.append(failed)

    # What is told.

    def _tell(self, ledger: Ledger, failed: Failed, task: Any) -> None:
        """Nobody has looked for a while, and somebody holds it."""
        failed.told |= UNRETRIEVED
        failed.facts = task_facts(task, failed.record)
        exception = task._exception
        repeat = self._repeats.begin(fingerprint_of(exception, Unretrieved))
        if repeat is None:
            return
        get_context = getattr(task, "get_context", None)  # 3.12
        loop = ledger.loop()
        repeat.first = unretrieved = Unretrieved(
            exception=facts_of(exception, frames=self._frames),
            time_ns=self._wall_ns(failed.ended_ns),
            task=failed.facts,
            context=None if get_context is None or loop is None else Borrowed(get_context().copy(), loop),
        )
        self._mailbox.put(unretrieved)

    def _retrieved(self, ledger: Ledger, failed: Failed, now_ns: int) -> None:
        """Somebody has looked at it: in time, or after we have said that nobody had."""
        ledger.forget_failed(failed)
        if failed.told & UNRETRIEVED:
            facts = failed.facts
            repeat = self._repeats.begin((Retrieved, facts.function if facts else "", failed.error_type))
            if repeat is not None:
                repeat.first = retrieved = Retrieved(
                    error_type=failed.error_type,
                    task=facts,
                    time_ns=self._wall_ns(now_ns),
                    after_ns=now_ns - failed.ended_ns,
                )
                self._mailbox.put(retrieved)
        elif not failed.told & TOLD and len(ledger.handled) < HANDLED:
            ledger.handled.append(failed.error_type)

    # At the end of the process.

    def conclude(self, ledgers: Iterable[Ledger], *, certain: bool) -> None:
        """Decide about every failure. Where it is `certain` that nobody will look any more, tell."""
        now_ns = self._clock()
        for ledger in ledgers:
            self._bury(ledger, now_ns + GRACE_NS)
            for failed in list(ledger.failed.values()):
                task = failed()
                if task is None:
                    continue
                if not task._log_traceback:
                    self._retrieved(ledger, failed, now_ns)
                elif certain and not failed.told & TOLD:
                    self._tell_for_certain(failed, task)

    def _tell_for_certain(self, failed: Failed, task: Any) -> None:
        counted = bool(failed.told & UNRETRIEVED)
        failed.told |= TOLD
        exception = task._exception
        repeat = self._repeats.begin(fingerprint_of(exception, "task", counted))
        if repeat is None:
            return
        repeat.first = failure = Failure(
            source="task",
            message=NEVER_RETRIEVED,
            exception=facts_of(exception, frames=self._frames),
            time_ns=self._wall_ns(failed.ended_ns),
            task=task_facts(task, failed.record),
            counted=counted,
        )
        self._mailbox.put(failure)


def find(ledgers: Iterable[Ledger], exception: BaseException) -> Failed | None:
    """The task that has failed with this very exception: the outermost of those that are remembered."""
    key = id(exception), type_of(exception)
    found: Failed | None = None
    for ledger in ledgers:
        for failed in (*list(ledger.failed.values()), *list(ledger.dead), *list(ledger.lately)):
            same = (failed.exception_id, failed.error_type) == key
            if same and (found is None or failed.ended_ns > found.ended_ns):
                found = failed
    return found
