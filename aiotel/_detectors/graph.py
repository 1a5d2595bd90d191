"""Who waits for whom, and who can still go on: the least fixpoint of being live.

Whatever is not known is live: a task that is not in the snapshot, one that runs or could, a wait that
somebody unknown may end, a lock whose holder is not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from .._snapshot import Snapshot, TaskView
from .components import components

__all__ = ["Graph"]


PERMITS: Final = 32
"""A semaphore with more is not judged: each of its waiters would wait for each of its holders."""


class Graph:
    """The wait-for graph of a snapshot.

    `ends` has, of each task whose wait nothing else can end, the ids of those that can: any one of them will
    do. `dead` are those that nobody can end any more.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.tasks = {view.id: view for view in sorted(snapshot.tasks, key=lambda view: view.id)}
        self._holders: dict[int, list[int]] = defaultdict(list)
        for view in self.tasks.values():
            for held in view.holds:
                self._holders[held.primitive.id].append(view.id)
        self.ends = {task: ends for task, view in self.tasks.items() if (ends := self._ends(view))}
        self.dead = self.ends.keys() - self._live()
        self._cancelled_by: dict[int, list[int]] | None = None

    def awaited_by(self) -> dict[int, list[int]]:
        """Of each task, those whose wait its end, or its letting go of what it holds, would end."""
        found: dict[int, list[int]] = defaultdict(list)
        for task, ends in self.ends.items():
            for end in dict.fromkeys(ends):
                found[end].append(task)
        return found

    def cancelled_by(self, task: int) -> list[int]:
        """Those that hand their own cancellation on to the task, as they wait for its end."""
        if self._cancelled_by is None:
            self._cancelled_by = defaultdict(list)
            for view in self.tasks.values():
                for end in _cancels(view):
                    self._cancelled_by[end].append(view.id)
        return self._cancelled_by.get(task, [])

    def cancels_in_circles(self, tasks: list[int]) -> bool:
        """Whether the cancellation of one of these could come back to it."""
        inside = set(tasks)
        handed_on = {task: [end for end in _cancels(self.tasks[task]) if end in inside] for task in tasks}
        return any(
            len(component) > 1 or component[0] in handed_on[component[0]]
            for component in components(handed_on)
        )

    def deadline_of(self, task: int) -> int | None:
        """When a timeout of the task's own cancels it."""
        waiting = self.tasks[task].waiting
        return None if waiting is None else waiting.deadline_ns

    def knots(self) -> Iterator[list[int]]:
        """The sets of dead tasks that wait for each other and for nobody else: where each deadlock starts."""
        for component in components({task: self.ends[task] for task in sorted(self.dead)}):
            inside = set(component)
            if all(end in inside for task in component for end in self.ends[task]):
                yield sorted(component)

    def _ends(self, view: TaskView) -> tuple[int, ...]:
        """Who can end the task's wait; nobody where others could, too, or that is not known."""
        waiting = view.waiting
        if waiting is None or view.state != "waiting":
            return ()
        if not waiting.complete or waiting.deadline_ns is not None:
            return ()
        if waiting.kind in ("task", "gather", "task group", "wait"):
            return tuple(sorted(set(waiting.tasks)))
        primitive = waiting.primitive
        if primitive is None or not primitive.exact or waiting.kind not in ("lock", "semaphore"):
            return ()
        if primitive.limit is None or primitive.limit > PERMITS:
            return ()
        holders = tuple(self._holders.get(primitive.id, ()))
        # One holder too few, and somebody unknown holds it; one too many, and a witness is wrong.
        return tuple(dict.fromkeys(holders)) if len(holders) == primitive.limit else ()

    def _live(self) -> set[int]:
        awaited_by = self.awaited_by()
        live = {end for ends in self.ends.values() for end in ends if end not in self.ends}
        left = list(live)
        while left:
            for task in awaited_by.get(left.pop(), ()):
                if task not in live:
                    live.add(task)
                    left.append(task)
        return live


def _cancels(view: TaskView) -> tuple[int, ...]:
    """Whom the task's cancellation would be handed on to: `asyncio.wait` leaves its tasks alone."""
    waiting = view.waiting
    if waiting is None or view.state != "waiting":
        return ()
    return () if waiting.kind == "wait" and waiting.what != "wait_for" else waiting.tasks
