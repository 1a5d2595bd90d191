"""A moment of a program, frozen: its tasks, what each waits for, and what each holds. Plain data.

Nothing here refers to an object of the program's. Objects are told apart by numbers: the `id()` that a task
or a primitive has while it lives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .observations import Frame, TaskFacts

__all__ = [
    "Deadlock",
    "Held",
    "LoopView",
    "Primitive",
    "PrimitiveKind",
    "Snapshot",
    "State",
    "TaskView",
    "WaitKind",
    "Waiting",
]

State = Literal["running", "ready", "waiting", "not started"]
"""What a task does: it runs now, could go on at once, waits for something, or has yet to make its first
step."""

# fmt: off
WaitKind = Literal[
    "task", "gather", "task group", "wait", "lock", "semaphore", "condition", "event", "queue", "barrier",
    "future", "sleep", "io", "executor", "subprocess", "unknown",
]
# fmt: on
"""What a task waits for. `wait` is `asyncio.wait` and what is made of it; `future` one that nothing is
known of."""

PrimitiveKind = Literal["lock", "semaphore", "condition", "event", "queue", "barrier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """What tasks wait for and hold: a lock, a semaphore, and so on.

    `name` is its class (`asyncio.locks.Lock` is `Lock`). `limit` is how many may hold it at once, where that
    is certain: 1 of a lock, the bound of a bounded semaphore. A condition is its lock: where a task waits for
    the lock of a condition, or holds it, that lock is meant.
    """

    id: int
    kind: PrimitiveKind
    name: str
    limit: int | None = None
    exact: bool = True
    """What it is made of is as this Python's library has it: nothing of a subclass's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A task holds a primitive, since the line `at` (that of the `async with`), where that is known.

    `certain` says that it can be nobody else: its owner was seen, not only the block in which the task is.
    """

    primitive: Primitive
    at: Frame | None
    certain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a task waits for.

    `since_ns` (monotonic) is since when it is known to have waited for this very thing: at least so long.
    `at` is the innermost line of the program's own that awaits. `tasks` are the ids of those that may end it,
    each by its end, for the kinds task, gather, task group and wait. `primitive` is what it waits for, of the
    kinds that have one. `deadline_ns` (monotonic) is when a timeout of its own ends it; None where none does.
    """

    kind: WaitKind
    since_ns: int
    at: Frame | None = None
    tasks: tuple[int, ...] = ()
    primitive: Primitive | None = None
    deadline_ns: int | None = None
    what: str = ""
    """In words of the program's: `StreamReader.read`, `asyncio.sleep`; empty where the kind says it all."""
    complete: bool = False
    """Nothing else can end it but `tasks`, or the holders of `primitive`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A task: who it is, what it does, where it stands, and what it holds.

    `loop` is the number of its loop in the snapshot. `created_ns` is monotonic. `stack` goes from its
    coroutine to where it stands, through all that it awaits.
    """

    id: int
    loop: int
    task: TaskFacts
    state: State
    created_ns: int
    waiting: Waiting | None = None
    holds: tuple[Held, ...] = ()
    stack: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopView:
    """An event loop: the class it is of, the name of its thread, and for how long it has not gone on (ns)."""

    number: int
    kind: str
    thread: str
    running: bool
    stuck_ns: int = 0
    tasks: int = 0
    """How many there are, be they in the snapshot or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All of it. `time_ns` is in ns since the epoch, `now_ns` the same moment by the monotonic clock."""

    time_ns: int
    now_ns: int
    loops: tuple[LoopView, ...] = ()
    tasks: tuple[TaskView, ...] = ()
    left_out: int = 0
    """So many tasks did not fit, or took too long to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlock:
    """Tasks that wait for each other, by their ids; two that are equal are the same deadlock at two moments.

    Each of `cycle` waits for the next, and the last for the first. `victims` wait behind them, the nearest
    first. `certain` says that nobody else could release what they wait for. `deadline_ns` (monotonic) is when
    a timeout of a task that waits for one of them will end it. `waits` is what each waits for.
    """

    cycle: tuple[int, ...]
    victims: tuple[int, ...] = ()
    certain: bool = True
    deadline_ns: int | None = field(default=None, compare=False)
    curable: bool = field(default=True, compare=False)
    """To cancel one of them would end it: where they await each other, that goes round until Python gives
    up."""
    waits: tuple[tuple[int, ...], ...] = ()
