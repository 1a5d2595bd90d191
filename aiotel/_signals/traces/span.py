"""The record of a task as an OpenTelemetry span, filled in when somebody looks.

A `TaskSpan` is a span of the SDK's own class whose state is built on demand: most are only ever read
once, by an exporter, and to build what the SDK keeps in a span costs ten times what the record does.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from .lazy import Shell, make_lazy
from .source import Source
from .told import Told

__all__ = ["NO_STATE", "TaskSpan", "span_class_for"]

NO_STATE: Final = TraceState()
_log = logging.getLogger(__name__)
# Re-entrant: a finalizer that runs while one span is being built may write to another.
_building = threading.RLock()


def _after_fork() -> None:
    global _building  # noqa: PLW0603  # the thread that held it is not in this process
    _building = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class TaskSpan(Told, Span):
    """The span of a task. `source` is set on the subclass that `span_class_for` makes for one tracer."""

    __slots__ = ()

    # The SDK's own state, once it is built.
    _attributes: Any
    _events: Any
    _links: Any

    source: Source
    begun_with: Mapping[str, Any] | None = None
    """The attributes that the sampler gave back, where it was asked and changed them."""
    state: TraceState | None = None
    """The trace state that the sampler gave back, where it was asked."""
    complete = False
    """The SDK's state has what is known at the end."""

    # Written by us.

    def note(self, name: str, attributes: Mapping[str, Any], *, time_ns: int) -> None:
        """See `Told.note`."""
        with _building:
            super().note(name, attributes, time_ns=time_ns)
            if self.touched:
                self._events.append(self.notes[-1])

    def hand_on(self) -> None:
        """Give the span to its provider's processors, as `end` does with any other."""
        self.finish()
        for processor in self.source.enders:
            processor._on_ending(self)
        self.source.processor.on_end(self.frozen())

    def finish(self) -> None:
        """Make the span what processors get at its end."""
        if self.source.exact or self.touched:
            self._build()
            with self._lock:
                if not self.complete:
                    self._complete(self)

    def frozen(self) -> ReadableSpan:
        """The span as it is kept once it has ended: the SDK's copy where the SDK's state was built."""
        return self._readable_span() if self.touched else self

    # Read by anybody, without building anything.

    @property
    def touched(self) -> bool:
        """Somebody has written, or asked for more than is here: the SDK's own state is the truth."""
        return "_attributes" in self.__dict__

    @property
    def name(self) -> str:
        """The function's qualified name, unless somebody has changed it."""
        return self._name if self.touched else self.function.qualname

    @property
    def kind(self) -> SpanKind:
        """Internal, unless somebody has changed it."""
        return self._kind if self.touched else SpanKind.INTERNAL

    @property
    def context(self) -> SpanContext:
        """The identity of the span."""
        return self.get_span_context()

    def get_span_context(self) -> SpanContext:
        """The identity of the span."""
        known = self.__dict__.get("_context")
        if known is None:
            known = self.__dict__["_context"] = self._identity(self.span_id, self.state)
        return known

    @property
    def parent(self) -> SpanContext | None:
        """The identity of the span's parent."""
        if self.touched:
            return self._parent
        parent = self.parent_id
        return self._identity(parent) if isinstance(parent, int) else parent

    @property
    def start_time(self) -> int | None:
        """When the task was created, in ns since the epoch."""
        return self._start_time if self.touched else self.source.clock.wall_ns(self.start_ns)

    @property
    def end_time(self) -> int | None:
        """When the task ended, in ns since the epoch."""
        return self._end_time

    @property
    def status(self) -> Status:
        """ERROR where the task raised: cancellation is an outcome, not an error."""
        return self._status if self.touched else self.outcome_status()

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What is known of the task."""
        if self.touched or self.source.exact:
            return MappingProxyType(self._attributes)
        return MappingProxyType({**self._start_attributes(), **self.end_attributes()})

    @property
    def events(self) -> Sequence[Event]:
        """What was noted, and what the user added."""
        return tuple(self._events) if self.touched else self.notes

    @property
    def links(self) -> Sequence[Link]:
        """The span that the task would have been a child of, where it has a trace of its own."""
        return tuple(self._links) if self.touched else self.own_links()

    @property
    def resource(self) -> Resource:
        """Who the telemetry is about."""
        return self._resource if self.touched else self.source.resource

    @property
    def instrumentation_scope(self) -> InstrumentationScope | None:
        """Ours."""
        return self._instrumentation_scope if self.touched else self.source.scope

    def is_recording(self) -> bool:
        """Until the task has ended, or the user has ended the span."""
        return self._end_time is None

    @property
    def dropped_attributes(self) -> int:
        """How many attributes the limits left out."""
        return self._attributes.dropped if self.touched else 0

    @property
    def dropped_events(self) -> int:
        """How many events the limits left out."""
        return self._events.dropped if self.touched else 0

    @property
    def dropped_links(self) -> int:
        """How many links the limits left out."""
        return self._links.dropped if self.touched else 0

    def end(self, end_time: int | None = None) -> None:
        """End the span for its user, who may (`task_span_writes="task"`); the task lives on."""
        with self._lock:
            if self._end_time is None:
                self._end_time = self.source.clock.now_ns() if end_time is None else end_time
                return
        _log.warning("Calling end() on an ended span.")

    def _build(self) -> None:
        """Make this a complete span of the SDK's, by the SDK's own constructor."""
        with _building:
            if self.touched:
                return
            source = self.source
            shell: Any = object.__new__(Shell)
            Span.__init__(
                shell,
                name=self.function.qualname,
                context=self.get_span_context(),
                parent=self.parent,
                sampler=source.sampler,
                resource=source.resource,
                attributes=self._start_attributes(),
                events=self.notes,
                links=self.own_links(),
                kind=SpanKind.INTERNAL,
                span_processor=source.processor,
                instrumentation_info=source.info,
                limits=source.limits,
                instrumentation_scope=source.scope,
            )
            shell._start_time = self.start_time
            if self.end_ns:
                self._complete(shell)
            self.__dict__.update(shell.__dict__)

    def _complete(self, state: Any) -> None:
        """Add what is known at the end. Once: what limits leave out is counted each time."""
        state.complete = True
        state._attributes.update(self.end_attributes())
        if state._status.status_code is StatusCode.UNSET:
            state._status = self.outcome_status()

    def _identity(self, span_id: int, state: TraceState | None = None) -> SpanContext:
        origin = self.origin
        if state is None:
            state = origin.trace_state or NO_STATE
        return SpanContext(origin.trace_id, span_id, False, TraceFlags(self.flags & 0xFF), state)

    @property
    def _end_time(self) -> int | None:
        # Whatever the SDK's methods do, they ask this first: the end of the task is the end of the span.
        known: int | None = self.__dict__.get("_end_time")
        start = self.start_time
        if known is None and self.end_ns and start is not None:
            return start + self.end_ns - self.start_ns
        return known

    @_end_time.setter
    def _end_time(self, time_ns: int | None) -> None:
        self._build()
        self.__dict__["_end_time"] = time_ns

    def _start_attributes(self) -> dict[str, Any]:
        if self.begun_with is not None:
            return dict(self.begun_with)
        return self.creation_attributes()


make_lazy(TaskSpan)


def span_class_for(source: Source) -> type[TaskSpan]:
    """A class of spans of this source: what they share costs a span nothing."""
    return type("TaskSpan", (TaskSpan,), {"__slots__": (), "source": source, "__module__": __name__})
