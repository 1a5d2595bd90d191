"""Tell exceptions that nobody handled: the log `exception`, and the counter that alerts are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .._report import Report
from .._signals import names
from ..observations import ExceptionFacts, Failure
from .redaction import Redact, redacted
from .severities import Judge, judged
from .tasks import task_attributes
from .tracebacks import traceback_of

__all__ = ["Failures", "repeated"]

LEAVES = 32
"""How many leaves of a group are listed."""


class Failures:
    """Failures in words."""

    def __init__(
        self,
        count: Callable[[str, str, int], None],
        *,
        redact: Redact | None = None,
        judge: Judge | None = None,
    ) -> None:
        self._count = count
        self._redact = redact
        self._judge = judge

    def count(self, failure: Failure, times: int) -> None:
        """Count it, unless that was done when it was told as not retrieved."""
        if not failure.counted:
            kind = names.OTHER if failure.exception is None else failure.exception.type
            self._count(failure.source, kind, times)

    def report(self, failure: Failure) -> Report | None:
        """The failure, with its traceback; None where the program does not want it logged."""
        severity = judged(failure, self._judge)
        if severity is None:
            return None
        exception = None if failure.exception is None else redacted(failure.exception, self._redact)
        return Report(
            name=names.EXCEPTION,
            severity=severity,
            words=failure.message,
            time_ns=failure.time_ns,
            attributes=_attributes(failure, exception),
            task=failure.task,
            stacktrace=None if exception is None else traceback_of(exception),
            exception=exception,
            context=failure.context,
        )

    def again(self, failure: Failure, times: int, seconds: float) -> Report | None:
        """The number, and what it is a number of."""
        report = self.report(failure)
        return None if report is None else repeated(report, times, seconds)


def repeated(report: Report, times: int, seconds: float) -> Report:
    """The report of how often the same happened again: of no task, for it may have been others."""
    attributes = {name: value for name, value in report.attributes.items() if name != names.TASK_NAME}
    return replace(
        report,
        words=f"{report.words}: {times} more within {in_words(seconds)}",
        attributes={**attributes, names.REPEATED: times},
        task=None,
    )


def in_words(seconds: float) -> str:
    """A time as a person says it."""
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"


def _attributes(failure: Failure, exception: ExceptionFacts | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {names.EXCEPTION_SOURCE: failure.source, **task_attributes(failure.task)}
    if failure.function is not None and failure.task is None:
        attributes[names.CODE_FUNCTION_NAME] = failure.function
    if exception is None:  # the semantic conventions want one of type and message
        return {names.EXCEPTION_MESSAGE: failure.message, **attributes}
    leaves = _leaves(exception)
    if leaves:
        attributes[names.EXCEPTION_LEAVES] = [_in_words(leaf) for leaf in leaves[:LEAVES]]
    return {names.EXCEPTION_TYPE: exception.type, names.EXCEPTION_MESSAGE: exception.message, **attributes}


def _leaves(exception: ExceptionFacts) -> list[ExceptionFacts]:
    """The exceptions that a group is about, however deep in it."""
    found: list[ExceptionFacts] = []
    for leaf in exception.leaves:
        found += _leaves(leaf) or [leaf]
    return found


def _in_words(leaf: ExceptionFacts) -> str:
    place = f" at {leaf.frames[-1].file}:{leaf.frames[-1].line}" if leaf.frames else ""
    return f"{leaf.type}: {leaf.message}{place}" if leaf.message else f"{leaf.type}{place}"
