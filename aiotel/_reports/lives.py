"""Tell tasks that never started, tasks that went before their end, and generators that were left open."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from .._report import Report
from .._signals import names
from ..observations import DestroyedPending, Frame, NeverStarted, NotClosed, Unstarted
from .failures import repeated
from .tasks import task_attributes

__all__ = ["FINDINGS", "Destroyeds", "NotCloseds", "Unstarteds"]

FINDINGS: Final = (names.DESTROYED_PENDING, names.NEVER_STARTED, names.NOT_CLOSED)

CountFinding = Callable[[str, int], None]

_WORDS: Final[dict[Unstarted, str]] = {
    "closed": "Task never started: its loop was closed",
    "not running": "Task has not started for a while: its loop does not run",
    "ended": "Task never started: the process has ended",
}


class Destroyeds:
    """Tasks that went before they had ended, in words."""

    def __init__(self, count: CountFinding) -> None:
        self._count = partial(count, names.DESTROYED_PENDING)

    def count(self, destroyed: DestroyedPending, times: int) -> None:
        """Count it as a finding."""
        self._count(times)

    def report(self, destroyed: DestroyedPending) -> Report:
        """Which task it was, and what it was waiting at."""
        return Report(
            name=names.TASK_DESTROYED_PENDING,
            severity="error",
            words="Task was destroyed before it had " + ("ended" if destroyed.started else "started"),
            time_ns=destroyed.time_ns,
            attributes={**task_attributes(destroyed.task), **_suspended(destroyed.suspended)},
            task=destroyed.task,
            context=destroyed.context,
        )

    def again(self, destroyed: DestroyedPending, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(destroyed), times, seconds)


class Unstarteds:
    """Tasks that never started, in words."""

    def __init__(self, count: CountFinding) -> None:
        self._count = partial(count, names.NEVER_STARTED)

    def count(self, never_started: NeverStarted, times: int) -> None:
        """Count it as a finding."""
        self._count(times)

    def report(self, never_started: NeverStarted) -> Report:
        """Which task it was, and why it has not started."""
        return Report(
            name=names.TASK_NEVER_STARTED,
            severity="warn",
            words=_WORDS[never_started.why],
            time_ns=never_started.time_ns,
            attributes={
                **task_attributes(never_started.task),
                names.TASK_SCHEDULE_DURATION: never_started.after_ns / 1e9,
            },
            task=never_started.task,
        )

    def again(self, never_started: NeverStarted, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(never_started), times, seconds)


class NotCloseds:
    """Async generators that were left open, in words."""

    def __init__(self, count: CountFinding) -> None:
        self._count = partial(count, names.NOT_CLOSED)

    def count(self, not_closed: NotClosed, times: int) -> None:
        """Count it as a finding."""
        self._count(times)

    def report(self, not_closed: NotClosed) -> Report:
        """Which generator, and the line of it that waits for ever."""
        return Report(
            name=names.ASYNCGEN_NOT_CLOSED,
            severity="warn",
            words="Async generator was open when its loop was closed",
            time_ns=not_closed.time_ns,
            attributes={
                names.CODE_FUNCTION_NAME: not_closed.function,
                names.CODE_FILE_PATH: not_closed.suspended.file,
                names.CODE_LINE_NUMBER: not_closed.suspended.line,
            },
        )

    def again(self, not_closed: NotClosed, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(not_closed), times, seconds)


def _suspended(frame: Frame | None) -> dict[str, str | int]:
    if frame is None:
        return {}
    return {
        names.TASK_SUSPENDED_FUNCTION: frame.function,
        names.TASK_SUSPENDED_FILE: frame.file,
        names.TASK_SUSPENDED_LINE: frame.line,
    }
