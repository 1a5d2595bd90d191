"""Tell deadlocks in words: who holds what, who waits for it, on which lines, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from .._report import Report
from .._signals import names
from ..observations import Deadlocked, DeadlockResolved, Entangled, Frame
from .failures import repeated

__all__ = ["DEADLOCK_KINDS", "DeadlockResolveds", "Deadlocks"]

DEADLOCK_KINDS: Final = (names.DEADLOCKED,)


class Deadlocks:
    """Deadlocks in words."""

    def __init__(self, count_finding: Callable[[str, int], None]) -> None:
        self._count_finding = count_finding

    def count(self, deadlock: Deadlocked, times: int) -> None:
        """Each is a finding."""
        self._count_finding(names.DEADLOCKED, times)

    def report(self, deadlock: Deadlocked) -> Report:
        """The whole cycle, and those behind it."""
        return Report(
            name=names.DEADLOCK,
            severity="error" if deadlock.seconds_left is None else "warn",
            words=_words(deadlock),
            time_ns=deadlock.time_ns,
            attributes=_attributes(deadlock),
            task=deadlock.task,
        )

    def again(self, deadlock: Deadlocked, times: int, seconds: float) -> Report:
        """How many more."""
        return repeated(self.report(deadlock), times, seconds)


class DeadlockResolveds:
    """The ends of deadlocks that were told."""

    def count(self, resolved: DeadlockResolved, times: int) -> None:
        """Nothing: it was counted when it was found."""

    def report(self, resolved: DeadlockResolved) -> Report:
        """How it ended, and how long it took."""
        deadlock = resolved.deadlock
        how = _ENDS[resolved.end]
        return Report(
            name=names.DEADLOCK_RESOLVED,
            severity="info",
            words=f"Deadlock over after {resolved.seconds:.3g} s, {how}: {_round(deadlock)}",
            time_ns=resolved.time_ns,
            attributes={
                names.DEADLOCK_KIND: deadlock.kind,
                names.DEADLOCK_DURATION: resolved.seconds,
                names.DEADLOCK_END: resolved.end,
                names.DEADLOCK_TASKS: [_who(each) for each in deadlock.cycle or deadlock.victims],
            },
            task=deadlock.task,
        )

    def again(self, resolved: DeadlockResolved, times: int, seconds: float) -> None:
        """Never: each is told."""


_ENDS: Final = {
    "cancelled": "as a task was cancelled",
    "task ended": "as a task has ended",
    "released": "as a task has gone on",
    "loop closed": "as its loop was closed",
}


def _words(deadlock: Deadlocked) -> str:
    lines = [_headline(deadlock)]
    numbers = iter(range(1, len(deadlock.cycle) + len(deadlock.victims) + 1))
    for each in deadlock.cycle:
        lines += _lines(next(numbers), each)
    if deadlock.victims and deadlock.cycle:
        lines.append("  behind them:")
    for each in deadlock.victims:
        lines += _lines(next(numbers), each)
    if deadlock.left_out:
        lines.append(f"  ... and {deadlock.left_out} more")
    lines.append(f"  {_how_sure(deadlock)}")
    return "\n".join(lines)


def _headline(deadlock: Deadlocked) -> str:
    tasks = len(deadlock.cycle)
    behind = len(deadlock.victims) + deadlock.left_out
    if deadlock.kind == "total":
        waits = "its only task waits" if behind == 1 else f"all {behind} tasks wait"
        return f"Deadlock: nothing can wake this event loop any more, {waits} for ever"
    waits = "a task waits for itself" if tasks == 1 else f"{tasks} tasks wait for each other"
    more = f", {behind} more behind {'it' if tasks == 1 else 'them'}" if behind else ""
    return f"Deadlock: {waits} for ever{more}: {_round(deadlock)}"


def _round(deadlock: Deadlocked) -> str:
    """The cycle in one line."""
    if not deadlock.cycle:
        return ", ".join(map(_who, deadlock.victims[:3]))
    return " -> ".join(map(_who, (*deadlock.cycle, deadlock.cycle[0])))


def _who(each: Entangled) -> str:
    return f"{each.task.function} ({each.task.name})"


def _lines(number: int, each: Entangled) -> Iterable[str]:
    yield f"  {number}. {each.task.function}, task {each.task.name!r}"
    for what, since in each.holds:
        yield f"       holds {what}{_where(since, 'since')}"
    on = " and ".join(f"task {task}" for task in each.waits_for_tasks[:3])
    more = " ..." if len(each.waits_for_tasks) > 3 else ""
    if each.waits_for in ("task", "gather", "task group", "wait"):
        waits = f"the end of {on}{more} ({each.waits_for})" if on else f"others ({each.waits_for})"
    else:
        waits = f"{each.waits_for}{f', which {on}{more} holds' if on else ''},"
    yield f"       has waited {each.seconds:.1f} s for {waits}{_where(each.waits_at, 'at')}"


def _where(at: Frame | None, word: str) -> str:
    return "" if at is None else f" {word} line {at.line} of {at.function} ({at.file})"


def _how_sure(deadlock: Deadlocked) -> str:
    if deadlock.seconds_left is not None:
        return f"A timeout will end this in {deadlock.seconds_left:.1f} s."
    if deadlock.kind == "total":
        return "No timer, no file, no signal and no other thread can end this."
    if not deadlock.curable:
        return "Nothing can end this: to cancel tasks that await each other is a RecursionError."
    if deadlock.certain:
        return "Nothing can end this but a cancellation."
    return "Unless another task releases what one of them waits for, only a cancellation can end this."


def _attributes(deadlock: Deadlocked) -> dict[str, Any]:
    tasks = [*deadlock.cycle, *deadlock.victims]
    first = tasks[0]
    at = first.waits_at
    where = {} if at is None else {names.CODE_FILE_PATH: at.file, names.CODE_LINE_NUMBER: at.line}
    left = deadlock.seconds_left
    return {
        names.DEADLOCK_KIND: deadlock.kind,
        names.DEADLOCK_CERTAIN: deadlock.certain,
        names.DEADLOCK_TASKS: [_who(each) for each in deadlock.cycle],
        names.DEADLOCK_VICTIMS: [_who(each) for each in deadlock.victims],
        names.DEADLOCK_GRAPH: json.dumps([_node(each, deadlock) for each in tasks]),
        names.TASK_NAME: first.task.name,
        names.CODE_FUNCTION_NAME: first.task.function,
        **where,
        **({} if left is None else {names.DEADLOCK_TIMEOUT: left}),
    }


def _node(each: Entangled, deadlock: Deadlocked) -> dict[str, Any]:
    """A task as data: ids as in traces; `waits_for.tasks` counts from 1, in the order of this list."""
    return {
        "task": each.task.name,
        "function": each.task.function,
        "trace_id": f"{each.task.trace_id:032x}" if each.task.trace_id else None,
        "span_id": f"{each.task.span_id:016x}" if each.task.span_id else None,
        "victim": each not in deadlock.cycle,
        "holds": [{"what": what, **_place(since)} for what, since in each.holds],
        "waits_for": {
            "what": each.waits_for,
            "tasks": list(each.waits_for_tasks),
            "seconds": round(each.seconds, 3),
            **_place(each.waits_at),
        },
    }


def _place(at: Frame | None) -> dict[str, Any]:
    return {} if at is None else {"function": at.function, "file": at.file, "line": at.line}
