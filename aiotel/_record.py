"""The record of a task, from its creation to its export, and what records share.

A record is the one mutable object that is passed around. Creating it is most of what aiotel costs,
so it holds identifiers and clocks only; names, attributes and times of day are worked out when
somebody asks, off the loop. `_signals.traces` extends it to be the task's span.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from contextvars import Context
from types import CodeType
from typing import Any, Final, Protocol, TypeGuard, TypeVar

from ._times import FunctionTimes, TaskTimes

__all__ = [
    "ASKING",
    "CANCELLED",
    "DEFERRED",
    "FOREIGN",
    "PENDING",
    "RAISED",
    "RANDOM",
    "RECORDED",
    "RETURNED",
    "SAMPLED",
    "UNBOUND",
    "AnyRecord",
    "Birth",
    "Function",
    "Record",
    "Rules",
    "Tree",
    "Unrecorded",
    "created_by",
    "has_span",
    "line_of",
    "note_on",
    "take",
]

T = TypeVar("T")

# The flags of a record: W3C's trace flags in the low byte, ours above it.
SAMPLED: Final = 0x01
RANDOM: Final = 0x02
RECORDED: Final = 0x100
"""The task has a span."""
DEFERRED: Final = 0x200
"""Whether the task has a span is decided when a child needs to know, or at its end."""
UNBOUND: Final = 0x400
"""Nobody had set up tracing when the task was created."""
FOREIGN: Final = 0x800
"""The task's trace is the user's: it hangs under a span of theirs."""
ASKING: Final = 0x1000
"""The task has no span, but each of its children may: the sampler has to be asked."""

RETURNED: Final = "returned"
RAISED: Final = "raised"
CANCELLED: Final = "cancelled"
PENDING: Final = "pending"


class Function:
    """What the tasks of one coroutine function share within one loop, and how long those took that ended.

    Durations are in ns, appended by the loop's thread; whoever reads takes them out with `take`.
    """

    __slots__ = (
        "cancelled",
        "code",
        "detach",
        "name",
        "pending",
        "qualname",
        "raised",
        "returned",
        "see_through",
        "skip",
        "special",
        "times",
        "waits",
    )

    def __init__(self, name: str, qualname: str, code: CodeType | None) -> None:
        self.name = name
        self.qualname = qualname
        self.code = code
        self.skip = False
        """A task of asyncio's own or of aiotel's: none of our business."""
        self.see_through = False
        """A wrapper: the function that matters is inside, and another one for each task."""
        self.detach = False
        """Its tasks start traces of their own."""
        self.special = False
        """One of the three above: the hot path asks one question only."""
        self.returned: list[int] = []
        self.raised: list[int] = []
        self.cancelled: list[int] = []
        self.pending: list[int] = []
        self.waits: list[int] = []
        """From creation to the first step."""
        self.times: FunctionTimes | None = None
        """What the time of those that have ended went into, with exact timing."""


def take(values: list[T]) -> list[T]:
    """What the list holds now, taken out of it.

    Two steps of which each is one of the interpreter's: what another thread appends in between stays.
    """
    taken = values[:]
    del values[: len(taken)]
    return taken


class Tree:
    """A trace that began with a task: what its records share."""

    __slots__ = ("count", "flags", "function", "root_id", "start_ns", "trace_id", "trace_state")

    def __init__(self, function: Function, start_ns: int) -> None:
        self.function = function
        self.start_ns = start_ns
        self.count = 1
        # Until it is decided whether the trace is recorded, it has no identity.
        self.flags = DEFERRED
        self.trace_id = self.root_id = 0
        self.trace_state: Any = None


class Record:
    """A task as aiotel sees it: filled by its loop's thread, handed over once when the task has ended."""

    # Made with `object.__new__` and filled field by field in `_hooks.tasks`: half the price of an `__init__`.
    # The first row is set at creation, the second at the end.
    __slots__ = (
        *("end_ns", "flags", "function", "origin", "parent_id", "span_id", "start_ns", "task"),
        *("error", "outcome", "task_name"),
        *("site_code", "site_instruction"),
    )

    function: Function
    origin: Any
    """What has the `trace_id` and `trace_state`: a `Tree`, or the `SpanContext` of the user's span above."""
    parent_id: Any
    """None, the id of a span of the same trace, or the `SpanContext` of the user's span."""
    span_id: int
    flags: int
    start_ns: int
    """By the monotonic clock."""
    end_ns: int
    """0 until the task has ended."""
    task: weakref.ref[Any] | None
    outcome: str
    task_name: str | None
    error: tuple[str, str] | None
    """Type and message of what the task raised."""
    site_code: CodeType | None
    """Where the task was created: the code, and the offset of its instruction."""
    site_instruction: int
    cancellation: Any = None
    """The `observations.Cancellation` of the task, where that was seen and there is a span to tell it."""

    def reference(self) -> weakref.ref[Any] | None:
        """The weak reference to the task; None once it has ended, or before anybody knows it."""
        return getattr(self, "task", None)

    def alive(self) -> Any:
        """The task; None where it is no more."""
        reference = self.task
        return None if reference is None else reference()

    raised: Any = None
    """The facts of what the task raised, where its span is to tell them."""

    def note_raised(self, facts: Any) -> None:
        """What the task raised; kept where there is a span to tell it."""

    def note_wait(self, wait_ns: int) -> None:
        """How long the task waited for its first step; kept where there is a span to tell it."""

    def note_times(self, times: TaskTimes) -> None:
        """What the task's time goes into, counted on until its end; kept where there is a span to tell it."""

    def note_cancellation(self, cancellation: Any) -> None:
        """Who cancelled the task; kept where there is a span to tell it."""

    def conclude(
        self, now_ns: int, outcome: str, *, task_name: str | None, error: tuple[str, str] | None
    ) -> None:
        """Note how the task ended."""
        self.end_ns = now_ns
        self.outcome = outcome
        self.task_name = task_name
        self.error = error


