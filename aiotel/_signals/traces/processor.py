"""Sit among the provider's span processors: see root spans start, and lose nothing when it flushes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from .. import names

__all__ = ["OurProcessor", "add_first", "remove", "sdk_behind"]


class OurProcessor(SpanProcessor):
    """Inert once `release` was called: a provider has no way to give a processor back."""

    def __init__(
        self,
        running: Callable[[], tuple[Any, str] | None],
        drain: Callable[[float], bool],
        carriers: set[str],
    ) -> None:
        self._running: Callable[[], tuple[Any, str] | None] | None = running
        self._drain: Callable[[float], bool] | None = drain
        self._carriers = carriers

    def release(self) -> None:
        """Let go of the session."""
        self._running = self._drain = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """A root span of the user's inside a task that a bare callback made: the task only carries it."""
        running = self._running
        if running is None or (span.parent is not None and not span.parent.is_remote):
            return
        scope = span.instrumentation_scope
        if scope is not None and scope.name == names.SCOPE:
            return
        found = running()
        if found is not None:
            record, task_name = found
            record.carrier = True
            self._carriers.add(record.function.name)
            span.set_attribute(names.TASK_NAME, task_name)

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing: tasks' ends come from the pump."""

    def shutdown(self) -> None:
        """Hand on what has ended, while the processors behind this one still take it."""
        self.force_flush()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand on what has ended to the processors behind this one, which are flushed next."""
        drain = self._drain
        return True if drain is None else drain(timeout_millis / 1000)


def sdk_behind(provider: Any) -> TracerProvider | None:
    """The SDK's provider: this one, or the one that it keeps and stands in front of."""
    for candidate in (provider, *getattr(provider, "__dict__", {}).values()):
        if isinstance(candidate, TracerProvider):
            return candidate
    return None


def add_first(provider: Any, processor: SpanProcessor) -> None:
    """Add the processor in front of the others, so that it is flushed and shut down before them."""
    provider.add_span_processor(processor)
    multi = provider._active_span_processor
    processors = getattr(multi, "_span_processors", None)
    lock = getattr(multi, "_lock", None)
    if isinstance(processors, tuple) and lock is not None:
        with lock:
            others = tuple(each for each in multi._span_processors if each is not processor)
            multi._span_processors = (processor, *others)


def remove(provider: Any, processor: SpanProcessor) -> None:
    """Take the processor out again, where the provider's insides are as we know them."""
    multi: Any = getattr(provider, "_active_span_processor", None)
    lock = getattr(multi, "_lock", None)
    if lock is not None and isinstance(getattr(multi, "_span_processors", None), tuple):
        with lock:
            multi._span_processors = tuple(each for each in multi._span_processors if each is not processor)
