"""Tell lost updates, as findings: who undid whose change, on which lines, and how certain that is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from .._report import Report
from .._signals import names
from ..observations import LostUpdate, TaskFacts
from .failures import repeated

__all__ = ["RACE_KINDS", "LostUpdates"]

RACE_KINDS: Final = (names.LOST_UPDATES,)
"""The values of `asyncio.finding.kind` that are counted here."""


class LostUpdates:
    """Lost updates in words."""

    def __init__(self, count: Callable[[str, int], None]) -> None:
        self._count = partial(count, names.LOST_UPDATES)

    def count(self, lost: LostUpdate, times: int) -> None:
        """Count it as a finding."""
        self._count(times)

    def report(self, lost: LostUpdate) -> Report:
        """Both tasks and their lines; an error where what was written was made of the old value."""
        return Report(
            name=names.LOST_UPDATE,
            severity="error" if lost.how == "derived" else "warn",
            words=_words(lost),
            time_ns=lost.time_ns,
            attributes=_attributes(lost),
            task=lost.task,
            context=lost.context,
        )

    def again(self, lost: LostUpdate, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(lost), times, seconds)


def _words(lost: LostUpdate) -> str:
    what = f"{lost.owner.rpartition('.')[2]}.{lost.attribute}"
    mine = f"task {_name(lost.task)} in {lost.write.function}"
    theirs = f"task {_name(lost.other)} in {lost.undone.function}, line {lost.undone.line}"
    if lost.how == "derived":
        return (
            f"Lost update of {what}: {mine} read it on line {lost.read.line}, awaited, and wrote on line "
            f"{lost.write.line} what it had made of that; what {theirs}, had written meanwhile is lost"
        )
    return (
        f"Possibly a lost update of {what}: {mine} looked at it on line {lost.read.line}, awaited, and wrote "
        f"on line {lost.write.line} without a second look; what {theirs}, had written meanwhile is gone, "
        "which may be meant"
    )


def _name(task: TaskFacts | None) -> str:
    return "?" if task is None else task.name


def _attributes(lost: LostUpdate) -> dict[str, Any]:
    return {
        names.LOST_UPDATE_FIELD: f"{lost.owner}.{lost.attribute}",
        names.LOST_UPDATE_HOW: lost.how,
        names.CODE_FUNCTION_NAME: lost.write.function,
        names.CODE_FILE_PATH: lost.write.file,
        names.CODE_LINE_NUMBER: lost.write.line,
        names.LOST_UPDATE_READ_LINE: lost.read.line,
        names.LOST_UPDATE_OTHER_TASK: _name(lost.other),
        names.LOST_UPDATE_OTHER_FUNCTION: lost.undone.function,
        names.LOST_UPDATE_OTHER_FILE: lost.undone.file,
        names.LOST_UPDATE_OTHER_LINE: lost.undone.line,
    }
