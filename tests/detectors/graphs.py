"""Snapshots made by hand, and what can still run in them, by letting it run."""

from __future__ import annotations

from collections.abc import Iterable

from aiotel._snapshot import Held, Primitive, PrimitiveKind, Snapshot, State, TaskView, Waiting, WaitKind
from aiotel.observations import TaskFacts

__all__ = ["hands_on_to", "held", "left_after_running", "lock", "snapshot", "task", "waits"]


def lock(number: int, *, limit: int | None = 1, exact: bool = True) -> Primitive:
    """A lock; a semaphore where its limit is another."""
    kind: PrimitiveKind = "lock" if limit == 1 else "semaphore"
    return Primitive(id=number, kind=kind, name=kind.title(), limit=limit, exact=exact)


def held(primitive: Primitive, *, certain: bool = False) -> Held:
    """It is held, since nobody knows when."""
    return Held(primitive=primitive, at=None, certain=certain)


def waits(
    what: Primitive | Iterable[int] | None,
    kind: WaitKind | None = None,
    *,
    deadline_ns: int | None = None,
    complete: bool = True,
    library: str = "",
) -> Waiting:
    """A wait for a primitive, for tasks, or for nobody knows what."""
    if what is None:
        return Waiting(kind=kind or "unknown", since_ns=0, deadline_ns=deadline_ns)
    if isinstance(what, Primitive):
        kind = "lock" if what.kind == "lock" else "semaphore"
        return Waiting(kind=kind, since_ns=0, primitive=what, deadline_ns=deadline_ns, complete=complete)
    return Waiting(
        kind=kind or "gather",
        since_ns=0,
        tasks=tuple(what),
        deadline_ns=deadline_ns,
        complete=complete,
        what=library,
    )


def task(number: int, waiting: Waiting | None, *holds: Held, state: State = "waiting") -> TaskView:
    """A task that waits."""
    facts = TaskFacts(name=f"Task-{number}", function="app.work")
    return TaskView(
        id=number, loop=0, task=facts, state=state, created_ns=0, waiting=waiting, holds=tuple(holds)
    )


def snapshot(*tasks: TaskView) -> Snapshot:
    """All of them."""
    return Snapshot(time_ns=0, now_ns=0, tasks=tasks)


def left_after_running(tasks: Iterable[TaskView]) -> set[int]:
    """Let one task after the other end that can, giving up what it holds; those that are left are dead."""
    left = {view.id: view for view in tasks}
    permits: dict[int, int] = {}
    for view in left.values():
        for each in view.holds:
            permits[each.primitive.id] = permits.get(each.primitive.id, 0) + 1
    wanted = dict(permits)
    while True:
        able = [view for view in left.values() if _can_go_on(view, left, permits, wanted)]
        if not able:
            return set(left)
        del left[able[0].id]
        for each in able[0].holds:
            permits[each.primitive.id] -= 1


def _can_go_on(
    view: TaskView, left: dict[int, TaskView], permits: dict[int, int], at_first: dict[int, int]
) -> bool:
    waiting = view.waiting
    if waiting is None or view.state != "waiting" or waiting.deadline_ns is not None or not waiting.complete:
        return True
    primitive = waiting.primitive
    if primitive is None:
        return not waiting.tasks or any(end not in left for end in waiting.tasks)
    if not primitive.exact or at_first.get(primitive.id, 0) != primitive.limit:
        return True
    return permits[primitive.id] < primitive.limit


def hands_on_to(view: TaskView, tasks: dict[int, TaskView]) -> set[int]:
    """All that are cancelled when this one is."""
    reached: set[int] = set()
    left = [view]
    while left:
        waiting = left.pop().waiting
        if waiting is None or (waiting.kind == "wait" and waiting.what == "wait"):
            continue
        new = set(waiting.tasks) & tasks.keys() - reached
        reached |= new
        left += [tasks[number] for number in sorted(new)]
    return reached
