"""Tell exceptions that nobody handled: the log `exception`, and the counter that alerts are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .._report import Report
from .._signals import names
from ..observations import Failure
from .tasks import task_attributes
from .tracebacks import traceback_of

__all__ = ["Failures"]


class Failures:
    """Failures in words."""

    def __init__(self, count: Callable[[str, str, int], None]) -> None:
        self._count = count

    def count(self, failure: Failure, times: int) -> None:
        """Count it, unless that was done when it was told as not retrieved."""
        if not failure.counted:
            self._count(failure.source, failure.exception.type, times)

    def report(self, failure: Failure) -> Report:
        """The failure, with its traceback."""
        return Report(
            name=names.EXCEPTION,
            severity="fatal" if failure.fatal else "error",
            words=failure.message,
            time_ns=failure.time_ns,
            attributes=_attributes(failure),
            task=failure.task,
            stacktrace=traceback_of(failure.exception),
            context=failure.context,
        )

    def again(self, failure: Failure, times: int, seconds: float) -> Report:
        """The number, and what it is a number of."""
        report = self.report(failure)
        return replace(
            report,
            words=f"{failure.message}, {times} more in {seconds:.0f} s",
            attributes={**report.attributes, names.REPEATED: times},
        )


def _attributes(failure: Failure) -> dict[str, Any]:
    return {
        names.EXCEPTION_TYPE: failure.exception.type,
        names.EXCEPTION_MESSAGE: failure.exception.message,
        names.EXCEPTION_SOURCE: failure.source,
        **task_attributes(failure.task),
    }
