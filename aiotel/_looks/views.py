"""Take closer looks at the tasks of a loop, on its thread, a few milliseconds at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from .._faults import faults
from .._inspect.deadlines import Clock
from .._inspect.facts import facts_of_record
from .._inspect.suspects import is_suspect
from .._inspect.waits import Look, look_at
from .._inspect.walks import Walk
from .._record import AnyRecord
from .._snapshot import Held, TaskView
from ..observations import TaskFacts
from .settled import Entry

__all__ = ["clock_of", "see", "seen_anew", "view_of", "with_owners"]

BUDGET_NS: Final = 2_000_000
"""So much of the loop's time is taken in one go."""


def clock_of(loop: Any) -> Clock:
    """The loop's clock beside ours."""
    return Clock(loop.time(), time.monotonic_ns())


def see(fresh: deque[Entry], loop: Any, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
    """Look at these, and take them out, as long as the budget allows; closely where one could be deadlocked.

    On the loop's thread.
    """
    until_ns = clock() + BUDGET_NS
    while fresh and clock() < until_ns:
        try:
            _see(fresh.popleft(), loop)
        except Exception as error:  # noqa: BLE001  # ours, not the program's; the others are still looked at
            faults.add(error)


def seen_anew(entries: Iterable[Entry], loop: Any) -> list[TaskView]:
    """Views of these as they are now; of those that are still where they were. On the loop's thread."""
    found = []
    for entry in entries:
        task = entry.task()
        if task is not None and task._fut_waiter is entry.waiter():
            _look(entry, task, loop)
            found.append(entry.view)
    return found


def view_of(task: Any, record: AnyRecord | None, look: Look, *, loop: int) -> TaskView:
    """The look at a task of the loop with this number, with who it is."""
    name = str(task.get_name())
    facts = (
        TaskFacts(name=name, function=_function(task)) if record is None else facts_of_record(name, record)
    )
    return TaskView(
        id=id(task),
        loop=loop,
        task=facts,
        state=look.state,
        created_ns=0 if record is None else record.start_ns,
        waiting=look.waiting,
        holds=look.holds,
        stack=look.stack,
    )


def with_owners(entries: Iterable[Entry]) -> list[TaskView]:
    """The views of these, each with what the primitives themselves say that it holds."""
    entries = [entry for entry in entries if entry.view is not None]
    held: dict[int, list[Held]] = {}
    for entry in entries:
        primitive = None if entry.view.waiting is None else entry.view.waiting.primitive
        for owner in entry.owners or ():
            if primitive is not None and all(
                each.primitive.id != primitive.id for each in held.get(owner, ())
            ):
                held.setdefault(owner, []).append(Held(primitive=primitive, at=None, certain=True))
    return [
        replace(entry.view, holds=(*entry.view.holds, *held[entry.key])) if entry.key in held else entry.view
        for entry in entries
    ]


def _see(entry: Entry, loop: Any) -> None:
    task = entry.task()
    if task is None or task._fut_waiter is not entry.waiter():
        return
    if entry.closely or is_suspect(task):
        _look(entry, task, loop)


def _look(entry: Entry, task: Any, loop: Any) -> None:
    look = look_at(Walk(task), clock=clock_of(loop), since_ns=entry.since_ns)
    entry.view = view_of(task, entry.record, look, loop=id(loop))
    entry.owners = look.owners


def _function(task: Any) -> str:
    coroutine = task.get_coro()
    return str(getattr(coroutine, "__qualname__", None) or type(coroutine).__name__)
