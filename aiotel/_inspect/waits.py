"""Say of a task what it does: what it waits for, who could end that, what it holds, and where it stands.

A look costs some 20 microseconds and changes nothing: what a suspended task waits for and holds is written in
its coroutines. It is to be taken on the task's loop, between two callbacks, where nothing changes meanwhile;
on another thread what it says is only for people to read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .._snapshot import Held, State, Waiting
from ..observations import Frame
from .coroutines import frame_of
from .deadlines import Clock, deadline_of
from .held import held_by
from .kinds import wait_of
from .walks import Step, Walk, is_done

__all__ = ["Look", "look_at"]

FRAMES: Final = 100
"""So many lines of a task are told."""


class Look(NamedTuple):
    """What a task does.

    `owners` are the ids of those that hold what it waits for, where that is plain to see.
    """

    state: State
    waiting: Waiting | None = None
    holds: tuple[Held, ...] = ()
    stack: tuple[Frame, ...] = ()
    owners: tuple[int, ...] | None = None


def look_at(walk: Walk, *, clock: Clock, since_ns: int) -> Look:
    """What the task of this walk does. It has waited since `since_ns` at least, as far as anybody knows."""
    stack = tuple(step.at for step in walk.steps[:FRAMES])
    state = _state(walk)
    if state != "waiting":
        return Look(state, stack=stack)
    wait = wait_of(walk)
    at = walk.place()
    deadline_ns = deadline_of(walk, clock)
    if wait.deadline is not None:
        own_ns = clock.ns_of(wait.deadline)
        deadline_ns = own_ns if deadline_ns is None else min(own_ns, deadline_ns)
    waiting = Waiting(
        kind=wait.kind,
        since_ns=since_ns,
        at=None if at is None else at.at,
        tasks=wait.tasks,
        primitive=wait.primitive,
        deadline_ns=deadline_ns,
        what=_what(walk, at),
        complete=wait.complete,
    )
    return Look(state, waiting, held_by(walk), stack, wait.owners)


def _state(walk: Walk) -> State:
    coroutine = walk.chain[0] if walk.chain else None
    if getattr(coroutine, "cr_running", False):
        return "running"
    if walk.waiter is not None and not is_done(walk.waiter):
        return "waiting"
    frame = frame_of(coroutine)
    if frame is not None and not getattr(coroutine, "cr_suspended", True):
        return "not started"
    return "ready"


def _what(walk: Walk, at: Step | None) -> str:
    """The library's function that the program's own awaits."""
    beyond = False
    for coroutine, step in zip(walk.chain, map(_step_of(walk), walk.chain), strict=True):
        if beyond:
            return str(getattr(coroutine, "__qualname__", "")) if step is not None else ""
        beyond = at is not None and step is at
    return ""


def _step_of(walk: Walk) -> Callable[[Any], Step | None]:
    steps = {id(step.coroutine): step for step in walk.steps}
    return lambda coroutine: steps.get(id(coroutine))
