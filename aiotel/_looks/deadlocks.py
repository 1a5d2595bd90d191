"""Follow deadlocks from the first look that shows one to their end: told once, after two equal looks.

The first look is made of what each task showed when it was found not to move. Where that is a deadlock, an
interval later all tasks of the loop are searched for what speaks against it, and then the tasks concerned are
looked at once more, all at the same moment: what is the same then is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from .._snapshot import Deadlock, Snapshot
from .search import Search
from .settled import Entry, Settled
from .telling import Telling, Told
from .views import Owners, see_anew, with_owners

__all__ = ["Deadlocks"]

AGAIN: Final = 50
"""So many of those behind a cycle are looked at again, at the same moment as the cycle."""

Check = Callable[[Snapshot], Iterable[Deadlock]]


class _Suspected:
    """A deadlock that one look has shown."""

    def __init__(self, deadlock: Deadlock, since_ns: int) -> None:
        self.deadlock = deadlock
        self.since_ns = since_ns
        self.search: Search | None = None
        self.seen_again = False

    def shown_by(self, deadlocks: Iterable[Deadlock]) -> Deadlock | None:
        """The one of another look that is the same cycle; None where there is none."""
        tasks = len(self.deadlock.cycle)
        mine = (self.deadlock.cycle, self.deadlock.waits[:tasks])
        return next((found for found in deadlocks if (found.cycle, found.waits[:tasks]) == mine), None)

    def keep(self, tasks: Container[int]) -> None:
        """Leave out the victims that are not among these tasks: they have given up meanwhile."""
        count = len(self.deadlock.cycle)
        victims = zip(self.deadlock.victims, self.deadlock.waits[count:], strict=True)
        left = [(victim, waits) for victim, waits in victims if victim in tasks]
        self.deadlock = replace(
            self.deadlock,
            victims=tuple(victim for victim, _ in left),
            waits=(*self.deadlock.waits[:count], *(waits for _, waits in left)),
        )


class _Loop:
    """The deadlocks of one loop."""

    def __init__(self) -> None:
        self.checked: tuple[int, int] | None = None
        """How often its tasks had changed and were looked at when they were checked last."""
        self.suspected: list[_Suspected] = []
        self.told: list[Told] = []
        """Those that last."""


class Deadlocks:
    """Finds the deadlocks of a session's loops."""

    def __init__(self, check: Check, telling: Telling, owners: Owners, *, interval_ns: int) -> None:
        self._check = check
        self._telling = telling
        self._owners = owners
        self._interval_ns = interval_ns
        self._loops: dict[int, _Loop] = {}

    def active(self) -> int:
        """How many there are."""
        return sum(len(loop.told) for loop in self._loops.values())

    def look(self, settled: Settled, now_ns: int) -> None:
        """See which of them are over. After each round."""
        loop = self._loops.setdefault(id(settled), _Loop())
        for told in list(loop.told):
            moved = told.moved(settled.entries)
            if any(entry.key in told.deadlock.cycle for entry in moved):
                loop.told.remove(told)
                self._telling.resolve(told, moved, settled.ledger, now_ns)

    def consider(self, settled: Settled, now_ns: int) -> Callable[[Any], None] | None:
        """Check what has changed; gives the look that the loop is to take, where that is wanted."""
        loop = self._loops.setdefault(id(settled), _Loop())
        state = settled.changes, settled.seen
        if loop.checked != state:
            loop.checked = state
            self._suspect(loop, settled, now_ns)
        for suspected in list(loop.suspected):
            if now_ns - suspected.since_ns < self._interval_ns:
                continue
            search = suspected.search = suspected.search or _search(settled, suspected.deadlock)
            if search.refuted:
                continue  # it stays, so as not to be searched again
            if not search.done:
                return search.go_on
            if not suspected.seen_again:
                return partial(self._see_again, settled, suspected)
            loop.suspected.remove(suspected)
            self._judge(loop, settled, suspected, search)
        return None

    def tasks(self, settled: Settled) -> set[int]:
        """The ids of all tasks in deadlocks that were told."""
        loop = self._loops.get(id(settled))
        return set() if loop is None else {key for told in loop.told for key in told.entries}

    def conclude(self, settled: Settled, now_ns: int) -> None:
        """The loop was closed."""
        loop = self._loops.pop(id(settled), None)
        for told in () if loop is None else loop.told:
            self._telling.resolve(told, list(told.entries.values()), None, now_ns)

    def forget(self) -> None:
        """In a child process: they are the parent's."""
        self._loops = {}

    def _suspect(self, loop: _Loop, settled: Settled, now_ns: int) -> None:
        found = [deadlock for deadlock in self._found(settled, now_ns) if not _is_told(deadlock, loop.told)]
        known = [suspected for suspected in loop.suspected if suspected.shown_by(found)]
        cycles = {suspected.deadlock.cycle for suspected in known}
        new = [_Suspected(deadlock, now_ns) for deadlock in found if deadlock.cycle not in cycles]
        loop.suspected = [*known, *new]

    def _found(self, settled: Settled, now_ns: int) -> tuple[Deadlock, ...]:
        views = with_owners(list(settled.entries.values()))
        return tuple(self._check(Snapshot(time_ns=0, now_ns=now_ns, tasks=tuple(views)))) if views else ()

    def _judge(self, loop: _Loop, settled: Settled, suspected: _Suspected, search: Search) -> None:
        """Tell it, if the second look shows the same; where not, all are checked anew."""
        loop.checked = None
        now_ns = time.monotonic_ns()
        entries = _entries(settled, (*suspected.deadlock.cycle, *suspected.deadlock.victims))
        still = {key: entry for key, entry in entries.items() if entry.waits_still()}
        same = suspected.shown_by(self._found(settled, now_ns))
        if same is None or not still.keys() >= set(suspected.deadlock.cycle):
            return
        suspected.keep(still)
        deadlines = [each for each in (same.deadline_ns, search.deadline_ns) if each is not None]
        deadlock = replace(suspected.deadlock, certain=same.certain, deadline_ns=min(deadlines, default=None))
        loop.told.append(self._telling.tell(deadlock, still, now_ns))

    # On the loop's thread.

    def _see_again(self, settled: Settled, suspected: _Suspected, loop: Any) -> None:
        tasks = (*suspected.deadlock.cycle, *suspected.deadlock.victims[:AGAIN])
        see_anew(_entries(settled, tasks).values(), loop, self._owners)
        suspected.seen_again = True


def _search(settled: Settled, deadlock: Deadlock) -> Search:
    tasks = {*deadlock.cycle, *deadlock.victims}
    waits = [entry.view.waiting for entry in _entries(settled, tasks).values()]
    primitives = {wait.primitive.id for wait in waits if wait is not None and wait.primitive is not None}
    return Search(tasks, primitives)


def _entries(settled: Settled, tasks: Iterable[int]) -> dict[int, Entry]:
    """What is known of these, of those that wait, and were looked at."""
    found = ((key, settled.entries.get(key)) for key in tasks)
    return {key: entry for key, entry in found if entry is not None and entry.view is not None}


def _is_told(deadlock: Deadlock, told: Iterable[Told]) -> bool:
    """Whether it is one that was told, which may have got more victims since."""
    tasks = {*deadlock.cycle, *deadlock.victims}
    return any(tasks.intersection(each.deadlock.cycle) for each in told)
