"""Make the spans of tasks by a tracer that is not the SDK's: all that is known of it is the API."""

from __future__ import annotations

from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, SpanContext, Tracer, set_span_in_context

from ..._clock import Clock
from ..._complaints import complaints
from ..._record import ASKING, DEFERRED, FOREIGN, RECORDED, AnyRecord, Birth, Record, Tree
from .contexts import without_span
from .delegating import DelegatingSpan
from .told import UNSET, Told, fill

__all__ = ["ForeignSpan", "ForeignSpans"]


class ForeignSpan(Told, DelegatingSpan):
    """The record of a task, with the span that the tracer has made for it."""

    __slots__ = ()

    span: Any = INVALID_SPAN
    begun_at = 0
    """In ns since the epoch; the end is told from here, whatever has been done to the clock since."""

    def _target(self) -> Any:
        return self.span

    def hand_on(self) -> None:
        """End the span, unless its user has (`task_span_writes="task"`)."""
        span = self.span
        if not span.is_recording():
            return
        span.set_attributes(self.end_attributes())
        for event in self.notes:
            span.add_event(event.name, event.attributes, event.timestamp)
        status = self.outcome_status()
        if status is not UNSET:
            span.set_status(status)
        span.end(end_time=self.begun_at + self.end_ns - self.start_ns)


class ForeignSpans:
    """Spans of one tracer, which is asked about every task: who knows what it does with them."""

    inherited = False
    quick = False

    def __init__(self, tracer: Tracer, clock: Clock) -> None:
        self._tracer = tracer
        self._clock = clock

    def decide(self, record: Told) -> None:
        """Start the span of the first task of a trace."""
        record.__class__ = ForeignSpan
        self._start(record, record.born_in)

    def child(self, birth: Birth, parent: AnyRecord) -> Record:
        """A task in the trace of the task that creates it; in one of its own where that has no span."""
        if not isinstance(parent, ForeignSpan):
            tree = Tree(birth.function, birth.start_ns)
            return self._start(self._new(birth, tree), birth.otel)
        record = self._new(birth, parent.origin)
        return self._start(record, set_span_in_context(parent.span, birth.otel), parent.flags & FOREIGN)

    def under(self, birth: Birth, above: SpanContext, parent: Told | None) -> Record:
        """A task under the user's span `above`; or under the span of a task that is under one itself."""
        record = self._new(birth, above)
        otel = birth.otel
        if isinstance(parent, ForeignSpan):
            # The tracer's own span: it may know more of that than the API does.
            otel = set_span_in_context(parent.span, otel)
        return self._start(record, otel, FOREIGN)

    def apart(self, birth: Birth, parent: AnyRecord | None, above: SpanContext | None, reason: str) -> Record:
        """A task in a trace of its own, linked to where it would have belonged."""
        tree = Tree(birth.function, birth.start_ns)
        record = self._new(birth, tree)
        record.reason = reason
        record.link = above
        if above is None and isinstance(parent, ForeignSpan):
            record.link = parent.get_span_context()
        return self._start(record, without_span(birth.otel))

    @staticmethod
    def _new(birth: Birth, origin: Any) -> ForeignSpan:
        record = object.__new__(ForeignSpan)
        fill(record, birth, origin)
        return record

    def _start(self, record: Any, otel: Context, kept: int = 0) -> Record:
        record.begun_at = self._clock.wall_ns(record.start_ns)
        try:
            record.span = self._tracer.start_span(
                record.function.qualname,
                context=otel,
                attributes=record.creation_attributes(),
                links=record.own_links(),
                start_time=record.begun_at,
            )
        except Exception as error:  # noqa: BLE001  # a stranger's: neither the program nor we are to blame
            complaints.add("tracer", f"the tracer failed, so a task has no span: {error!r}")
        identity = record.span.get_span_context()
        flags = RECORDED | identity.trace_flags if record.span.is_recording() else ASKING
        record.parent_id, record.span_id, record.flags = None, identity.span_id, flags | kept
        tree = record.origin
        if isinstance(tree, Tree) and tree.flags & DEFERRED:
            tree.trace_id, tree.root_id, tree.flags = identity.trace_id, identity.span_id, flags
        return record  # type: ignore[no-any-return]  # a ForeignSpan by now
