"""Tell calls that block an event loop: the log and the counter of that name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .._measured import Attributes
from .._report import Report
from .._signals import names
from ..observations import BlockingCall
from .failures import repeated

__all__ = ["BlockingCalls"]


class BlockingCalls:
    """Blocking calls, in words."""

    def __init__(self, count: Callable[[str, Attributes, int], None]) -> None:
        self._count = count

    def count(self, blocking_call: BlockingCall, times: int) -> None:
        """Count it by what was called, and by whom."""
        attributes = (
            (names.BLOCKING_CALL_NAME, blocking_call.call),
            (names.CODE_FUNCTION_NAME, blocking_call.function),
        )
        self._count(names.BLOCKING_CALLS, attributes, times)

    def report(self, blocking_call: BlockingCall) -> Report:
        """What was called, and which line did."""
        return Report(
            name=names.BLOCKING_CALL,
            severity="warn",
            words=_words(blocking_call),
            time_ns=blocking_call.time_ns,
            attributes=_attributes(blocking_call),
            task=blocking_call.task,
            context=blocking_call.context,
        )

    def again(self, blocking_call: BlockingCall, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(replace(blocking_call, task=None)), times, seconds)


def _words(blocking_call: BlockingCall) -> str:
    culprit = f"{blocking_call.function}, line {blocking_call.site.line}"
    return f"Blocking call on the event loop's thread: {blocking_call.call} by {culprit}"


def _attributes(blocking_call: BlockingCall) -> dict[str, Any]:
    site, caller, task = blocking_call.site, blocking_call.caller, blocking_call.task
    attributes: dict[str, Any] = {
        names.BLOCKING_CALL_NAME: blocking_call.call,
        names.CODE_FUNCTION_NAME: blocking_call.function,
        names.CODE_FILE_PATH: site.file,
        names.CODE_LINE_NUMBER: site.line,
    }
    if caller is not None:
        attributes[names.BLOCKING_CALL_CALLER_FUNCTION] = caller.function
        attributes[names.BLOCKING_CALL_CALLER_FILE] = caller.file
        attributes[names.BLOCKING_CALL_CALLER_LINE] = caller.line
    if task is not None:
        attributes[names.TASK_NAME] = task.name
        attributes[names.TASK_FUNCTION] = task.function
    return attributes
