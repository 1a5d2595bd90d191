"""Tell what a task waits for, and who could end that, from what it is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import CellType
from typing import Any, Final, NamedTuple

from .._snapshot import Primitive, WaitKind
from .plumbing import is_plumbing
from .primitives import is_a, known
from .walks import Step, Walk, is_done

__all__ = ["Wait", "wait_of"]

Tell = Callable[[Walk, Step], "Wait"]

MOST: Final = 2000
"""Who waits for so many at once is not judged."""


class Wait(NamedTuple):
    """What is known of a wait.

    `owners` are the ids of those that hold the primitive, where it says so itself.
    """

    kind: WaitKind
    tasks: tuple[int, ...] = ()
    primitive: Primitive | None = None
    complete: bool = False
    """Nothing can end it but `tasks`, or who holds the primitive."""
    owners: tuple[int, ...] | None = None
    deadline: float | None = None
    """By the loop's own clock."""


def wait_of(walk: Walk) -> Wait:
    """What the task waits for."""
    waiter: Any = walk.waiter
    if not walk.is_whole:
        return Wait("unknown")
    if _is_task(waiter):
        return Wait("task", (id(waiter),), complete=True)
    if type(waiter).__name__ == "_GatheringFuture":
        return _of_futures(walk, "gather", _pending(walk, waiter._children))
    for step in reversed(walk.steps):
        found = _BY_CODE.get(step.code)
        if found is not None:
            return found(walk, step)
        by_name = _BY_NAME.get((step.module, step.code.co_qualname))
        if by_name is not None:
            return by_name(walk, step)
        if not is_plumbing(step.module):
            break
    return Wait("executor" if _is_of_executor(waiter) else "future")


def _pending(walk: Walk, futures: Any) -> list[Any]:
    """Those of these futures that have not ended; of a gather within a gather, those that it gathers."""
    found: list[Any] = []
    left = list(futures)
    while left and len(found) < MOST:
        future = walk.keep(left.pop())
        if is_done(future):
            continue
        if type(future).__name__ == "_GatheringFuture":
            left.extend(future._children)
        else:
            found.append(future)
    return found


def _of_futures(walk: Walk, kind: WaitKind, futures: list[Any], deadline: float | None = None) -> Wait:
    tasks = tuple(id(future) for future in futures if _is_task(future))
    complete = bool(tasks) and len(tasks) == len(futures) < MOST
    return Wait(kind, tasks, complete=complete, deadline=deadline)


def _is_task(thing: Any) -> bool:
    return hasattr(type(thing), "get_coro") and hasattr(type(thing), "_asyncio_future_blocking")


def _is_of_executor(waiter: Any) -> bool:
    """Whether a thread is to end it: it is chained to a future of `concurrent.futures`."""
    callbacks = getattr(waiter, "_callbacks", None) or ()
    return any(
        getattr(callback, "__qualname__", "") == "_chain_future.<locals>._call_check_cancel"
        for callback, *_ in callbacks
    )


def _first(step: Step, kind: Any) -> Any:
    """The first thing of this kind that the step refers to: its own `self`, mostly, as that comes first."""
    return next((each for each in step.referents if is_a(each, kind)), None)


def _timer(step: Step) -> float | None:
    # By name: uvloop has one of its own. In a cell, where a function inside uses it, too.
    things = (_content(each) if type(each) is CellType else each for each in step.referents)
    timer = next((each for each in things if type(each).__name__ == "TimerHandle"), None)
    return None if timer is None or timer.cancelled() else timer.when()


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None


def _acquire(kinds: type | tuple[type, ...]) -> Tell:
    def acquire(walk: Walk, step: Step) -> Wait:
        found = known(_first(step, kinds))
        if found is None:
            return Wait("unknown")
        primitive = found.primitive
        kind: WaitKind = "semaphore" if primitive.kind == "semaphore" else "lock"
        complete = found.taken and primitive.exact and primitive.limit is not None
        return Wait(kind, primitive=primitive, complete=complete, owners=found.owners)

    return acquire


def _of_primitive(kind: WaitKind, cls: type) -> Tell:
    """Anybody may end it."""

    def wait(walk: Walk, step: Step) -> Wait:
        found = known(_first(step, cls))
        return Wait(kind, primitive=None if found is None else found.primitive)

    return wait


