"""Say of a task what it does: what it waits for, who could end that, what it holds, and where it stands.

A look costs some 20 microseconds and changes nothing: what a suspended task waits for and holds is written in
its coroutines. It is to be taken on the task's loop, between two callbacks, where nothing changes meanwhile;
on another thread what it says is only for people to read.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .._snapshot import Held, State, Waiting
from ..observations import Frame
from .coroutines import frame_of, own
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
    if own(coroutine, "cr_running"):
        return "running"
    if walk.waiter is not None and not is_done(walk.waiter):
        return "waiting"
    if frame_of(coroutine) is not None and own(coroutine, "cr_suspended") is False:
        return "not started"
    return "ready"


def _what(walk: Walk, at: Step | None) -> str:
    """The library's function that the program's own awaits."""
    if at is None:
        return ""
    place = next(number for number, coroutine in enumerate(walk.chain, 1) if coroutine is at.coroutine)
    awaited = (each for each in walk.chain[place : place + 1] if frame_of(each) is not None)
    return next((str(own(each, "__qualname__") or "") for each in awaited), "")
