"""Find when a timeout around the place where a task waits will end its waiting."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from .walks import Step, Walk

__all__ = ["Clock", "deadline_of"]

_GENERATORS: Final = frozenset({"_GeneratorContextManager", "_AsyncGeneratorContextManager"})


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
    found: list[float] = []
    for block in step.blocks():
        manager = block.manager
        when = _when(manager)
        if when is not None:
            found.append(when)
        elif type(manager).__name__ in _GENERATORS and depth < 8:
            for inner in walk.inside(manager.gen):
                found += _deadlines(walk, inner, depth + 1)
    return found


def _when(manager: Any) -> float | None:
    """When it ends what is inside: `asyncio.timeout`, async-timeout's, and anyio's cancel scopes."""
    name, module = type(manager).__name__, type(manager).__module__
    when: Any = None
    if name == "Timeout" and module.startswith(("asyncio.", "async_timeout")):
        when = getattr(manager, "_when", None) or getattr(manager, "_deadline", None)
    elif name == "CancelScope" and module.startswith("anyio.") and not manager._cancel_called:
        when = manager._deadline
    return when if isinstance(when, int | float) and when < math.inf else None
