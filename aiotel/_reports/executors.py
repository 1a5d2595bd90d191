"""Tell pools of threads that are starved, as findings: where their threads are; and when that is over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from .._report import Report
from .._signals import names
from ..observations import Frame, Occupied, PoolKind, Recovered, Starved
from .failures import repeated
from .tracebacks import line_of

__all__ = ["EXECUTOR_KINDS", "Recovereds", "Starveds"]

EXECUTOR_KINDS: Final = (names.STARVED,)
"""The values of `asyncio.finding.kind` that are counted here."""

_WHOSE: Final[dict[PoolKind, str]] = {
    "default": "the default executor",
    "user": "an executor",
    "anyio": "anyio's worker threads",
}


class Starveds:
    """Starved pools in words."""

    def __init__(self, count: Callable[[str, int], None]) -> None:
        self._count = partial(count, names.STARVED)

    def count(self, starved: Starved, times: int) -> None:
        """Count it as a finding."""
        self._count(times)

    def report(self, starved: Starved) -> Report:
        """The pool's figures, and where its threads are."""
        return Report(
            name=names.EXECUTOR_STARVED,
            severity="warn",
            words=_words(starved),
            time_ns=starved.time_ns,
            attributes=_attributes(starved),
        )

    def again(self, starved: Starved, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(starved), times, seconds)


class Recovereds:
    """Pools that are not starved any more, in words."""

    def count(self, recovered: Recovered, times: int) -> None:
        """It was counted when it was starved."""

    def report(self, recovered: Recovered) -> Report:
        """That it is over, and how long it took."""
        return Report(
            name=names.EXECUTOR_RECOVERED,
            severity="info",
            words=f"No longer starved, after {recovered.seconds:.1f} s: {_WHOSE[recovered.pool]}",
            time_ns=recovered.time_ns,
            attributes={
                names.EXECUTOR_TYPE: recovered.pool,
                names.EXECUTOR_STARVED_DURATION: recovered.seconds,
                names.CODE_FUNCTION_NAME: recovered.at.function,
            },
        )

    def again(self, recovered: Recovered, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(recovered), times, seconds)


def _words(starved: Starved) -> str:
    first = starved.occupied[0]
    threads = f"all {starved.threads} threads are" if starved.threads > 1 else "its only thread is"
    calls = f"{starved.waiting} calls wait" if starved.waiting > 1 else "1 call waits"
    most = "" if first.threads == starved.threads else f"{first.threads} of them "
    return (
        f"Starved: {calls} for {_WHOSE[starved.pool]}, where nothing has started "
        f"for {starved.seconds:.1f} s: {threads} at work, {most}in {_place(first.at)}"
    )


def _place(at: Frame) -> str:
    return f"{at.function}, line {at.line}" if at.file else at.function


def _attributes(starved: Starved) -> dict[str, Any]:
    at = starved.occupied[0].at
    stacks = [_stack(each) for each in starved.occupied]
    if starved.left_out:
        stacks.append(f"... and {starved.left_out} other stacks")
    where = {names.CODE_FILE_PATH: at.file, names.CODE_LINE_NUMBER: at.line} if at.file else {}
    return {
        names.EXECUTOR_TYPE: starved.pool,
        names.EXECUTOR_THREAD_COUNT: starved.threads,
        names.EXECUTOR_THREAD_LIMIT: starved.limit,
        names.EXECUTOR_QUEUE_SIZE: starved.waiting,
        names.EXECUTOR_STARVED_DURATION: starved.seconds,
        names.CODE_FUNCTION_NAME: at.function,
        **where,
        names.EXECUTOR_STACKS: stacks,
    }


def _stack(occupied: Occupied) -> str:
    """So many threads, and where they are, the innermost last as in a traceback."""
    threads = "1 thread" if occupied.threads == 1 else f"{occupied.threads} threads"
    return "\n".join([f"{threads} in {occupied.at.function}", *map(_line, reversed(occupied.frames))])


def _line(frame: Frame) -> str:
    if not frame.file:
        return f"  {frame.function}, a builtin"
    return line_of(frame).rstrip("\n")
