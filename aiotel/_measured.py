"""Numbers that are measured in one place and told in another."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Attributes", "Example", "Handles", "Times"]

Attributes = tuple[tuple[str, str], ...]
"""Of a metric: pairs of a name and a value."""


class Example(NamedTuple):
    """A value that was measured, and the span that it belongs to: what OpenTelemetry calls an exemplar."""

    seconds: float
    time_ns: int
    """When it was measured, since the epoch."""
    trace_id: int
    span_id: int


class Times(NamedTuple):
    """What loops have done with their time: ran something, or waited for something to run."""

    active_ns: int
    idle_ns: int
    iterations: int


class Handles(NamedTuple):
    """How many callbacks wait: for their turn, for their time, and in vain, as they were cancelled."""

    ready: int = 0
    scheduled: int = 0
    cancelled: int = 0
