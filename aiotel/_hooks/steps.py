"""Tell which of what a handle calls are steps of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from .._faults import faults
from .makers import TASK

__all__ = ["PYTHON_STEP", "PYTHON_WAKEUP", "WAKEUP", "begun", "step_type"]

WAKEUP: Final = "task_wakeup"
"""The name of the compiled method that a future calls; `task.cancel` is of the same type."""

# The same two of a task that is not compiled.
_PYTHON_TASK: Final[Any] = asyncio.tasks._PyTask  # type: ignore[attr-defined]  # not in typeshed
PYTHON_STEP: Final = _PYTHON_TASK._Task__step
PYTHON_WAKEUP: Final = _PYTHON_TASK._Task__wakeup


@cache
def step_type() -> type | None:
    """The type of what calls the first step of a compiled task, which nobody exports."""
    loop, coro = _Loop(), _nothing()
    try:
        # With a name: every task without one uses up a number.
        task = TASK(coro, loop=loop, name="aiotel")
        task._log_destroy_pending = False
    except Exception as error:  # noqa: BLE001  # a Python whose tasks ask for more
        faults.add(error)
    coro.close()
    return None if loop.callback is None else type(loop.callback)


def begun(coro: Any) -> bool:
    """Whether this coroutine has run up to some `await`."""
    return bool(getattr(coro, "cr_suspended", False) or getattr(coro, "gi_suspended", False))


class _Loop:
    """What a task asks of a loop to have its first step called."""

    def __init__(self) -> None:
        self.callback: Callable[[], None] | None = None

    def call_soon(self, callback: Callable[[], None], *, context: object = None) -> None:
        """Keep what would be called."""
        self.callback = callback

    def get_debug(self) -> bool:
        """In debug mode a task keeps the stack that made it."""
        return False


async def _nothing() -> None:
    """What is never started."""
