"""What is known of one hold of a lock, and of one wait for it: who, since when, and at which line."""

from __future__ import annotations

import asyncio
import time
import weakref
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

from .._inspect.facts import facts_of_record
from .._ledger import Ledger
from .._record import AnyRecord, line_of
from ..observations import Frame, TaskFacts
from .loops import LEDGER

__all__ = [
    "Hold",
    "Line",
    "Owner",
    "Wait",
    "frame_of",
    "function_at",
    "hold_by",
    "line_above",
    "task_waiting",
]

# Modules whose frames lie between the program's line and what takes a lock.
_PLUMBING: Final = frozenset({"asyncio.locks", "asyncio.tasks", "asyncio.timeouts", "contextlib"})
Line = tuple[CodeType, int, Any]
"""Code, the offset of its instruction, and the name of its module: made readable later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who holds a primitive: the id of the task, the line that acquired it, since when (monotonic).

    Once the task has `ended`, its id may be another one's. `task` is what was known of it.
    """

    task_id: int
    ended: bool
    at: Frame | None
    since_ns: int
    task: TaskFacts | None = None


class Wait:
    """A task waits to acquire a primitive, by the id of that."""

    __slots__ = ("line", "primitive", "since_ns")

    def __init__(self, primitive: int, line: Line | None) -> None:
        self.primitive = primitive
        self.line = line
        self.since_ns = time.monotonic_ns()


class Hold:
    """A task has acquired a primitive; weak, as neither is to be kept alive."""

    __slots__ = ("asked", "ledger", "line", "primitive", "record", "since_ns", "task", "task_id", "told")

    primitive: weakref.ref[Any]
    task: weakref.ref[Any]
    task_id: int
    ledger: Ledger | None
    record: AnyRecord | None
    """What knows the task, and outlives it."""
    line: Line | None
    since_ns: int
    told: bool
    """It was told that it takes long."""
    asked: bool
    """Its loop was asked to look whether it does."""

    def ended(self) -> bool:
        """Whether the task is done, or no more. On its loop's thread."""
        task = self.task()
        return task is None or task.done()

    def owner(self) -> Owner:
        """All of it, readable. On its loop's thread."""
        return Owner(
            task_id=self.task_id,
            ended=self.ended(),
            at=frame_of(self.line),
            since_ns=self.since_ns,
            task=self.facts(),
        )

    def facts(self) -> TaskFacts | None:
        """What is known of the task. On its loop's thread."""
        record, task = self.record, self.task()
        if record is None:
            return None
        name = getattr(record, "task_name", None) if task is None else task.get_name()
        return facts_of_record(name or "", record)


def hold_by(task: Any, loop: Any, primitive: Any, line: Line | None) -> Hold:
    """The hold that begins now."""
    hold = Hold()
    hold.primitive = weakref.ref(primitive)
    hold.task = weakref.ref(task)
    hold.task_id = id(task)
    ledger = hold.ledger = getattr(loop, LEDGER, None)
    hold.record = None
    if ledger is not None:
        hold.record = ledger.live.get(hold.task_id)
        if hold.record is None and ledger.starting is not None and task.get_coro() is ledger.starting:
            hold.record = ledger.starting_record  # an eager task, within its constructor
    hold.line = line
    hold.told = hold.asked = False
    hold.since_ns = time.monotonic_ns()
    return hold


def line_above(frame: Any) -> Line | None:
    """The first line above this frame that is not asyncio's."""
    found = frame.f_back
    while found is not None:
        module = found.f_globals.get("__name__")
        if module not in _PLUMBING:
            return found.f_code, found.f_lasti, module
        found = found.f_back
    return None


def frame_of(line: Line | None) -> Frame | None:
    """The line, readable."""
    if line is None:
        return None
    code, instruction, module = line
    return Frame(file=code.co_filename, line=line_of(code, instruction), function=function_at(code, module))


def function_at(code: CodeType, module: Any) -> str:
    """The function: module.qualname."""
    return f"{module}.{code.co_qualname}" if isinstance(module, str) else code.co_qualname


def task_waiting(future: Any) -> Any:
    """The task that a future will wake, and nothing else; None where that is not plain to see."""
    callbacks: Any = future._callbacks or ()
    if len(callbacks) != 1:
        return None
    task = getattr(callbacks[0][0], "__self__", None)
    return task if asyncio.isfuture(task) and hasattr(task, "get_coro") else None
