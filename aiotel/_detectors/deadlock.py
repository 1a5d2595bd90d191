"""Find deadlocks: tasks that wait for each other, so that none of them can ever go on.

Not its business: tasks that wait for something outside, however long. What only a cancellation would end is a
deadlock all the same, as nobody can be counted on for that.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from .._snapshot import Deadlock, Snapshot
from .components import shortest_cycle
from .graph import Graph

__all__ = ["check"]

STARTS: Final = 64
"""From so many tasks of a knot the shortest cycle is looked for."""


def check(snapshot: Snapshot) -> tuple[Deadlock, ...]:
    """Each deadlock of the snapshot, in the order of the ids of its tasks."""
    graph = Graph(snapshot)
    if not graph.dead:
        return ()
    told: set[int] = set()
    awaited_by = graph.awaited_by()
    return tuple(_deadlock(graph, knot, awaited_by, told) for knot in sorted(graph.knots()))


def _deadlock(graph: Graph, knot: list[int], awaited_by: dict[int, list[int]], told: set[int]) -> Deadlock:
    cycle = _cycle(graph, knot)
    victims = _behind(graph, knot, cycle, awaited_by, told)
    return Deadlock(
        cycle=cycle,
        victims=victims,
        # Of all the knot: whoever waits for several goes on when any one of them ends.
        certain=all(_is_certain(graph, task) for task in knot),
        deadline_ns=_deadline(graph, knot),
        curable=not graph.cancels_in_circles(knot),
        waits=tuple(_what(graph, task) for task in (*cycle, *victims)),
    )


def _cycle(graph: Graph, knot: list[int]) -> tuple[int, ...]:
    """The shortest way from a task of the knot back to itself, each waiting for the next."""
    inside = set(knot)
    found = (shortest_cycle(graph.ends, start, inside) for start in knot[:STARTS])
    return min((cycle for cycle in found if cycle), key=len)


def _behind(
    graph: Graph,
    knot: list[int],
    cycle: tuple[int, ...],
    awaited_by: dict[int, list[int]],
    told: set[int],
) -> tuple[int, ...]:
    """The dead that wait for the knot, directly or behind others, the nearest first; each is told once."""
    told.update(knot)
    on_cycle = set(cycle)
    found = [task for task in knot if task not in on_cycle]
    left = deque([*cycle, *found])
    while left:
        for task in awaited_by.get(left.popleft(), ()):
            if task in graph.dead and task not in told:
                told.add(task)
                found.append(task)
                left.append(task)
    return tuple(found)


def _deadline(graph: Graph, knot: list[int]) -> int | None:
    """When a timeout will end it: that of a task whose cancellation is handed on to one of these.

    Where tasks await each other it is handed round until Python gives up (`RecursionError`): it ends none.
    """
    if graph.cancels_in_circles(knot):
        return None
    reached = set(knot)
    left = deque(knot)
    deadlines = []
    while left:
        for task in graph.cancelled_by(left.popleft()):
            if task not in reached:
                reached.add(task)
                left.append(task)
                deadlines.append(graph.deadline_of(task))
    return min((deadline for deadline in deadlines if deadline is not None), default=None)


def _is_certain(graph: Graph, task: int) -> bool:
    """Whether nobody but those that it waits for could end its wait: most locks, anybody may release."""
    waiting = graph.tasks[task].waiting
    if waiting is None or waiting.primitive is None:
        return True
    wanted = waiting.primitive.id
    holds = [held for end in graph.ends[task] for held in graph.tasks[end].holds]
    return all(held.certain for held in holds if held.primitive.id == wanted)


def _what(graph: Graph, task: int) -> tuple[int, ...]:
    """What the task waits for, as numbers: by these, two looks are compared."""
    waiting = graph.tasks[task].waiting
    if waiting is None:
        return ()
    return (waiting.primitive.id,) if waiting.primitive is not None else tuple(sorted(waiting.tasks))
