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
from ..observations import Frame
from .settled import Entry

__all__ = ["Owners", "clock_of", "see", "see_anew", "view_of", "with_owners"]

Owners = Callable[[int], tuple[tuple[int, Frame | None], ...] | None]
"""Which tasks hold the primitive with this id, and since which line; None where that is not certain."""

BUDGET_NS: Final = 2_000_000
"""So much of the loop's time is taken in one go."""


def clock_of(loop: Any) -> Clock:
    """The loop's clock beside ours."""
    return Clock(loop.time(), time.monotonic_ns())


def see(
    fresh: deque[Entry], loop: Any, owners: Owners, *, clock: Callable[[], int] = time.monotonic_ns
) -> None:
    """Look at these, and take them out, as long as the budget allows; closely where one could be deadlocked.

    On the loop's thread.
    """
    until_ns = clock() + BUDGET_NS
    while fresh and clock() < until_ns:
        try:
            _see(fresh.popleft(), loop, owners)
        except Exception as error:  # noqa: BLE001  # ours, not the program's; the others are still looked at
            faults.add(error)


def see_anew(entries: Iterable[Entry], loop: Any, owners: Owners) -> None:
    """Look at these once more, at those that are still where they were. On the loop's thread."""
    for entry in entries:
        task = entry.task()
        if task is not None and task._fut_waiter is entry.waiter():
            _look(entry, task, loop, owners)


def view_of(task: Any, record: AnyRecord, look: Look, *, loop: int) -> TaskView:
    """The look at a task of the loop with this number, with who it is."""
    return TaskView(
        id=id(task),
        loop=loop,
        task=facts_of_record(str(task.get_name()), record),
        state=look.state,
        created_ns=record.start_ns,
        waiting=look.waiting,
        holds=look.holds,
        stack=look.stack,
    )


def with_owners(entries: Iterable[Entry]) -> list[TaskView]:
    """The views of these, each with what it holds: where the owners are certain, by them alone."""
    entries = [entry for entry in entries if entry.view is not None]
    certain: set[int] = set()
    held: dict[int, list[Held]] = {}
    for entry in entries:
        primitive = None if entry.view.waiting is None else entry.view.waiting.primitive
        if primitive is None or entry.owners is None or primitive.id in certain:
            continue
        certain.add(primitive.id)
        for owner, at in entry.owners:
            held.setdefault(owner, []).append(Held(primitive=primitive, at=at, certain=True))
    if not certain:
        return [entry.view for entry in entries]
    return [replace(entry.view, holds=_holds(entry, certain, held)) for entry in entries]


def _holds(entry: Entry, certain: set[int], held: dict[int, list[Held]]) -> tuple[Held, ...]:
    witnessed = [each for each in entry.view.holds if each.primitive.id not in certain]
    return (*witnessed, *held.get(entry.key, ()))


def _see(entry: Entry, loop: Any, owners: Owners) -> None:
    task = entry.task()
    if task is None or task._fut_waiter is not entry.waiter():
        return
    if entry.closely or is_suspect(task):
        _look(entry, task, loop, owners)


def _look(entry: Entry, task: Any, loop: Any, owners: Owners) -> None:
    look = look_at(Walk(task), clock=clock_of(loop), since_ns=entry.since_ns)
    entry.view = view_of(task, entry.record, look, loop=0)
    entry.owners = None if look.owners is None else tuple((owner, None) for owner in look.owners)
    primitive = None if look.waiting is None else look.waiting.primitive
    if primitive is not None and entry.owners is None:
        entry.owners = owners(primitive.id)
