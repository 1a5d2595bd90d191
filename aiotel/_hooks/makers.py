"""Know the `create_task` of asyncio and of uvloop: what they do, we can do with a call less."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["PLAIN", "TASK", "State", "state_by_uvloop"]

# The standard library's own `create_task`; None where somebody has put theirs in its place.
_found = asyncio.BaseEventLoop.create_task
PLAIN: Final = _found if _found.__code__.co_filename == asyncio.base_events.__file__ else None

TASK: Final[Any] = getattr(asyncio.tasks, "_CTask", None)
"""The class of tasks that is compiled: what it takes is known."""

# Those whose `create_task` was read: unless the loop is closed or has a factory, it makes an `asyncio.Task`
# with the loop and the context, and sets its name after that.
_READ: Final = frozenset({"0.19.0", "0.20.0", "0.21.0", "0.22.1", "0.23.0"})


@dataclass(frozen=True, slots=True)
class State:
    """What uvloop's `create_task` looks at before it makes a task, as functions of the loop."""

    task_factory: Callable[[Any], Any]
    debug: Callable[[Any], bool]
    closed: Callable[[Any], bool]


def state_by_uvloop(original: object) -> State | None:
    """How to see what this `create_task` sees, if it is that of a uvloop that we know.

    By the compiled class itself, for that is where `create_task` looks, whatever a class below it says.
    """
    package, module = sys.modules.get("uvloop"), sys.modules.get("uvloop.loop")
    cls: Any = getattr(module, "Loop", None)
    if cls is None or getattr(package, "__version__", None) not in _READ:
        return None
    # uvloop keeps the `asyncio.Task` that it found when it was imported.
    if vars(cls).get("create_task") is not original or asyncio.Task is not TASK:
        return None
    return State(cls.get_task_factory, cls.get_debug, cls.is_closed)
