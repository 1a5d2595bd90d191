"""Look at tasks and loops of the program on another thread than theirs, without ever holding them.

Whoever holds a thing last runs its finalizers, and those are to run where the program would have them run. A
chain of C calls takes the object from its weak reference, looks at it, and lets go of it, all without letting
another thread run in between: so there is always somebody else who holds it.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import BaseEventLoop
from collections.abc import Callable
from operator import attrgetter, call, methodcaller
from typing import Any, Final

__all__ = ["glance", "has_not_started", "is_running", "name_of_task", "size_of", "task_id_of"]

_thread: Final = attrgetter("_thread_id")
_is_running: Final = methodcaller("is_running")
_get_name: Final = methodcaller("get_name")
# What `inspect.getcoroutinestate` asks, and whether the task was cancelled meanwhile.
_state: Final = attrgetter(
    "_coro.cr_frame.f_lasti", "_coro.cr_suspended", "_coro.cr_running", "_must_cancel", "_state"
)
# On 3.11 `current_task` is a Python function around this table.
_current_task: Final[Callable[[Any], Any]] = (
    asyncio.tasks._current_tasks.get if sys.version_info < (3, 12) else asyncio.current_task  # type: ignore[attr-defined]
)
_NO_TASK: Final = id(None)


def is_running(loop: Callable[[], Any]) -> bool | None:
    """Whether the loop of this weak reference runs; None where it is no more."""
    kind = glance(loop, type)
    if kind is type(None):
        return None
    if getattr(kind, "is_running", None) is BaseEventLoop.is_running:
        return glance(loop, _thread) is not None
    return bool(glance(loop, _is_running))


def has_not_started(task: Callable[[], Any]) -> bool:
    """Whether the task of this weak reference has yet to make its first step, and is going to."""
    try:
        _, suspended, running, cancelled, state = glance(task, _state)
    except AttributeError:  # it is no more, or its coroutine is a stranger's, or was closed
        return False
    return state == "PENDING" and not (suspended or running or cancelled)


def name_of_task(task: Callable[[], Any]) -> str | None:
    """What the task of this weak reference is called; None where it is no more."""
    try:
        return str(glance(task, _get_name))
    except AttributeError:
        return None


def task_id_of(loop: Callable[[], Any]) -> int:
    """The id of the task that runs on the loop of this weak reference; 0 where there is none."""
    try:
        found = next(map(id, map(_current_task, map(call, (loop,)))))
    except RuntimeError:  # the loop is no more
        return 0
    return 0 if found == _NO_TASK else found


def size_of(loop: Callable[[], Any], queue: str) -> int | None:
    """How much is in this queue of the loop of this weak reference; None where there is none."""
    try:
        return next(map(len, map(attrgetter(queue), map(call, (loop,)))))
    except (AttributeError, TypeError):
        return None


def glance(reference: Callable[[], Any], look: Callable[[Any], Any]) -> Any:
    """What this C function sees of the thing of a weak reference, or of None where that is no more."""
    return next(map(look, map(call, (reference,))))
