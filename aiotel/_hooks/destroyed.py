"""See tasks that are collected before they have ended, from what asyncio says of each.

It says so in the task's finalizer: on any thread, in the middle of a garbage collection. By then the task's
coroutine, which is older, has been closed, and nobody can tell where it waited. So what is left when a loop
is closed is looked at before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import CoroutineType, FrameType
from typing import Any, Final

from .._inspect.plumbing import is_plumbing
from .._ledger import Ledger
from .._mailbox import Mailbox
from .._record import AnyRecord
from .._repeats import Repeats
from ..observations import DestroyedPending, Frame
from .errors import context_of, live_record_of, task_facts

__all__ = ["Destroyed"]

SAYS: Final = "Task was destroyed but it is pending!"
DEEPEST: Final = 100
"""So many coroutines that wait for each other are looked through."""


class Destroyed:
    """Builds a `DestroyedPending` of each."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        repeats: Repeats[Any],
        ledger_of: Callable[[Any], Ledger | None],
        wall_ns: Callable[[int], int],
        *,
        forgive: Callable[[Any], None],
        was_told: Callable[[Any, AnyRecord | None], bool],
    ) -> None:
        self._mailbox = mailbox
        self._repeats = repeats
        self._ledger_of = ledger_of
        self._wall_ns = wall_ns
        self._forgive = forgive
        self._was_told = was_told

    def loop_closes(self, ledger: Ledger) -> None:
        """Keep what is known of the tasks that are left: their records end with the loop."""
        for key, record in list(ledger.live.items()):
            task = record.alive()
            facts = None if task is None or task.done() else task_facts(task, record)
            if facts is not None:
                ledger.left[key] = facts, _suspended_at(task.get_coro())

    def observe(self, loop: Any, context: Mapping[str, Any]) -> bool:
        """Look at what asyncio says where there is no exception; False where it is something else."""
        task = context.get("task")
        if task is None or context.get("message") != SAYS:
            return False
        ledger = self._ledger_of(loop)
        record = live_record_of(ledger, task)
        coro = task.get_coro()
        started = _has_started(coro)
        if not started:
            self._forgive(coro)  # Python says next, or has just said, that it was never awaited
        if self._was_told(task, record):
            return True
        left = ledger.left.pop(id(task), None) if ledger is not None and record is None else None
        facts, suspended = (task_facts(task, record), _suspended_at(coro)) if left is None else left
        if facts is None:
            return True
        site = facts.created_file, facts.created_line
        repeat = self._repeats.begin((DestroyedPending, facts.function, site, started, suspended))
        if repeat is not None:
            repeat.first = destroyed = DestroyedPending(
                task=facts,
                started=started,
                suspended=suspended,
                time_ns=self._wall_ns(time.monotonic_ns()),
                context=context_of(loop, task, None),
            )
            self._mailbox.put(destroyed)
        return True


def _has_started(coro: Any) -> bool:
    """Whether it has made a step; one that was collected just before its task has no frame any more."""
    if type(coro) is not CoroutineType:
        return True
    return coro.cr_suspended or coro.cr_frame is None


def _suspended_at(coro: Any) -> Frame | None:
    """Where a coroutine waits: the innermost line that is not asyncio's; None where that is not known."""
    found: FrameType | None = None
    for _ in range(DEEPEST):
        # Python's own only: what others are made of may run their code when it is looked at.
        if type(coro) is not CoroutineType or not coro.cr_suspended:
            break
        frame = coro.cr_frame
        if frame is None:
            break
        if found is None or not is_plumbing(frame.f_globals.get("__name__")):
            found = frame
        coro = coro.cr_await
    if found is None:
        return None
    code = found.f_code
    return Frame(file=code.co_filename, line=found.f_lineno, function=code.co_qualname)
