"""Walk from a task to what it waits for: other tasks, and the coroutines that it is made of.

All on the loop's thread, and for cancelled tasks only. What is walked is the program's, so nothing is kept.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from asyncio import CancelledError
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from .._inspect.coroutines import coroutines, frame_of
from .._inspect.plumbing import is_plumbing
from ..observations import Frame

__all__ = [
    "above",
    "below",
    "can_be_seen",
    "cancelled_error",
    "handled",
    "name_of",
    "name_of_frame",
    "pending",
    "place",
    "told",
]

TASKS: Final = 10_000
"""How many tasks and futures below one are looked at."""
DEPTH: Final = 200
"""How many coroutines of a task, and how many tasks above it, are looked at."""
WOKEN: Final = 4
"""How many of those that a task wakes are looked at."""

_MISSING: Final = object()


def below(task: Any) -> Iterator[Any]:
    """The tasks that are cancelled with this one: it waits for them, directly, through others or `gather`."""
    seen: set[int] = set()
    left = [getattr(task, "_fut_waiter", None)]
    while left and len(seen) < TASKS:
        future = left.pop()
        if not asyncio.isfuture(future) or future.done() or id(future) in seen:
            continue
        seen.add(id(future))
        waiter = getattr(future, "_fut_waiter", _MISSING)
        if waiter is not _MISSING:
            yield future
            left.append(waiter)
        else:
            left.extend(reversed(getattr(future, "_children", ())))


def above(future: Any) -> Any:
    """The outermost cancelled task that waits for this future or task, which may just have ended; or None."""
    found = None
    seen = {id(future)}
    for _ in range(DEPTH):
        waiting = [each for each in _waiting(future) if id(each) not in seen and pending(each)]
        if not waiting:
            break
        future = found = waiting[0]
        seen.add(id(found))
    return found


def pending(task: Any) -> bool:
    """Whether the task was asked to be cancelled, has not taken that back, and has not ended."""
    cancelling = getattr(task, "cancelling", None)
    return cancelling is not None and not task.done() and cancelling() > 0


def _waiting(future: Any) -> Iterator[Any]:
    """The tasks that wait for it."""
    if sys.version_info >= (3, 14):
        yield from getattr(future, "_asyncio_awaited_by", None) or ()
        return
    callbacks = getattr(future, "_callbacks", None)
    if callbacks is not None:
        owners = [getattr(callback, "__self__", None) for callback, _ in callbacks]
    else:
        owners = _woken(future)
    for owner in owners:
        if hasattr(owner, "_fut_waiter"):
            yield owner


def _woken(task: Any) -> list[Any]:
    """Whom the end of this task wakes: their steps were queued behind our done callback, which runs now.

    uvloop's queue cannot be seen.
    """
    owners = []
    for handle in list(islice(getattr(task.get_loop(), "_ready", ()), WOKEN)):
        arguments = getattr(handle, "_args", None)
        if not arguments or arguments[0] is not task:
            break
        owners.append(getattr(handle._callback, "__self__", None))
    return owners


def can_be_seen(loop: Any) -> bool:
    """Whether a task that ends tells who waits for it."""
    return sys.version_info >= (3, 14) or hasattr(loop, "_ready")


def handled(task: Any) -> CancelledError | None:
    """The cancellation that the task is handling just now, in an `except` or a `finally`."""
    for coroutine in coroutines(task):
        held = [each for each in gc.get_referents(coroutine) if isinstance(each, CancelledError)]
        if held:
            kept = _kept_in_variables(frame_of(coroutine))
            for error in held:
                if sum(each is error for each in held) > sum(each is error for each in kept):
                    return error
    return None


def _kept_in_variables(frame: Any) -> list[Any]:
    """The values of the frame's own variables: what is kept there is not for that being handled."""
    if frame is None:
        return []
    code, values = frame.f_code, frame.f_locals
    return [values[name] for name in code.co_varnames if name in values and name not in code.co_cellvars]


def cancelled_error(task: Any) -> CancelledError | None:
    """What the task ended with. To ask the task for it would be to take it from whoever awaits it."""
    known = getattr(task, "_cancelled_exc", None)
    if known is not None:
        return known  # type: ignore[no-any-return]  # a task that is written in Python
    return next((each for each in gc.get_referents(task) if isinstance(each, CancelledError)), None)


def name_of(coroutine: Any) -> str:
    """The function of a coroutine: module.qualname."""
    frame = frame_of(coroutine)
    return str(getattr(coroutine, "__qualname__", "a coroutine")) if frame is None else name_of_frame(frame)


def name_of_frame(frame: Any) -> str:
    """The function that runs in a frame: module.qualname."""
    return f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"


def place(task: Any) -> Frame | None:
    """The line at which the task waits: the innermost one that is not asyncio's own."""
    found = None
    for coroutine in coroutines(task):
        frame = frame_of(coroutine)
        if frame is not None and not is_plumbing(frame.f_globals.get("__name__")):
            found = frame
    return None if found is None else told(found)


def told(frame: Any) -> Frame:
    """The line of a frame, as plain data."""
    code = frame.f_code
    return Frame(file=code.co_filename, line=frame.f_lineno or code.co_firstlineno, function=code.co_qualname)
