"""The frozen facts that aiotel hands on: plain data, nothing of the program's is kept alive by them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "BlockingCall",
    "CallbackType",
    "Cancellation",
    "CancelledBy",
    "Cause",
    "DeadlockEnd",
    "DeadlockKind",
    "DeadlockResolved",
    "Deadlocked",
    "DestroyedPending",
    "Dumped",
    "Entangled",
    "ExceptionFacts",
    "Failure",
    "Frame",
    "Hung",
    "LongHold",
    "LostUpdate",
    "NeverAwaited",
    "NeverStarted",
    "NotClosed",
    "Occupied",
    "PoolKind",
    "Recovered",
    "Retrieved",
    "Source",
    "Staleness",
    "Stall",
    "StallEnded",
    "Starved",
    "TaskFacts",
    "UnfinishedCancellation",
    "Unretrieved",
    "Unstarted",
]

# fmt: off
Source = Literal[
    "main", "task", "unretrieved", "future", "callback", "reader", "protocol", "transport", "asyncgen",
    "subprocess", "signal", "server", "executor", "thread", "unraisable", "other",
]
# fmt: on
"""Where an unhandled exception came to light: the values of `asyncio.exception.source`."""

# fmt: off
CancelledBy = Literal[
    "timeout", "wait_for", "task_group", "gather", "shutdown", "signal", "cancel_scope", "parent", "awaited",
    "explicit",
]
# fmt: on
"""Who or what cancelled a task: the values of `asyncio.task.cancelled.by`."""
PoolKind = Literal["default", "user", "anyio"]
"""Whose threads: the loop's default executor, one that the program made, anyio's. `asyncio.executor.type`."""
Unstarted = Literal["closed", "not running", "ended"]
"""Why a task has not started: its loop was closed, or does not run, or the process has ended."""

Cause = Literal["cpu", "sleep", "io", "lock", "gil", "gc", "descheduled", "import", "crowded"]
"""Why a loop was blocked: the values of `asyncio.stall.cause`."""
DeadlockKind = Literal["cycle", "total"]
"""Tasks wait for each other; or nothing at all can wake the loop any more. `asyncio.deadlock.kind`."""
DeadlockEnd = Literal["cancelled", "task ended", "released", "loop closed"]
"""How a deadlock ended: `asyncio.deadlock.end`."""
Staleness = Literal["derived", "decided"]
"""How a write depends on a value that was out of date: it was made of it, or decided on by a look at it."""
CallbackType = Literal["task", "callback", "timer", "reader"]
"""What of a loop ran: the values of `asyncio.callback.type`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One line of a traceback; a builtin has neither a file (empty) nor a line (0)."""

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
    undecided: object = field(default=None, repr=False, compare=False)
    """What its ids will be had from, where it is not decided yet whether it has a span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An exception that nobody handled; or, without one, what a loop was told to give up on.

    `message` is what asyncio said of it ("Task exception was never retrieved"); `time_ns` is when it
    happened, in ns since the epoch.
    """

    source: Source
    message: str
    exception: ExceptionFacts | None
    time_ns: int
    task: TaskFacts | None = None
    function: str | None = None
    """What the callback that failed was: module.qualname."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Who or what cancelled a task.

    `reason` says it in words; `message` is what was given to `cancel()`; `origin` is the function of the task
    that was cancelled first, where this one was only waited for; `at` is the line that called `cancel()`,
    which is rarely known.
    """

    by: CancelledBy
    reason: str
    message: str | None = None
    origin: str | None = None
    at: Frame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedCancellation:
    """A task that was cancelled and still runs, so many seconds later.

    It has `swallowed` the cancellation, or is still cleaning up, which makes it a `slow_cancellation`. `at`
    is the line at which it waits now. Where nobody saw the request, the time is not `exact`: it is that since
    the task was noticed.
    """

    kind: Literal["swallowed", "slow_cancellation"]
    task: TaskFacts | None
    cancellation: Cancellation | None
    seconds: float
    time_ns: int
    exact: bool = True
    at: Frame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverAwaited:
    """A coroutine that was made and never awaited.

    `function` is what was called (module.qualname), `defined` its place. `dropped` is the line that called it
    and let go of what it got; None where that is not certain. `task` is the task that ran then.
    """

    function: str
    defined: Frame
    dropped: Frame | None
    time_ns: int
    task: TaskFacts | None = None
    context: object = field(default=None, repr=False, compare=False)
    """See `Failure.context`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyedPending:
    """A task that was collected before it had ended: nobody held it, not even what it waited for.

    `suspended` is the line at which it waited, the innermost that is not asyncio's; None where it had not
    started, or that is not known.
    """

    task: TaskFacts
    started: bool
    suspended: Frame | None
    time_ns: int
    context: object = field(default=None, repr=False, compare=False)
    """See `Failure.context`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverStarted:
    """A task that has made no step, `after_ns` after it was created."""

    task: TaskFacts
    why: Unstarted
    after_ns: int
    time_ns: int
    context: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotClosed:
    """An async generator that was open when its loop was closed: its `finally:` does not run.

    `function` is its function (module.qualname), `suspended` the line of it that it waits at.
    """

    function: str
    suspended: Frame
    time_ns: int
    context: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """A loop that was blocked, or still is: then it has not `ended`, and `duration_ns` is so far.

    `function` is what was at fault (module.qualname), `at` its line, `stack` all from the callback to where
    the thread was, outermost first; none of it where the stack could not be seen. `evidence` says what
    `cause` was told from. `task` ran at the time; `waited` counts those that could have gone on meanwhile.
    """

    cause: Cause
    evidence: str
    duration_ns: int
    ended: bool
    time_ns: int
    function: str | None = None
    at: Frame | None = None
    stack: tuple[Frame, ...] = ()
    task: TaskFacts | None = None
    waited: int = 0
    serious: bool = False
    """It took so long that it is an error."""
    context: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StallEnded:
    """A stall that was told while it lasted is over."""

    stall: Stall
    duration_ns: int
    time_ns: int
    task: TaskFacts | None = None
    context: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockingCall:
    """A call that blocks, made on the thread of a running loop; `call` is its audit event (`socket.connect`).

    `function` (module.qualname) calls it at `site`; where that is a package's, `caller` is the nearest line
    of the program's own, if there is one.
    """

    call: str
    function: str
    site: Frame
    caller: Frame | None
    time_ns: int
    task: TaskFacts | None = None
    context: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupied:
    """So many threads are at the same place: in the function `at`, the innermost that is the program's own.

    `frames` go from the innermost to the one that the thread was given.
    """

    threads: int
    at: Frame
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Starved:
    """All threads of a pool are at work, calls wait, and none has started for so many seconds.

    `occupied` says where the threads are, most of them first; `left_out` counts the places that are not told.
    """

    pool: PoolKind
    threads: int
    limit: int
    waiting: int
    seconds: float
    occupied: tuple[Occupied, ...]
    left_out: int
    time_ns: int
    context: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A pool is not starved any more, or is no more; `seconds` is how long it was."""

    pool: PoolKind
    seconds: float
    at: Frame
    """Where most of the threads were."""
    time_ns: int
    context: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hung:
    """A task has waited for `seconds`, which is longer than the `limit_s` that was set for it.

    `kind` is what it waits for, `what` the library's function that waits (`Queue.get`), `at` the line of the
    program's that called that; `stack` goes from the task's coroutine to there and beyond. `holds` says which
    locks it holds meanwhile, and since which line.
    """

    task: TaskFacts
    kind: str
    what: str
    at: Frame | None
    seconds: float
    limit_s: float
    stack: tuple[Frame, ...]
    holds: tuple[tuple[str, Frame | None], ...]
    time_ns: int
    context: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entangled:
    """A task of a deadlock: what it `holds` (each since the line at which it was acquired), and waits for.

    What is held and waited for has a letter of its own in the deadlock (`Lock A`). `waits_for_tasks` are the
    places of those that could end its wait, by their holding or by their end, counted from 1 through the
    cycle and on through the victims.
    """

    task: TaskFacts
    waits_for: str
    waits_at: Frame | None
    waits_for_tasks: tuple[int, ...]
    seconds: float
    holds: tuple[tuple[str, Frame | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlocked:
    """Tasks wait for each other, each of `cycle` for the next; `victims` wait behind them.

    Of the kind `total` there need be no cycle: all tasks of a loop that nothing can wake any more are
    victims. `left_out` counts those that are not told. `certain` says that nothing but a cancellation can end
    it; else a task that is not known to hold a lock might release it. In `seconds_left` a timeout will.
    """

    kind: DeadlockKind
    cycle: tuple[Entangled, ...]
    victims: tuple[Entangled, ...]
    left_out: int
    certain: bool
    seconds_left: float | None
    time_ns: int
    curable: bool = True
    context: None = None

    @property
    def task(self) -> TaskFacts | None:
        """The first of them: the log belongs to its span."""
        return next((each.task for each in (*self.cycle, *self.victims)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dumped:
    """A snapshot that a signal has asked for: in words, and its tasks as JSON.

    `count` is how many tasks there are, `left_out` how many of them are not in `tasks`.
    """

    words: str
    tasks: str
    count: int
    left_out: int
    time_ns: int
    task: None = None
    context: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlockResolved:
    """A deadlock that was told is over, after so many seconds."""

    deadlock: Deadlocked
    end: DeadlockEnd
    seconds: float
    time_ns: int
    context: None = None

    @property
    def task(self) -> TaskFacts | None:
        """As that of the deadlock."""
        return self.deadlock.task


@dataclass(frozen=True, slots=True, kw_only=True)
class LongHold:
    """A lock that was held for so many seconds, while another task has waited for it as long as is too long.

    `at` is the line that acquired it, `held` says that it still is, `primitive` is its class; so many tasks
    are `waiting`, the first of them for `waited_seconds`. `task` holds it.
    """

    primitive: str
    at: Frame
    held: bool
    seconds: float
    waiting: int
    waited_seconds: float
    time_ns: int
    task: TaskFacts | None = None
    context: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LostUpdate:
    """A task wrote a field after another task had changed it, and had read it only before that.

    `owner` is the class of the object (module.qualname), `attribute` the name of its field, or its key.
    `read` and `write` are lines of one call, `undone` that of the change that is lost. `how` says what the
    write has to do with the read; where it was only `decided` by it, the loss may have been meant.
    """

    how: Staleness
    owner: str
    attribute: str
    read: Frame
    write: Frame
    undone: Frame
    task: TaskFacts | None
    other: TaskFacts | None
    """Who made the change that is lost."""
    time_ns: int
    context: object = field(default=None, repr=False, compare=False)
    """See `Failure.context`."""
