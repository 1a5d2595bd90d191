"""Tell stalls in words: which line blocked the loop, for how long, and why."""

from __future__ import annotations

from typing import Any, Final

from .._report import Report
from .._signals import names
from ..observations import Stall, StallEnded
from .failures import repeated
from .tasks import task_attributes
from .tracebacks import lines_of

__all__ = ["StallEnds", "Stalls"]


class Stalls:
    """Stalls in words. They are counted elsewhere, with the duration of each."""

    def count(self, stall: Stall, times: int) -> None:
        """Nothing: see above."""

    def report(self, stall: Stall) -> Report:
        """The line, the cause and the stack."""
        return Report(
            name=names.STALL,
            severity="error" if stall.serious else "warn",
            words=_words(stall),
            time_ns=stall.time_ns,
            attributes=_attributes(stall),
            task=stall.task,
        )

    def again(self, stall: Stall, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(stall), times, seconds)


class StallEnds:
    """The ends of stalls that were told while they lasted."""

    def count(self, ended: StallEnded, times: int) -> None:
        """Nothing: it was counted when it ended."""

    def report(self, ended: StallEnded) -> Report:
        """How long it took after all."""
        attributes = _attributes(ended.stall)
        attributes.pop(names.CODE_STACKTRACE, None)
        attributes[names.STALL_DURATION] = ended.duration_ns / 1e9
        culprit = ended.stall.function or "a callback"
        return Report(
            name=names.STALL_ENDED,
            severity="info",
            words=f"Event loop goes on, after {ended.duration_ns / 1e9:.3g} s in {culprit}",
            time_ns=ended.time_ns,
            attributes=attributes,
            task=ended.task,
        )

    def again(self, ended: StallEnded, times: int, seconds: float) -> None:
        """Never: each is told."""


_CODE: Final = frozenset({"sleep", "io", "lock"})
"""Causes that some code is at fault for."""


def _words(stall: Stall) -> str:
    culprit = "" if stall.function is None else f" by {stall.function}"
    if stall.function is None and not stall.stack and stall.cause in _CODE:
        culprit = " by a callback without Python code"
    culprit += "" if stall.at is None else f", line {stall.at.line}"
    verb = "was" if stall.ended else "has been"
    seconds = f"{stall.duration_ns / 1e9:.3g} s"
    return f"Event loop {verb} blocked for {seconds}{culprit} ({stall.cause})"


def _attributes(stall: Stall) -> dict[str, Any]:
    attributes = {
        **task_attributes(stall.task),
        names.STALL_CAUSE: stall.cause,
        names.STALL_EVIDENCE: stall.evidence,
        names.STALL_DURATION: stall.duration_ns / 1e9,
        names.STALL_WAITED_TASKS: stall.waited,
    }
    attributes.pop(names.CODE_FUNCTION_NAME, None)  # that of the culprit, which its task's need not be
    if stall.function is not None and stall.at is not None:
        attributes[names.CODE_FUNCTION_NAME] = stall.function
        attributes[names.CODE_FILE_PATH] = stall.at.file
        attributes[names.CODE_LINE_NUMBER] = stall.at.line
    if stall.stack:
        attributes[names.CODE_STACKTRACE] = _stacktrace(stall)
    return attributes


def _stacktrace(stall: Stall) -> str:
    """As Python prints it, with the lines of source where they can be read."""
    text = "".join(line for frame in stall.stack for line in lines_of(frame))
    return f"Stack (most recent call last):\n{text}"
