"""Sit among the provider's span processors: see root spans start, and lose nothing when it flushes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import (
    ReadableSpan,
    Span,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)

from ..._faults import faults
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
        self.in_front: dict[str, Any] = {}
        """What stands in front of methods of the provider's processor, by their names."""
        self.beside = False
        """The provider runs its processors side by side, on threads of theirs: in ours it is too late to
        hand anything on, and no task runs."""

    def release(self) -> None:
        """Let go of the session."""
        self._running = self._drain = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """See the span, on the thread that starts it."""
        if not self.beside:
            self.see(span)

    def see(self, span: Span) -> None:
        """A root span of the user's inside a task that a bare callback made: the task only carries it."""
        running = self._running
        if running is None or (span.parent is not None and not span.parent.is_remote):
            return
        scope = span.instrumentation_scope
        if scope is not None and scope.name == names.SCOPE:
            return
        try:
            found = running()
        except Exception as error:  # noqa: BLE001  # ours: it must not end in a user's `start_span`
            faults.add(error)
            return
        if found is not None:
            record, task_name = found
            self._carriers.add(record.function.name)
            # What the task does is told with these, until it turns out to have a span of its own.
            identity = span.get_span_context()
            record.origin.trace_id, record.origin.root_id = identity.trace_id, identity.span_id
            span.set_attribute(names.TASK_NAME, task_name)

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing: tasks' ends come from the pump."""

    def shutdown(self) -> None:
        """Hand on what has ended, while the processors behind this one still take it."""
        self.force_flush()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand on what has ended to the processors behind this one, which are flushed next."""
        return True if self.beside else self.hand_on(timeout_millis)

    def hand_on(self, timeout_millis: int = 30_000) -> bool:
        """Hand on what has ended."""
        drain = self._drain
        try:
            return True if drain is None else drain(timeout_millis / 1000)
        except Exception as error:  # noqa: BLE001  # ours: the processors behind are to be flushed all the same
            faults.add(error)
            return False


def sdk_behind(provider: Any) -> TracerProvider | None:
    """The SDK's provider: this one, or the one that it keeps and stands in front of."""
    for candidate in (provider, *getattr(provider, "__dict__", {}).values()):
        if isinstance(candidate, TracerProvider):
            return candidate
    return None


def add_first(provider: Any, processor: OurProcessor, *, changed: Callable[[], None]) -> None:
    """Add the processor in front of the others, so that it is flushed and shut down before them.

    Calls `changed` when more are added: who listens to spans as they start must not miss one.
    """
    provider.add_span_processor(processor)
    multi = provider._active_span_processor
    lock = _lock_of(multi)
    if lock is None:
        return
    with lock:
        multi._span_processors = (processor, *_others(multi, processor))
    add = multi.add_span_processor

    def add_and_tell(span_processor: SpanProcessor) -> None:
        add(span_processor)
        changed()

    _put_in_front(multi, processor, "add_span_processor", add_and_tell)
    if not isinstance(multi, SynchronousMultiSpanProcessor):
        processor.beside = True
        for name in ("force_flush", "shutdown"):
            _put_in_front(multi, processor, name, _handing_on(processor, getattr(multi, name)))
        _put_in_front(multi, processor, "on_start", _seeing(processor, multi.on_start))


def _handing_on(processor: OurProcessor, method: Callable[..., Any]) -> Callable[..., Any]:
    def hand_on_first(*timeout_millis: int) -> Any:
        processor.hand_on(*timeout_millis)
        return method(*timeout_millis)

    return hand_on_first


def _seeing(processor: OurProcessor, on_start: Callable[..., None]) -> Callable[..., None]:
    def see_first(span: Span, parent_context: Context | None = None) -> None:
        processor.see(span)
        on_start(span, parent_context=parent_context)

    return see_first


def _put_in_front(multi: Any, processor: OurProcessor, name: str, ours: Callable[..., Any]) -> None:
    processor.in_front[name] = ours
    setattr(multi, name, ours)


def remove(provider: Any, processor: OurProcessor) -> None:
    """Take the processor out again, where the provider's insides are as we know them."""
    multi: Any = getattr(provider, "_active_span_processor", None)
    lock = _lock_of(multi)
    if lock is not None:
        with lock:
            multi._span_processors = _others(multi, processor)
        for name, ours in processor.in_front.items():
            if vars(multi).get(name) is ours:
                delattr(multi, name)


def _lock_of(multi: Any) -> Any:
    known = isinstance(getattr(multi, "_span_processors", None), tuple)
    return getattr(multi, "_lock", None) if known else None


def _others(multi: Any, processor: SpanProcessor) -> tuple[SpanProcessor, ...]:
    return tuple(each for each in multi._span_processors if each is not processor)
