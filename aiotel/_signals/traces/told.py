"""What a span tells of a task, whoever's span it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, format_span_id, format_trace_id

from ..._record import CANCELLED, RAISED, Birth, Record, created_by, line_of
from ..._times import TaskTimes
from ...observations import Cancellation
from .. import names

__all__ = ["UNSET", "Told", "Undecided", "fill", "unrecorded"]

UNSET: Final = Status(StatusCode.UNSET)


class Told(Record):
    """The record of a task that has a span, or may yet have one."""

    __slots__ = ()

    # Of most tasks nothing of this is set, and costs nothing.
    wait_ns: int | None = None
    times: TaskTimes | None = None
    reason: str | None = None
    """Why the task has a trace of its own, where it was given one."""
    link: SpanContext | None = None
    """The span that the task would have been a child of."""
    hidden = False
    """The task is under a user's span, but its caller gave it a context in which its own is not current."""
    born_in: Context = Context()
    """OpenTelemetry's context in which the task was created, until it is decided whether it has a span."""
    notes: tuple[Event, ...] = ()

    def note_raised(self, facts: Any) -> None:
        """What the task raised."""
        self.raised = facts

    def note_wait(self, wait_ns: int) -> None:
        """How long the task waited for its first step."""
        self.wait_ns = wait_ns

    def note_times(self, times: TaskTimes) -> None:
        """What the task's time goes into."""
        self.times = times

    def note_cancellation(self, cancellation: Any) -> None:
        """Who cancelled the task; told where it ends so."""
        self.cancellation = cancellation

    def note(self, name: str, attributes: Mapping[str, Any], *, time_ns: int) -> None:
        """Add an event that a watcher or a detector has seen; from any thread, until the span is handed on.

        `time_ns` is in ns since the epoch.
        """
        self.notes = (*self.notes, Event(name, attributes, time_ns))

    def hand_on(self) -> None:
        """End the span, as those who process the provider's spans see it. Off the loop."""

    def creation_attributes(self) -> dict[str, Any]:
        """What is known when the task is created."""
        function = self.function
        attributes: dict[str, Any] = {names.CODE_FUNCTION_NAME: function.name}
        if function.code is not None:
            attributes[names.CODE_FILE_PATH] = function.code.co_filename
            attributes[names.CODE_LINE_NUMBER] = function.code.co_firstlineno
        site = created_by(self)
        if site is not None:
            attributes[names.TASK_CREATED_FUNCTION] = site.co_qualname
            attributes[names.TASK_CREATED_FILE] = site.co_filename
            attributes[names.TASK_CREATED_LINE] = line_of(site, self.site_instruction)
        if self.reason is not None:
            attributes[names.TASK_DETACHED_REASON] = self.reason
        if self.link is not None:
            attributes[names.TASK_PARENT_TRACE_ID] = format_trace_id(self.link.trace_id)
            attributes[names.TASK_PARENT_SPAN_ID] = format_span_id(self.link.span_id)
        return attributes

    def end_attributes(self) -> dict[str, Any]:
        """What is known since the task has started, or has ended."""
        attributes: dict[str, Any] = {}
        if self.end_ns:
            if self.task_name is not None:
                attributes[names.TASK_NAME] = self.task_name
            attributes[names.TASK_OUTCOME] = self.outcome
            if self.error is not None:
                attributes[names.ERROR_TYPE] = self.error[0]
            if self.cancellation is not None and self.outcome == CANCELLED:
                attributes.update(_attributes_of(self.cancellation))
            if self.times is not None:
                attributes.update(_times_of(self.times, self.end_ns - self.start_ns))
        if self.wait_ns is not None:
            attributes[names.TASK_SCHEDULE_DURATION] = self.wait_ns / 1e9
        return attributes

    def outcome_status(self) -> Status:
        """ERROR where the task raised: cancellation is an outcome, not an error."""
        if not self.end_ns or self.outcome != RAISED:
            return UNSET
        kind, message = self.error or ("", "")
        return Status(StatusCode.ERROR, f"{kind}: {message}" if message else kind)

    def own_links(self) -> tuple[Link, ...]:
        """The span that the task would have been a child of."""
        return () if self.link is None else (Link(self.link),)


class Undecided(Told):
    """A task about which nothing is decided: it gets a span by getting another class."""


def _attributes_of(cancellation: Cancellation) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        names.TASK_CANCELLED_BY: cancellation.by,
        names.TASK_CANCELLED_REASON: cancellation.reason,
    }
    if cancellation.message is not None:
        attributes[names.TASK_CANCELLED_MESSAGE] = cancellation.message
    if cancellation.origin is not None:
        attributes[names.TASK_CANCELLED_ORIGIN] = cancellation.origin
    if cancellation.at is not None:
        attributes[names.TASK_CANCELLED_FUNCTION] = cancellation.at.function
        attributes[names.TASK_CANCELLED_FILE] = cancellation.at.file
        attributes[names.TASK_CANCELLED_LINE] = cancellation.at.line
    return attributes


def _times_of(times: TaskTimes, lifetime_ns: int) -> dict[str, Any]:
    return {
        names.TASK_RUN_DURATION: times.run_ns / 1e9,
        names.TASK_SCHEDULED_DURATION: times.scheduled_ns / 1e9,
        names.TASK_WAITING_DURATION: times.waiting_ns(lifetime_ns) / 1e9,
        names.TASK_STEPS: times.steps,
        names.TASK_STEP_LONGEST: times.longest_ns / 1e9,
    }


def fill(record: Record, birth: Birth, origin: Any) -> None:
    """Set what a record has from its task's birth."""
    record.function = birth.function
    record.origin = origin
    record.start_ns = birth.start_ns
    record.end_ns = 0
    record.site_code, record.site_instruction = birth.site or (None, 0)


def unrecorded(of: Birth | Record, origin: Any, flags: int) -> Record:
    """The record of a task without a span: it costs less."""
    record = object.__new__(Record)
    record.function = of.function
    record.origin = origin
    record.flags = flags
    record.start_ns = of.start_ns
    return record