def _condition(walk: Walk, step: Step) -> Wait:
    for outer in walk.steps:
        if outer.code is _BARRIER:
            found = known(_first(outer, asyncio.Barrier))
            return Wait("barrier", primitive=None if found is None else found.primitive)
    return _of_primitive("condition", asyncio.Condition)(walk, step)


def _sleep(walk: Walk, step: Step) -> Wait:
    return Wait("sleep", deadline=_timer(step))


def _several(walk: Walk, step: Step) -> Wait:
    """`asyncio.wait`, and what is made of it."""
    futures = next((each for each in step.referents if type(each) in (set, frozenset, list, tuple)), ())
    wait = _of_futures(walk, "wait", _pending(walk, [each for each in futures if is_a(each, asyncio.Future)]))
    return wait._replace(deadline=_timer(step))


def _one(walk: Walk, step: Step) -> Wait:
    """`asyncio.wait_for` of 3.11, which waits beside the task."""
    futures = [each for each in step.referents if _is_task(each)]
    return _of_futures(walk, "wait", _pending(walk, futures), _timer(step))


def _group(walk: Walk, step: Step) -> Wait:
    """A TaskGroup, asyncio's or anyio's, at its end."""
    for group in step.referents:
        if type(group).__name__ == "TaskGroup" and getattr(group, "_on_completed_fut", None) is walk.waiter:
            return _of_futures(walk, "task group", _pending(walk, group._tasks))
    return Wait("task group")


def _plain(kind: WaitKind) -> Tell:
    return lambda walk, step: Wait(kind)  # noqa: ARG005  # others look closer


def _anyio(name: str, kind: WaitKind) -> Tell:
    def wait(walk: Walk, step: Step) -> Wait:
        own = (each for each in step.referents if type(each).__name__ == name)
        found = next(filter(None, map(known, own)), None)
        if found is None:
            return Wait(kind)
        return Wait(kind, primitive=found.primitive, complete=found.taken, owners=found.owners)

    return wait


_BARRIER: Final = asyncio.Barrier.wait.__code__
_BY_CODE: Final[dict[Any, Tell]] = {
    asyncio.Lock.acquire.__code__: _acquire(asyncio.Lock),
    asyncio.Semaphore.acquire.__code__: _acquire(asyncio.Semaphore),
    asyncio.Condition.wait.__code__: _condition,
    asyncio.Event.wait.__code__: _of_primitive("event", asyncio.Event),
    asyncio.Queue.get.__code__: _of_primitive("queue", asyncio.Queue),
    asyncio.Queue.put.__code__: _of_primitive("queue", asyncio.Queue),
    asyncio.sleep.__code__: _sleep,
}
_ANYIO: Final = "anyio._backends._asyncio"
_BY_NAME: Final[dict[tuple[str, str], Tell]] = {
    ("asyncio.tasks", "_wait"): _several,
    ("asyncio.tasks", "wait_for"): _one,
    ("asyncio.tasks", "_cancel_and_wait"): _one,
    ("asyncio.taskgroups", "TaskGroup.__aexit__"): _group,
    ("asyncio.taskgroups", "TaskGroup._aexit"): _group,
    ("asyncio.streams", "StreamReader._wait_for_data"): _plain("io"),
    ("asyncio.streams", "FlowControlMixin._drain_helper"): _plain("io"),
    ("asyncio.base_subprocess", "BaseSubprocessTransport._wait"): _plain("subprocess"),
    ("asyncio.subprocess", "Process.wait"): _plain("subprocess"),
    (_ANYIO, "TaskGroup.__aexit__"): _group,
    (_ANYIO, "Lock.acquire"): _anyio("Lock", "lock"),
    (_ANYIO, "CapacityLimiter.acquire_on_behalf_of"): _anyio("CapacityLimiter", "semaphore"),
    (_ANYIO, "Semaphore.acquire"): _plain("semaphore"),
    (_ANYIO, "Event.wait"): _plain("event"),
    **dict.fromkeys(
        (
            ("asyncio.selector_events", f"BaseSelectorEventLoop.sock_{call}")
            for call in (
                "accept",
                "connect",
                "recv",
                "recv_into",
                "recvfrom",
                "recvfrom_into",
                "sendall",
                "sendto",
            )
        ),
        _plain("io"),
    ),
}
