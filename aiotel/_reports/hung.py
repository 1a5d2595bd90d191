"""Tell hung tasks in words: what waits, for what, on which line, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .._report import Report
from .._signals import names
from ..observations import Frame, Hung
from .failures import repeated
from .tasks import task_attributes
from .tracebacks import line_of

__all__ = ["HUNG_KINDS", "Hungs"]

HUNG_KINDS: Final = (names.HUNG,)


class Hungs:
    """Hung tasks in words."""

    def __init__(self, count_finding: Callable[[str, int], None]) -> None:
        self._count_finding = count_finding

    def count(self, hung: Hung, times: int) -> None:
        """Each is a finding."""
        self._count_finding(names.HUNG, times)

    def report(self, hung: Hung) -> Report:
        """What it waits for, and where."""
        return Report(
            name=names.TASK_HUNG,
            severity="warn",
            words=_words(hung),
            time_ns=hung.time_ns,
            attributes=_attributes(hung),
            task=hung.task,
        )

    def again(self, hung: Hung, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(hung), times, seconds)


def _words(hung: Hung) -> str:
    waits = f"{hung.kind} ({hung.what})" if hung.what else hung.kind
    where = f" at line {hung.at.line} of {hung.at.function}" if hung.at is not None else ""
    return (
        f"Hung: {hung.task.function} (task {hung.task.name!r}) has waited for {hung.seconds:.3g} s "
        f"for: {waits}{where}; the limit is {hung.limit_s:g} s"
    )


def _attributes(hung: Hung) -> dict[str, Any]:
    at = hung.at
    where = {} if at is None else {names.CODE_FILE_PATH: at.file, names.CODE_LINE_NUMBER: at.line}
    holds = [_held(name, since) for name, since in hung.holds]
    return {
        **task_attributes(hung.task),
        **where,
        names.WAITING_FOR: hung.kind,
        names.TASK_WAITING_DURATION: hung.seconds,
        names.WAITING_LIMIT: hung.limit_s,
        **({names.TASK_HOLDS: holds} if holds else {}),
        names.CODE_STACKTRACE: "Stack (most recent call last):\n" + "".join(map(line_of, hung.stack)),
    }


def _held(name: str, since: Frame | None) -> str:
    return name if since is None else f"{name}, since line {since.line} of {since.function}"
