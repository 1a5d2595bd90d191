"""Find the function that a timeout is for: `asyncio.Timeout` itself knows only when, and which task."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, Final

from .._inspect.coroutines import coroutines
from .chains import name_of

__all__ = ["deadline_of"]

_WAIT_FOR: Final = asyncio.wait_for.__code__


def deadline_of(timeout: Any, task: Any) -> tuple[str | None, float | None]:
    """The function inside whose `async with` the task is, and, where that is in `wait_for`, its seconds.

    How long any other timeout was is nowhere to be read: to know it, each one would have to pay at its start.
    """
    outer = None
    for coroutine in coroutines(task):
        if getattr(coroutine, "cr_code", None) is _WAIT_FOR:
            # It calls `timeout` itself, from 3.12 on; its own variables tell all.
            if _holds(coroutine, timeout):
                return outer, coroutine.cr_frame.f_locals.get("timeout")
            continue
        outer = name_of(coroutine)
        if _holds(coroutine, timeout):
            return outer, None
    return None, None


def _holds(coroutine: Any, timeout: Any) -> bool:
    """Whether the coroutine is inside the `async with`: it keeps the method that ends it (3.14: whose)."""
    for each in gc.get_referents(coroutine):
        if each is timeout or getattr(each, "__self__", None) is timeout:
            return True
    return False
