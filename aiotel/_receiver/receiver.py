"""A server and its store in one, with ways to wait for what tests expect."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Self, TypeVar

from . import trees
from .server import Server
from .store import DEFAULT_LIMIT, Counts, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from .received import ReceivedLog, ReceivedMetricPoint, ReceivedRequest, ReceivedSpan

_Item = TypeVar("_Item")

_NAMES_SHOWN = 10


def _any(_: object) -> bool:
    return True


class Receiver:
    """Receives OTLP/HTTP on a local port while the `with` block lasts, and keeps what came.

    Any sender will do: set its endpoint to `endpoint`. What a sender's flush has delivered is here when that
    flush returns; to wait for what comes by itself, there are the `wait_for_…` methods. Port 0 is any free
    one; of each signal the last `limit` items are kept, and `counts` tells of those let go.

    >>> from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    >>> with Receiver() as receiver:
    ...     provider = TracerProvider()
    ...     exporter = OTLPSpanExporter(endpoint=f"{receiver.endpoint}/v1/traces")
    ...     provider.add_span_processor(SimpleSpanProcessor(exporter))
    ...     tracer = provider.get_tracer("shop")
    ...     with tracer.start_as_current_span("serve"), tracer.start_as_current_span("pay"):
    ...         pass
    ...     [span.name for span in receiver.wait_for_spans(2)]
    ...     [trace.outline() for trace in receiver.traces()]
    ['pay', 'serve']
    [['serve', '  pay']]
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, limit: int = DEFAULT_LIMIT) -> None:
        self._store = Store(limit=limit)
        self._server = Server(self._store.add, host=host, port=port)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; raises `ListenError` where the address cannot be had."""
        self._server.start()

    def stop(self) -> None:
        """Give the port back; what was received stays readable."""
        self._server.stop()

    @property
    def endpoint(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT takes; an exporter's own argument has `/v1/traces` behind it."""
        return self._server.endpoint

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def spans(self) -> Sequence[ReceivedSpan]:
        """The spans received so far, in order of arrival."""
        return self._store.contents().spans

    @property
    def logs(self) -> Sequence[ReceivedLog]:
        """The log records received so far, in order of arrival."""
        return self._store.contents().logs

    @property
    def metrics(self) -> Sequence[ReceivedMetricPoint]:
        """The metric data points received so far, in order of arrival."""
        return self._store.contents().metrics

    @property
    def requests(self) -> Sequence[ReceivedRequest]:
        """The HTTP requests received so far, with their headers; refused ones too."""
        return self._store.contents().requests

    @property
    def counts(self) -> Counts:
        """How much was received since the start, or since `clear()`."""
        return self._store.counts()

    def traces(self) -> list[trees.Trace]:
        """The spans received so far as trees, one for each trace, by start."""
        return trees.build(self.spans)

    def clear(self) -> None:
        """Forget all that was received."""
        self._store.clear()

    def wait_for(self, predicate: Callable[[], bool], *, timeout: float = 5.0) -> bool:
        """Wait until the predicate holds; it is asked after each request. False after `timeout` seconds."""
        return self._store.wait_for(predicate, timeout=timeout)

    def wait_for_spans(
        self, count: int = 1, *, where: Callable[[ReceivedSpan], bool] = _any, timeout: float = 5.0
    ) -> list[ReceivedSpan]:
        """Wait for at least `count` spans for which `where` holds, and return all such.

        Raises `TimeoutError`, which says what came instead, after `timeout` seconds.
        """
        return self._wait("spans", lambda: self.spans, count, where, timeout)

    def wait_for_logs(
        self, count: int = 1, *, where: Callable[[ReceivedLog], bool] = _any, timeout: float = 5.0
    ) -> list[ReceivedLog]:
        """Wait for at least `count` log records for which `where` holds, as `wait_for_spans` does."""
        return self._wait("logs", lambda: self.logs, count, where, timeout)

    def wait_for_metrics(
        self, count: int = 1, *, where: Callable[[ReceivedMetricPoint], bool] = _any, timeout: float = 5.0
    ) -> list[ReceivedMetricPoint]:
        """Wait for at least `count` metric points for which `where` holds, as `wait_for_spans` does."""
        return self._wait("metric points", lambda: self.metrics, count, where, timeout)

    def _wait(
        self,
        what: str,
        received: Callable[[], Sequence[_Item]],
        count: int,
        where: Callable[[_Item], bool],
        timeout: float,
    ) -> list[_Item]:
        found: list[_Item] = []

        def enough() -> bool:
            found[:] = [item for item in received() if where(item)]
            return len(found) >= count

        if not self._store.wait_for(enough, timeout=timeout):
            raise TimeoutError(f"waited {timeout:g} s for {count} {what}, got {len(found)}; {self._came()}")
        return found

    def _came(self) -> str:
        """What came so far, in a line."""
        contents = self._store.contents()
        parts = [
            f"{len(contents.spans)} spans{_names(span.name for span in contents.spans)}",
            f"{len(contents.logs)} logs{_names(log.event_name for log in contents.logs)}",
            f"{len(contents.metrics)} metric points{_names(point.name for point in contents.metrics)}",
        ]
        parts += [f"refused {each.path}: {each.problem}" for each in contents.requests if each.status != 200][
            :3
        ]
        return "received in all: " + ", ".join(parts)


def _names(names: Iterable[str]) -> str:
    counted = Counter(names)
    shown = [
        f"{name} \N{MULTIPLICATION SIGN}{times}" if times > 1 else name
        for name, times in counted.most_common(_NAMES_SHOWN)
    ]
    if len(counted) > _NAMES_SHOWN:
        shown.append("…")
    return f" ({', '.join(shown)})" if shown else ""
