"""Tell tasks that were cancelled and go on, as findings: who cancelled them, and on which line they wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from .._report import Report
from .._signals import names
from ..observations import UnfinishedCancellation
from .failures import repeated
from .redaction import Redact, redacted_cancellation
from .tasks import task_attributes

__all__ = ["CANCELLATION_KINDS", "UnfinishedCancellations"]

CANCELLATION_KINDS: Final = ("swallowed", "slow_cancellation")
"""The values of `asyncio.finding.kind` that are counted here."""

_LOGS: Final = {"swallowed": names.CANCELLATION_SWALLOWED, "slow_cancellation": names.CANCELLATION_SLOW}
_WORDS: Final = {"swallowed": "still runs", "slow_cancellation": "is still cleaning up"}


class UnfinishedCancellations:
    """These findings in words."""

    def __init__(self, count: Callable[[str, int], None], redact: Redact | None = None) -> None:
        self._count = count
        self._redact = redact

    def count(self, found: UnfinishedCancellation, times: int) -> None:
        """Count it by its kind."""
        self._count(found.kind, times)

    def report(self, found: UnfinishedCancellation) -> Report:
        """The finding, on the span of its task."""
        if found.cancellation is not None:
            found = replace(found, cancellation=redacted_cancellation(found.cancellation, self._redact))
        return Report(
            name=_LOGS[found.kind],
            severity="warn",
            words=_words(found),
            time_ns=found.time_ns,
            attributes=_attributes(found),
            task=found.task,
        )

    def again(self, found: UnfinishedCancellation, times: int, seconds: float) -> Report:
        """The number, and what it is a number of."""
        return repeated(self.report(found), times, seconds)


def _words(found: UnfinishedCancellation) -> str:
    function = "a task" if found.task is None else found.task.function
    why = "" if found.cancellation is None else f" ({found.cancellation.reason})"
    where = "" if found.at is None else f": it waits in {found.at.function}, line {found.at.line}"
    since = "" if found.exact else "at least "
    return f"{function} was cancelled {since}{found.seconds:.1f} s ago{why} and {_WORDS[found.kind]}{where}"


def _attributes(found: UnfinishedCancellation) -> dict[str, Any]:
    attributes = task_attributes(found.task)
    attributes[names.CANCELLATION_DURATION] = found.seconds
    if found.cancellation is not None:
        attributes[names.TASK_CANCELLED_BY] = found.cancellation.by
        attributes[names.TASK_CANCELLED_REASON] = found.cancellation.reason
    if found.at is not None:
        attributes[names.CODE_FILE_PATH] = found.at.file
        attributes[names.CODE_LINE_NUMBER] = found.at.line
    return attributes
