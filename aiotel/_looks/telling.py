"""Say of a deadlock who holds and waits for what, as plain data, and note it on the spans of all involved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from .._ledger import Ledger
from .._mailbox import Mailbox
from .._record import Record, note_on
from .._signals import names
from .._snapshot import Deadlock, Held, Primitive, TaskView
from ..observations import Deadlocked, DeadlockEnd, DeadlockResolved, Entangled, TaskFacts
from .settled import Entry
from .views import with_owners

__all__ = ["Telling", "Told"]

MOST: Final = 100
"""So many tasks of a deadlock are told one by one."""


class Told:
    """A deadlock that was told, and its tasks."""

    def __init__(
        self, deadlock: Deadlock, entries: dict[int, Entry], observed: Deadlocked, now_ns: int
    ) -> None:
        self.deadlock = deadlock
        self.entries = entries
        self.observed = observed
        self.since_ns = min((entry.since_ns for entry in entries.values()), default=now_ns)

    def moved(self, entries: Mapping[int, Entry]) -> list[Entry]:
        """Those of its tasks that are not where they were, of a loop with these."""
        return [entry for key, entry in self.entries.items() if entries.get(key) is not entry]


class Telling:
    """Tells deadlocks, and that they are over."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        wall_ns: Callable[[int], int],
        identified: Callable[[TaskFacts], TaskFacts],
    ) -> None:
        self._mailbox = mailbox
        self._wall_ns = wall_ns
        self._identified = identified
        """Gives a task its ids, where it is only to be decided whether it has a span."""

    def tell(self, deadlock: Deadlock, entries: dict[int, Entry], now_ns: int) -> Told:
        """Tell it, and note it on the spans."""
        views = self._views(entries)
        tasks = [*deadlock.cycle, *deadlock.victims]
        tangled = entangled(tasks[:MOST], views, now_ns)
        observed = Deadlocked(
            kind="cycle",
            cycle=tangled[: len(deadlock.cycle)],
            victims=tangled[len(deadlock.cycle) :],
            left_out=max(0, len(tasks) - MOST),
            certain=deadlock.certain,
            curable=deadlock.curable,
            seconds_left=_seconds_left(deadlock, now_ns),
            time_ns=self._wall_ns(now_ns),
        )
        return self._told(Told(deadlock, entries, observed, now_ns), views, now_ns)

    def tell_total(self, entries: dict[int, Entry], tasks: int, now_ns: int) -> Told:
        """Tell that nothing can wake the loop of these any more; it has so many tasks."""
        views = self._views(entries)
        everybody = tuple(entries)[:MOST]
        observed = Deadlocked(
            kind="total",
            cycle=(),
            victims=entangled(list(everybody), views, now_ns),
            left_out=tasks - len(everybody),
            certain=True,
            seconds_left=None,
            time_ns=self._wall_ns(now_ns),
        )
        deadlock = Deadlock(cycle=(), victims=everybody)
        return self._told(Told(deadlock, entries, observed, now_ns), views, now_ns)

    def resolve(self, told: Told, moved: Iterable[Entry], ledger: Ledger | None, now_ns: int) -> None:
        """Tell that it is over; without a ledger, because its loop was closed."""
        end: DeadlockEnd = "loop closed" if ledger is None else _end(moved, ledger)
        self._mailbox.put(
            DeadlockResolved(
                deadlock=told.observed,
                end=end,
                seconds=(now_ns - told.since_ns) / 1e9,
                time_ns=self._wall_ns(now_ns),
            )
        )

    def _views(self, entries: Mapping[int, Entry]) -> dict[int, TaskView]:
        """What was seen of these, with the ids of their spans."""
        views = with_owners(entries.values())
        return {view.id: replace(view, task=self._identified(view.task)) for view in views}

    def _told(self, told: Told, views: Mapping[int, TaskView], now_ns: int) -> Told:
        """Note it on the spans, and hand it on."""
        cycle = [f"{views[key].task.function} ({views[key].task.name})" for key in told.deadlock.cycle[:MOST]]
        for key, entry in told.entries.items():
            waiting = views[key].waiting
            if waiting is not None:
                attributes = {
                    names.DEADLOCK_CYCLE: cycle,
                    names.DEADLOCK_VICTIM: key not in told.deadlock.cycle,
                    names.WAITING_FOR: waiting.kind,
                    names.TASK_WAITING_DURATION: (now_ns - waiting.since_ns) / 1e9,
                }
                note_on(entry.record, names.DEADLOCK, attributes, time_ns=told.observed.time_ns)
        self._mailbox.put(told.observed)
        return told


def entangled(tasks: list[int], views: Mapping[int, TaskView], now_ns: int) -> tuple[Entangled, ...]:
    """What each of these holds and waits for.

    Locks are told apart by letters, tasks by their numbers here.
    """
    letters = _letters(views[key] for key in tasks)
    numbers = {key: number for number, key in enumerate(tasks, 1)}
    holders: dict[int, list[int]] = {}
    for key in tasks:
        for held in views[key].holds:
            holders.setdefault(held.primitive.id, []).append(numbers[key])
    return tuple(_entangled(views[key], letters, numbers, holders, now_ns) for key in tasks)


def _entangled(
    view: TaskView,
    letters: Mapping[int, str],
    numbers: Mapping[int, int],
    holders: Mapping[int, list[int]],
    now_ns: int,
) -> Entangled:
    waiting = view.waiting
    primitive = None if waiting is None else waiting.primitive
    if waiting is None:
        return Entangled(task=view.task, waits_for="", waits_at=None, waits_for_tasks=(), seconds=0.0)
    tasks = holders.get(primitive.id, ()) if primitive is not None else map(numbers.get, waiting.tasks)
    return Entangled(
        task=view.task,
        holds=tuple((_named(held, letters), held.at) for held in view.holds),
        waits_for=waiting.kind if primitive is None else f"{primitive.name} {letters[primitive.id]}",
        waits_at=waiting.at,
        waits_for_tasks=tuple(task for task in tasks if task is not None),
        seconds=(now_ns - waiting.since_ns) / 1e9,
    )


def _named(held: Held, letters: Mapping[int, str]) -> str:
    return f"{held.primitive.name} {letters[held.primitive.id]}"


def _letters(views: Iterable[TaskView]) -> dict[int, str]:
    """A, B, ... for each primitive that is waited for or held."""
    found: dict[int, str] = {}
    for view in views:
        waited: list[Primitive] = []
        if view.waiting is not None and view.waiting.primitive is not None:
            waited.append(view.waiting.primitive)
        for primitive in [*(held.primitive for held in view.holds), *waited]:
            found.setdefault(primitive.id, _letter(len(found)))
    return found


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"#{number + 1}"


def _seconds_left(deadlock: Deadlock, now_ns: int) -> float | None:
    return None if deadlock.deadline_ns is None else max(0.0, (deadlock.deadline_ns - now_ns) / 1e9)


def _end(moved: Iterable[Entry], ledger: Ledger) -> DeadlockEnd:
    """How it has ended, by the first of those that have moved."""
    for entry in moved:
        record = entry.record
        outcome = getattr(record, "outcome", None) if isinstance(record, Record) else None
        if outcome == "cancelled":
            return "cancelled"
        if entry.key not in ledger.live:
            return "task ended"
    return "released"
