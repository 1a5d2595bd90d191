"""Find the program's tracer provider, whenever it comes, and hand it the spans of tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanProcessor, Tracer
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from ..._clock import Clock
from ..._complaints import complaints
from ..._record import DEFERRED, RECORDED, Record
from .. import names
from .arrival import on_arrival
from .foreign import ForeignSpans
from .ids import Ids
from .maker import Maker
from .processor import OurProcessor, add_first, remove, sdk_behind
from .rules import TaskRules
from .sdk import SdkSpans
from .source import Source
from .span import TaskSpan
from .told import Told

__all__ = ["Traces"]

SLICE: Final = 128
"""How many spans are handed on before the GIL is let go."""


class Traces:
    """The spans of tasks: where they come from (`rules`) and where they go (`end`)."""

    def __init__(
        self,
        *,
        provider: Any = None,
        clock: Clock,
        version: str,
        running: Callable[[], tuple[Any, str] | None],
        drain: Callable[[float], bool],
        on_bound: Callable[[], None],
        max_age_ns: int,
        max_tasks: int,
        writes: str,
    ) -> None:
        self._given = None if isinstance(provider, trace.ProxyTracerProvider) else provider
        self._clock = clock
        self._version = version
        self._running = running
        self._drain = drain
        self._on_bound = on_bound
        # Held while binding: by the pump or by a loop, whichever comes first; the other does not wait.
        self._binding = threading.Lock()
        self._provider: Any = None
        self._sdk: Any = None
        """The SDK's provider behind, where that is another one."""
        self._tracer: Any = None
        self._wanted = False
        self._processor: OurProcessor | None = None
        self._known: tuple[SpanProcessor, ...] = ()
        self._listeners: tuple[SpanProcessor, ...] = ()
        self.rules = TaskRules(max_age_ns=max_age_ns, max_tasks=max_tasks, writes=writes, look=self.look)
        self._forget = on_arrival(self.look)

    def look(self) -> None:
        """Bind to the provider that is there now; again where that is another one, or has changed."""
        if not self._binding.acquire(blocking=False):
            return
        try:
            provider = _global_provider() if self._given is None else self._given
            if provider is not self._provider:
                self._bind(provider)
            elif self._processors() is not self._known or self._enabled() is not self._wanted:
                self._rebind()
        finally:
            self._binding.release()

    def end(self, records: Iterable[Record]) -> None:
        """Hand finished records to the span processors. The pump's thread, or whoever flushes."""
        for number, record in enumerate(records, 1):
            try:
                self._end(record)
            except Exception as error:  # noqa: BLE001  # a processor's: the next span is not to blame
                complaints.add("span processor", f"a span processor failed on the span of a task: {error!r}")
            if not number % SLICE:
                time.sleep(0)

    def decide(self, record: Record) -> None:
        """Settle whether the task has a span, if it has ended: what is told of it is to have its ids."""
        undecided = isinstance(record, Told) and record.flags & DEFERRED and record.end_ns
        if undecided and record.function.name not in self.rules.carriers:
            self._decide_late(record)  # type: ignore[arg-type]  # seen above

    def room(self, most: int) -> int:
        """How many spans can be handed on now without a batch processor dropping some."""
        for processor in self._known:
            batch = getattr(processor, "_batch_processor", None)
            queue, size = getattr(batch, "_queue", None), getattr(batch, "_max_queue_size", None)
            if queue is not None and isinstance(size, int):
                most = min(most, size - len(queue))
        return max(0, most)

    def make_room(self) -> None:
        """Have the processors behind ours export what they hold."""
        for processor in self._known:
            if processor is not self._processor:
                processor.force_flush()

    def forget(self) -> None:
        """In a child process: the thread that was looking is not there."""
        self._binding = threading.Lock()

    def close(self) -> None:
        """Leave the provider as it was found."""
        self._forget()
        with self._binding:
            self._leave()
            self.rules.unbind()

    def _end(self, record: Record) -> None:
        if not isinstance(record, Told):
            return
        if record.flags & DEFERRED:
            if record.function.name in self.rules.carriers:
                return
            self._decide_late(record)
        if record.flags & RECORDED:
            if isinstance(record, TaskSpan):
                # What has ended goes to the provider that is there now, in place of the one it began with.
                record.__class__ = self.rules.span_class
            record.hand_on()

    def _decide_late(self, record: Told) -> None:
        # Who listens to spans as they start may write to this one, as to any.
        end_ns, record.end_ns = record.end_ns, 0
        self.rules.decide(record)
        record.end_ns = end_ns

    def _bind(self, provider: Any) -> None:
        self._leave()
        self._provider = provider
        if provider is None:
            self.rules.unbind()
            return
        try:
            self._tracer = provider.get_tracer(names.SCOPE, self._version, schema_url=names.SCHEMA_URL)
            self._join(sdk_behind(provider))
        except Exception as error:  # noqa: BLE001  # a stranger's: neither the program nor we are to blame
            complaints.add(
                "tracer provider", f"the tracer provider failed, so tasks have no spans: {error!r}"
            )
            self._tracer = None
        self._rebind()
        self._on_bound()

    def _join(self, sdk: Any) -> None:
        if sdk is not None:
            processor = OurProcessor(self._running, self._drain, self.rules.carriers)
            add_first(sdk, processor, changed=self.look)
            self._sdk, self._processor = sdk, processor

    def _leave(self) -> None:
        if self._processor is not None:
            self._processor.release()
            remove(self._sdk, self._processor)
        self._provider = self._sdk = self._tracer = self._processor = None
        self._known = self._listeners = ()

    def _rebind(self) -> None:
        """Take note of the processors: which listen to spans as they start, which as they end."""
        self._known = self._processors()
        self._wanted = self._enabled()
        others = [each for each in self._known if each is not self._processor]
        self._listeners = tuple(each for each in others if _overrides(each, "on_start"))
        enders = tuple(each for each in others if _overrides(each, "_on_ending"))
        self.rules.bind(self._maker(enders) if self._wanted else None)

    def _maker(self, enders: tuple[SpanProcessor, ...]) -> Maker:
        if not _plain(self._tracer):
            return ForeignSpans(self._tracer, self._clock)
        ids = Ids(getattr(self._tracer, "id_generator", None))
        source = Source(self._tracer, self._clock, enders=enders)
        return SdkSpans(source, ids, announce=self._announce if self._listeners else None)

    def _enabled(self) -> bool:
        """Whether the provider wants spans of our scope: its configurator may say no, and say so later."""
        if self._tracer is None or isinstance(self._tracer, trace.NoOpTracer):
            return False
        is_enabled = getattr(self._tracer, "_is_enabled", None)
        return is_enabled is None or not _plain(self._tracer) or bool(is_enabled())

    def _processors(self) -> tuple[SpanProcessor, ...]:
        multi = getattr(self._sdk, "_active_span_processor", None)
        found = getattr(multi, "_span_processors", ())
        return found if isinstance(found, tuple) else ()

    def _announce(self, span: TaskSpan, otel: Context) -> None:
        for processor in self._listeners:
            try:
                processor.on_start(span, otel)
            except Exception as error:  # noqa: BLE001  # a processor's: the program is not to blame
                complaints.add("span processor", f"a span processor failed on the span of a task: {error!r}")


def _plain(tracer: Any) -> bool:
    """Whether this is a tracer of the SDK's that starts spans as the SDK does."""
    return isinstance(tracer, Tracer) and type(tracer).start_span is Tracer.start_span


def _overrides(processor: SpanProcessor, method: str) -> bool:
    """Whether the processor does something of its own here. The SDK's own exporting ones do not."""
    if isinstance(processor, BatchSpanProcessor | SimpleSpanProcessor):
        kind: type = BatchSpanProcessor if isinstance(processor, BatchSpanProcessor) else SimpleSpanProcessor
        return getattr(type(processor), method, None) is not getattr(kind, method, None)
    return getattr(type(processor), method, None) is not getattr(SpanProcessor, method, None)


def _global_provider() -> Any:
    """The global provider, or None while nobody has set one."""
    # The public function makes a provider from the environment where there is none, and takes 1 µs.
    provider = getattr(trace, "_TRACER_PROVIDER", None)
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider
