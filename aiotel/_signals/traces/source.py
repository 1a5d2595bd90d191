"""What all spans of one tracer have in common."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, Tracer
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from ..._clock import Clock

__all__ = ["Source"]


class Source:
    """A tracer of the SDK's, read once; the resource anew each time, for it changes after a fork."""

    __slots__ = ("_tracer", "clock", "enders", "exact", "info", "limits", "processor", "sampler", "scope")

    def __init__(self, tracer: Tracer, clock: Clock, *, enders: tuple[SpanProcessor, ...] = ()) -> None:
        self._tracer = tracer
        self.clock = clock
        self.enders = enders
        """Those of the provider's processors that want to see a span just before it ends."""
        self.sampler = tracer.sampler
        self.processor: SpanProcessor = tracer.span_processor
        self.info: Any = tracer.instrumentation_info
        self.scope: InstrumentationScope = tracer._instrumentation_scope
        self.limits: SpanLimits = tracer._span_limits
        self.exact = _bind(self.limits)
        """The limits are such that even the little we have to say must go through the SDK's containers."""

    @property
    def resource(self) -> Resource:
        """Who the telemetry is about."""
        return self._tracer.resource


def _bind(limits: SpanLimits) -> bool:
    few = (limits.max_span_attributes, limits.max_events, limits.max_links)
    return limits.max_span_attribute_length is not None or any(most is not None and most < 32 for most in few)
