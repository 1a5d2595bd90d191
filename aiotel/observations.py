"""The frozen facts that aiotel hands on: plain data, nothing of the program's is kept alive by them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ExceptionFacts", "Failure", "Frame", "Retrieved", "Source", "TaskFacts", "Unretrieved"]

# fmt: off
Source = Literal[
    "main", "task", "unretrieved", "future", "callback", "reader", "protocol", "transport", "asyncgen",
    "subprocess", "signal", "server", "executor", "thread", "unraisable", "other",
]
# fmt: on
"""Where an unhandled exception came to light: the values of `asyncio.exception.source`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One line of a traceback."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionFacts:
    """An exception without the exception.

    `type` is the qualified name of its class (builtins bare), `message` its text, cut to 4,096 characters.
    `frames` go from the outermost to the one that raised; `frames_left_out` counts those cut from the middle.
    `cause` is what it was raised from or during, `chained` says which; `leaves` are those of a group.
    """

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    frames_left_out: int = 0
    cause: ExceptionFacts | None = None
    chained: Literal["cause", "context"] | None = None
    leaves: tuple[ExceptionFacts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """The task that failed. Ids are 0 where the task has no span."""

    name: str
    function: str
    trace_id: int = 0
    span_id: int = 0
    sampled: bool = False
    created_file: str | None = None
    created_line: int | None = None
    created_function: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An exception that nobody handled.

    `message` is what asyncio said of it ("Task exception was never retrieved"); `time_ns` is when it
    happened, in ns since the epoch.
    """

    source: Source
    message: str
    exception: ExceptionFacts
    time_ns: int
    task: TaskFacts | None = None
    fatal: bool = False
    counted: bool = False
    """It was counted before: as a failure that somebody held and nobody had looked at."""
    context: object = field(default=None, repr=False, compare=False)
    """Runs a call in the context in which it happened, where that is known (`context.run(call)`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unretrieved:
    """A task has failed, somebody holds it, and nobody has looked at its exception for a while.

    `time_ns` is when it failed, in ns since the epoch.
    """

    exception: ExceptionFacts
    time_ns: int
    task: TaskFacts | None
    context: object = field(default=None, repr=False, compare=False)
    """See `Failure.context`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """Somebody has looked at such an exception after all, `after_ns` after the task had failed."""

    error_type: str
    time_ns: int
    after_ns: int
    task: TaskFacts | None
    context: None = None
