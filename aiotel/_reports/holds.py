"""Tell locks that are held for long in words: by whom, since which line, and how many wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .._report import Report
from .._signals import names
from ..observations import LongHold
from .failures import repeated
from .tasks import task_attributes

__all__ = ["HOLD_KINDS", "LongHolds"]

HOLD_KINDS: Final = (names.LONG_HOLD,)


class LongHolds:
    """Long holds in words."""

    def __init__(self, count_finding: Callable[[str, int], None]) -> None:
        self._count_finding = count_finding

    def count(self, hold: LongHold, times: int) -> None:
        """Each is a finding."""
        self._count_finding(names.LONG_HOLD, times)

    def report(self, hold: LongHold) -> Report:
        """Who holds it, since which line, and who waits."""
        return Report(
            name=names.LOCK_LONG_HOLD,
            severity="warn",
            words=_words(hold),
            time_ns=hold.time_ns,
            attributes={
                **({} if hold.task is None else task_attributes(hold.task)),
                names.CODE_FUNCTION_NAME: hold.at.function,
                names.CODE_FILE_PATH: hold.at.file,
                names.CODE_LINE_NUMBER: hold.at.line,
                names.LOCK_TYPE: hold.primitive,
                names.LOCK_HOLD_DURATION: hold.seconds,
                names.LOCK_WAIT_DURATION: hold.waited_seconds,
                names.LOCK_WAITING_TASKS: hold.waiting,
            },
            task=hold.task,
        )

    def again(self, hold: LongHold, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(hold), times, seconds)


def _words(hold: LongHold) -> str:
    who = "" if hold.task is None else f", by task {hold.task.name!r}"
    waits = "1 task waits" if hold.waiting == 1 else f"{hold.waiting} tasks wait"
    return (
        f"Held for long: a {hold.primitive}, {'for' if not hold.held else 'so far for'} {hold.seconds:.3g} s"
        f"{who}, since line {hold.at.line} of {hold.at.function}; {waits} for it, "
        f"the first for {hold.waited_seconds:.3g} s"
    )