class Birth:
    """The circumstances in which a task is created, where it is not simply a child in a task tree."""

    __slots__ = ("adopt", "context", "function", "in_callback", "otel", "parent", "site", "start_ns")

    def __init__(
        self,
        function: Function,
        start_ns: int,
        *,
        parent: AnyRecord | None = None,
        context: Context | None = None,
        in_callback: bool = False,
        adopt: Callable[[], Record | None] | None = None,
        site: tuple[CodeType, int] | None = None,
    ) -> None:
        self.function = function
        self.start_ns = start_ns
        self.parent = parent
        """The record of the task that creates this one, if it is known."""
        self.context = context
        """The context that the caller wants the task to run in."""
        self.in_callback = in_callback
        """The loop runs, but no task does."""
        self.adopt = adopt
        """Makes a record for the running task, if it has none."""
        self.site = site
        """Where: see `Record.site_code`."""
        self.otel: Any = None
        """OpenTelemetry's context in which the task will run; the rules find it."""


class Rules(Protocol):
    """Which trace a task belongs to: attributes for the hot path, calls for the rest."""

    bound: bool
    """Somebody has set up tracing."""
    inherited: bool
    """In a task tree children have the parent's flags, and nobody listens to spans as they start."""

    @property
    def span_class(self) -> type[Record]:
        """What the record of a task with a span is made of."""

    max_age_ns: int
    max_tasks: int
    span_id: Callable[[], int]
    current: Callable[[], Mapping[str, Any]]
    """OpenTelemetry's current context."""

    def begin_under(
        self, otel: Mapping[str, Any], function: Function, parent: AnyRecord | None, now_ns: int
    ) -> tuple[Record, Context, None] | tuple[None, None, Any] | None:
        """What `begin` gives in the commonest of its cases, sooner: a child of the span that is current.

        A record whose site is for the caller to fill in, and its context; or the origin alone where the task
        has no span. None for the other cases.
        """

    def begin_apart(self, function: Function, parent: AnyRecord, now_ns: int) -> Record | None:
        """What `begin` gives where a trace that is recorded has outgrown its limits, sooner.

        For a task without a current span; the record's site is for the caller to fill in. None where it is
        another case.
        """

    def begin(self, birth: Birth) -> tuple[Record, Context | None] | None:
        """A record, and the context that its task shall run in where that is not the one it would get.

        None where the task is none of our business.
        """


class Unrecorded(weakref.ref[Any]):
    """The record of a task without a span: it is the weak reference to the task itself.

    One object less for each task, for the allocator and for the garbage collector; it has what is
    asked of every record, and no more.
    """

    __slots__ = ("flags", "function", "origin", "start_ns")

    function: Function
    origin: Any
    flags: int
    start_ns: int

    def reference(self) -> weakref.ref[Any]:
        """The weak reference to the task."""
        return self

    def alive(self) -> Any:
        """The task; None where it is no more."""
        return self()

    def copy(self) -> Record:
        """The same as a record that is no reference to the task."""
        record = object.__new__(Record)
        record.function, record.origin = self.function, self.origin
        record.flags, record.start_ns = self.flags, self.start_ns
        return record


AnyRecord = Record | Unrecorded


def has_span(record: AnyRecord) -> TypeGuard[Record]:
    """Whether the task has a span, or may yet have one."""
    return isinstance(record, Record) and bool(record.flags & (RECORDED | DEFERRED))


def note_on(record: AnyRecord | None, name: str, attributes: Mapping[str, Any], *, time_ns: int) -> None:
    """Note this on the span of the task, where it has one, or may yet have one."""
    note = getattr(record, "note", None)
    if note is not None:
        note(name, attributes, time_ns=time_ns)


def created_by(record: Record) -> CodeType | None:
    """The code that created the task; None where that is the loop's own, which calls callbacks."""
    code = record.site_code
    return None if code is None or code.co_qualname == "Handle._run" else code


def line_of(code: CodeType, instruction: int) -> int:
    """The line of the instruction at this offset in bytes."""
    for start, stop, line in code.co_lines():
        if start <= instruction < stop and line is not None:
            return line
    return code.co_firstlineno
