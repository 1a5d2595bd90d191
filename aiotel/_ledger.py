"""Who is alive on one event loop, and what has been counted there.

Its loop's thread is the only writer; others read sums. Whatever runs inside the garbage collector
only appends to `gone`.
"""

from __future__ import annotations

import weakref
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from contextvars import Context
from types import CodeType
from typing import Any, Final

from ._record import AnyRecord, Function, Record
from ._times import LoopTimes
from .observations import Frame, TaskFacts

__all__ = ["DURATIONS", "SETTLED", "TOLD", "UNRETRIEVED", "Failed", "Ledger"]

FUNCTIONS: Final = 4096
"""How many functions a ledger tells apart; programs that make functions without end share the last."""
LATELY: Final = 16
"""How many failed tasks are remembered though it is certain what became of them."""
DURATIONS: Final = 65536
"""How many durations of one function may wait to be counted."""


UNRETRIEVED: Final = 1
"""It was told that nobody had looked at a failure for a while."""
SETTLED: Final = 4
"""It is certain what became of the failure."""
TOLD: Final = 2
"""The failure was told: asyncio has given it up, or it has ended the program."""


class Failed(weakref.ref[Any]):
    """A task that has failed, and its record: while somebody holds the task, asyncio may tell of it."""

    __slots__ = ("ended_ns", "error_type", "exception_id", "facts", "gone_ns", "key", "record", "told")

    key: int
    """The id of the task: where this is in the table of the failed."""
    record: Record
    error_type: str
    exception_id: int
    ended_ns: int
    gone_ns: int
    """When it was seen that the task is no more."""
    told: int
    """`UNRETRIEVED`, `TOLD`, both or neither."""
    facts: Any
    """What was told of the task, for what may be told later."""


class Ledger:
    """The live tasks of one loop, by the id of the task, and its functions."""

    __slots__ = (
        "__weakref__",
        "closed",
        "closing",
        "context",
        "dead",
        "done",
        "dropped",
        "failed",
        "forgotten",
        "fresh",
        "functions",
        "gone",
        "handled",
        "held",
        "held_ns",
        "lately",
        "left",
        "live",
        "looking",
        "loop",
        "lost",
        "mourn",
        "next_look_ns",
        "overflow",
        "raised",
        "starting",
        "starting_record",
        "times",
        "twins",
        "until_timed",
    )

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.lost: deque[Any] = deque()
        """Not empty once the loop was collected; to look at it would be to hold it, on our thread."""
        self.loop = weakref.ref(loop, self.lost.append)
        self.context = Context()
        """What our callbacks run in: nothing of the user's is kept alive or seen."""
        self.live: dict[int, AnyRecord] = {}
        self.failed: dict[int, Failed] = {}
        self.raised: dict[int, Failed] = {}
        """The same by the id of the exception."""
        self.forgotten: deque[Failed] = deque()
        """Those of the failed that went, appended by the collector."""
        self.dead: deque[Failed] = deque()
        """Those of them about which asyncio may still tell."""
        self.fresh: deque[Failed] = deque()
        """Those of the failed that nobody had to look at yet, in the order in which they failed."""
        self.held: deque[Failed] = deque()
        """Those that somebody holds and nobody had looked at."""
        self.held_ns = self.next_look_ns = 0
        """When these were looked at last; when it is time for the next look."""
        self.looking = False
        """A look is queued."""
        self.lately: deque[Failed] = deque(maxlen=LATELY)
        """The last ones of which it became certain: the exception of one may yet end the program."""
        self.handled: list[str] = []
        """The types of exceptions that somebody has retrieved, until they are counted."""
        self.left: dict[int, tuple[TaskFacts, Frame | None]] = {}
        """The tasks that had not ended when the loop was closed, and where they waited."""
        self.gone: deque[Any] = deque()
        """Weak references to tasks that went before they had ended, appended by the collector."""
        self.times: LoopTimes | None = None
        """What is timed here, with exact timing."""
        self.until_timed = 0
        """How many more tasks are made before one is timed up to its first step."""
        self.mourn: Callable[[Any], None] = self.gone.append
        self.starting: Any = None
        self.starting_record: Any = None
        """The coroutine and the record of the task whose constructor runs now: an eager task's first step
        runs inside, before anybody knows the task."""
        self.done: Callable[[Any], None] = _ignore
        """The done callback of every task here."""
        self.functions: dict[str, Function] = {}
        self.twins: dict[tuple[str, CodeType | None], Function] = {}
        """Functions whose qualified name another one had first."""
        self.overflow = Function("_OTHER", "_OTHER", None)
        self.dropped = 0
        self.closed = self.closing = False

    def add_function(self, function: Function) -> Function:
        """Remember a function, or give the one that stands for it."""
        first = self.functions.get(function.qualname)
        if first is None:
            if len(self.functions) >= FUNCTIONS:
                return self._overflowing(function)
            self.functions[function.qualname] = function
            return function
        known = self.twins.get((function.qualname, function.code))
        if known is None:
            if len(self.twins) >= FUNCTIONS:
                return self._overflowing(function)
            known = self.twins[function.qualname, function.code] = function
        return known

    def _overflowing(self, function: Function) -> Function:
        """The function, forgotten once its task has ended; its durations are kept together with others'."""
        for outcome in ("returned", "raised", "cancelled", "pending", "waits", "times"):
            setattr(function, outcome, getattr(self.overflow, outcome))
        return function

    def every_function(self) -> list[Function]:
        """All functions seen, at this moment."""
        return [*list(self.functions.values()), *list(self.twins.values()), self.overflow]

    def alive(self) -> int:
        """How many tasks live; readable from any thread."""
        return max(0, len(self.live) - len(self.gone))

    def remember_failed(self, task: Any, record: AnyRecord, error_type: str, now_ns: int) -> None:
        """Keep the record until it is certain what became of the exception."""
        failed = Failed(task, self.forgotten.append)
        failed.key = id(task)
        failed.record = record if isinstance(record, Record) else record.copy()
        failed.record.task = None
        failed.error_type = error_type
        failed.exception_id = id(task._exception)
        failed.ended_ns = now_ns
        failed.told = 0
        failed.facts = None
        self.failed[failed.key] = failed
        self.raised[failed.exception_id] = failed
        self.fresh.append(failed)

    def forget_failed(self, failed: Failed) -> None:
        """It is certain."""
        failed.told |= SETTLED
        self.lately.append(failed)
        if self.failed.get(failed.key) is failed:
            del self.failed[failed.key]
        if self.raised.get(failed.exception_id) is failed:
            del self.raised[failed.exception_id]

    def bury(self) -> list[AnyRecord]:
        """Take out the records whose tasks were collected before they ended. The loop's thread only."""
        dead = set()
        while self.gone:
            dead.add(id(self.gone.popleft()))
        # A copy: at the end of a session another thread than the loop's looks through it.
        keys = [key for key, record in list(self.live.items()) if id(record.reference()) in dead]
        if self.times is not None:
            for key in keys:
                self.times.tasks.pop(key, None)
        found = [self.live.pop(key, None) for key in keys]
        return [record for record in found if record is not None]


def _ignore(task: Any) -> None:
    """What `done` is until the hooks put theirs there."""
