"""Who waits for whom in a snapshot, and where that goes round in a circle.

What one look shows may be over a moment later: a circle here is no verdict, as a deadlock is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from ..._detectors.components import components, shortest_cycle
from ..._snapshot import Held, Snapshot, TaskView

__all__ = ["Waits"]

_HELD_KINDS = frozenset({"lock", "semaphore", "condition"})


class Waits:
    """The tasks of a snapshot by id, who holds what, and for whom each waits."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.tasks: Mapping[int, TaskView] = {view.id: view for view in snapshot.tasks}
        holders: dict[int, list[tuple[int, Held]]] = defaultdict(list)
        for view in snapshot.tasks:
            for held in view.holds:
                holders[held.primitive.id].append((view.id, held))
        self._holders = dict(holders)
        self.targets = {view.id: self._targets(view) for view in snapshot.tasks}
        self.sources: dict[int, list[int]] = defaultdict(list)
        for task, targets in self.targets.items():
            for target in targets:
                self.sources[target].append(task)

    def holders(self, primitive: int) -> list[int]:
        """The tasks that hold it."""
        return list(dict.fromkeys(task for task, _ in self._holders.get(primitive, ())))

    def circles(self) -> list[list[int]]:
        """One circle of each set of tasks that wait for each other, each task waiting for the next."""
        found = []
        for component in components(self.targets):
            inside = set(component)
            if len(component) > 1 or component[0] in self.targets[component[0]]:
                found.append(list(shortest_cycle(self.targets, min(inside, key=self._age), inside)))
        return found

    def _age(self, task: int) -> tuple[int, int]:
        """By which the eldest comes first."""
        return self.tasks[task].created_ns, task

    def _targets(self, view: TaskView) -> tuple[int, ...]:
        waiting = view.waiting
        if waiting is None:
            return ()
        found = list(waiting.tasks)
        if waiting.primitive is not None and waiting.kind in _HELD_KINDS:
            found += self.holders(waiting.primitive.id)
        return tuple(task for task in dict.fromkeys(found) if task in self.tasks)
