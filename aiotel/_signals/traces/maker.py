"""What the rules ask of whoever makes the spans: one of `sdk` and `foreign`."""

from __future__ import annotations

from typing import Protocol

from opentelemetry.trace import SpanContext

from ..._record import AnyRecord, Birth, Record
from .told import Told

__all__ = ["Maker"]


class Maker(Protocol):
    """Makes the records of tasks that may have spans, by one tracer. `Birth.otel` is where they will run."""

    inherited: bool
    """See `Rules.inherited`."""

    def decide(self, record: Told) -> None:
        """Settle whether the first task of a trace, of class `Undecided`, has a span."""

    def child(self, birth: Birth, parent: AnyRecord) -> Record:
        """A task in the trace of the task that creates it; that is decided."""

    def under(self, birth: Birth, above: SpanContext, parent: Told | None) -> Record:
        """A task under the user's span `above`; or under the span of a task that is under one itself."""

    def apart(self, birth: Birth, parent: AnyRecord | None, above: SpanContext | None, reason: str) -> Record:
        """A task in a trace of its own, linked to the span `above`, or to that of the task `parent`."""
