"""Where the spans of a candidate go, and how many arrived there."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from .sink import Sink

__all__ = ["Counted", "Exported", "Spans", "Unsampled"]


class Spans:
    """A tracer provider, and what is known of the spans it made."""

    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider

    def flush(self) -> None:
        """Have everything arrive that has ended."""
        self.provider.force_flush()

    def close(self) -> None:
        """Shut the provider down."""
        self.provider.shutdown()

    def arrived(self, sent: int) -> tuple[int, int]:
        """How many arrived, and how many should have where so many were made."""
        raise NotImplementedError


class _Counter(SpanProcessor):
    """The cheapest processor there is that still knows how many spans it got."""

    def __init__(self) -> None:
        self.count = 0

    def on_end(self, span: ReadableSpan) -> None:
        self.count += 1


class Counted(Spans):
    """Spans go to a processor that counts them."""

    def __init__(self) -> None:
        super().__init__(TracerProvider(shutdown_on_exit=False))
        self._counter = _Counter()
        self.provider.add_span_processor(self._counter)

    def arrived(self, sent: int) -> tuple[int, int]:
        """All of them."""
        return self._counter.count, sent


class Unsampled(Spans):
    """No root is sampled, and so nothing is."""

    def __init__(self) -> None:
        super().__init__(TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False))
        self._counter = _Counter()
        self.provider.add_span_processor(self._counter)

    def arrived(self, sent: int) -> tuple[int, int]:
        """None of them."""
        return self._counter.count, 0


class Exported(Spans):
    """Spans go through the SDK's batch processor and OTLP exporter, over HTTP, to a receiver."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(TracerProvider(shutdown_on_exit=False))
        self._sink = sink
        self._before = sink.spans()
        exporter = OTLPSpanExporter(endpoint=f"{sink.endpoint}/v1/traces")
        self.provider.add_span_processor(BatchSpanProcessor(exporter))

    def arrived(self, sent: int) -> tuple[int, int]:
        """All of them, over the wire."""
        return self._sink.spans() - self._before, sent
