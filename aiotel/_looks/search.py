"""Look at all tasks of a loop for what would speak against a suspected deadlock, before it is told.

Who holds a lock is told from the blocks that tasks are inside. A block may be stale: its lock was released by
hand, or by a condition in another task. Then somebody else holds it, and is seen here; so is a timeout around
a task group that will cancel one of the tasks. A few milliseconds of the loop's time at a go.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Collection
from typing import Any, Final

from .._faults import faults
from .._inspect.deadlines import deadline_of
from .._inspect.held import conditions_of, held_by
from .._inspect.walks import Walk
from .views import clock_of

__all__ = ["Search"]

BUDGET_NS: Final = 3_000_000


class Search:
    """The search for one suspected deadlock: of these tasks, which hold these primitives."""

    def __init__(self, tasks: Collection[int], primitives: Collection[int]) -> None:
        self._tasks = tasks
        self._primitives = primitives
        self._left: list[Callable[[], Any]] | None = None
        self.refuted = False
        """Somebody else holds one of them, or may."""
        self.deadline_ns: int | None = None
        """When a timeout will cancel one of the tasks."""

    @property
    def done(self) -> bool:
        """Whether all tasks were looked at, or there is no need any more."""
        return self.refuted or self._left == []

    # On the loop's thread.

    def go_on(self, loop: Any, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Look at some more."""
        if self._left is None:
            # Those that are not in the ledger as well. The list holds none of them.
            self._left = [weakref.ref(task) for task in asyncio.all_tasks(loop)]
        until_ns = clock() + BUDGET_NS
        while self._left and clock() < until_ns and not self.refuted:
            task = self._left.pop()()
            if task is not None:
                self._look_at(task, loop)

    def _look_at(self, task: Any, loop: Any) -> None:
        try:
            walk = Walk(task)
            if conditions_of(walk).intersection(self._primitives):
                self.refuted = True
                return
            if id(task) not in self._tasks:
                self._look_outside(walk, loop)
        except Exception as error:  # noqa: BLE001  # ours, not the program's: what is not known is not told
            faults.add(error)
            self.refuted = True

    def _look_outside(self, walk: Walk, loop: Any) -> None:
        held = {each.primitive.id for each in held_by(walk)}
        if not walk.is_whole or held.intersection(self._primitives):
            self.refuted = True
            return
        groups = (block.manager for step in walk.steps for block in step.blocks())
        children = {id(child) for group in groups for child in _children(group)}
        if children.intersection(self._tasks):
            deadline_ns = deadline_of(walk, clock_of(loop))
            if deadline_ns is not None:
                self.deadline_ns = min(deadline_ns, self.deadline_ns or deadline_ns)


def _children(group: Any) -> Collection[Any]:
    """The tasks of a task group, asyncio's or anyio's."""
    if type(group).__name__ != "TaskGroup" or not str(type(group).__module__).startswith(
        ("asyncio.", "anyio.")
    ):
        return ()
    return list(getattr(group, "_tasks", ()))
