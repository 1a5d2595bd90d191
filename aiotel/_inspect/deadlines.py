"""Find when a timeout around the place where a task waits will end its waiting."""

from __future__ import annotations

import math
from contextlib import (
    AsyncExitStack,
    ExitStack,
    _AsyncGeneratorContextManager,
    _GeneratorContextManager,
)
from types import MethodType
from typing import Any, Final, NamedTuple

from .primitives import is_a
from .walks import Step, Walk

__all__ = ["Clock", "deadline_of"]

_GENERATORS: Final = (_GeneratorContextManager, _AsyncGeneratorContextManager)
_STACKS: Final = (ExitStack, AsyncExitStack)
DEEP: Final = 8


class Clock(NamedTuple):
    """The loop's clock (s) and the monotonic one (ns) at the same moment."""

    loop: float
    now_ns: int

    def ns_of(self, when: float) -> int:
        """A time of the loop's by the monotonic clock."""
        return self.now_ns + int((when - self.loop) * 1e9)


def deadline_of(walk: Walk, clock: Clock) -> int | None:
    """The first deadline of all timeouts that the task is inside, in ns; None where it is inside none."""
    found = [when for step in walk.steps for when in _deadlines(walk, step, 0)]
    return clock.ns_of(min(found)) if found else None


def _deadlines(walk: Walk, step: Step, depth: int) -> list[float]:
    return [when for block in step.blocks() for when in _of_manager(walk, block.manager, depth)]


def _of_manager(walk: Walk, manager: Any, depth: int) -> list[float]:
    when = _when(manager)
    if when is not None:
        return [when]
    if depth >= DEEP:
        return []
    if is_a(manager, _GENERATORS):
        return [when for inner in walk.inside(manager.gen) for when in _deadlines(walk, inner, depth + 1)]
    if is_a(manager, _STACKS):
        leaves = [leave for _, leave in list(manager._exit_callbacks) if type(leave) is MethodType]
        return [when for leave in leaves for when in _of_manager(walk, walk.keep(leave.__self__), depth + 1)]
    return []


def _when(manager: Any) -> float | None:
    """When it ends what is inside: `asyncio.timeout`, async-timeout's, and anyio's cancel scopes."""
    name, module = type(manager).__name__, str(type(manager).__module__)
    when: Any = None
    if name == "Timeout" and module.startswith(("asyncio.", "async_timeout")):
        when = getattr(manager, "_when", None) or getattr(manager, "_deadline", None)
    elif name in ("CancelScope", "TaskGroup") and module.startswith("anyio."):
        scope = manager.cancel_scope if name == "TaskGroup" else manager
        when = None if scope._cancel_called else scope._deadline
    return when if isinstance(when, int | float) and when < math.inf else None
