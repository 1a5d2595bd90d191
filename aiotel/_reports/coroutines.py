"""Tell coroutines that were never awaited: the log and the counter of that name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._report import Report
from .._signals import names
from ..observations import NeverAwaited
from .failures import repeated

__all__ = ["NeverAwaiteds"]


class NeverAwaiteds:
    """Coroutines that were never awaited, in words."""

    def __init__(self, count: Callable[[str, int], None]) -> None:
        self._count = count

    def count(self, never_awaited: NeverAwaited, times: int) -> None:
        """Count it by its function."""
        self._count(never_awaited.function, times)

    def report(self, never_awaited: NeverAwaited) -> Report:
        """What was called, and which line dropped what it got."""
        return Report(
            name=names.NEVER_AWAITED,
            severity="warn",
            words=f"Coroutine '{never_awaited.function}' was never awaited",
            time_ns=never_awaited.time_ns,
            attributes=_attributes(never_awaited),
            task=never_awaited.task,
            context=never_awaited.context,
        )

    def again(self, never_awaited: NeverAwaited, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(never_awaited), times, seconds)


def _attributes(never_awaited: NeverAwaited) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        names.CODE_FUNCTION_NAME: never_awaited.function,
        names.COROUTINE_DEFINED_FILE: never_awaited.defined.file,
        names.COROUTINE_DEFINED_LINE: never_awaited.defined.line,
    }
    dropped, task = never_awaited.dropped, never_awaited.task
    if dropped is not None:
        attributes[names.CODE_FILE_PATH] = dropped.file
        attributes[names.CODE_LINE_NUMBER] = dropped.line
        attributes[names.COROUTINE_DROPPED_FUNCTION] = dropped.function
    if task is not None:
        attributes[names.TASK_NAME] = task.name
    return attributes
