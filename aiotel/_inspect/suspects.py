"""Tell at a glance whether a task could be part of a deadlock: it waits for a task, or for a lock.

What most tasks wait for, a socket, a queue, a timer, somebody else may end at any time: no closer look is
needed. On the loop's thread.
"""

from __future__ import annotations

from typing import Any, Final

from .coroutines import coroutines, own

__all__ = ["is_suspect"]

# The innermost function of who waits for others' ends, or for what others hold.
_INNERMOST: Final = frozenset(
    {
        "CapacityLimiter.acquire_on_behalf_of",
        "Lock.acquire",
        "Semaphore.acquire",
        "TaskGroup.__aexit__",
        "TaskGroup._aexit",
        "_cancel_and_wait",
        "_wait",
        "wait_for",
    }
)


def is_suspect(task: Any) -> bool:
    """Whether a closer look is worth while."""
    waiter = type(task._fut_waiter)
    if hasattr(waiter, "get_coro") or waiter.__name__ == "_GatheringFuture":
        return True
    innermost = None
    for coroutine in coroutines(task):
        innermost = own(coroutine, "cr_code", "ag_code") or innermost
    return innermost is not None and innermost.co_qualname in _INNERMOST
