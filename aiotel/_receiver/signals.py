"""What each of OTLP's three paths takes and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from . import logs, metrics, spans, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from .received import ReceivedLog, ReceivedMetricPoint, ReceivedSpan

# 64 MiB hold some hundred thousand real spans. More items than this are the empty messages of somebody who
# wants to fill our memory: two bytes on the wire, several hundred as an object.
MAX_ITEMS = 1_000_000


class TooManyItemsError(Exception):
    """The request holds more items than any honest one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What a request brought, the answer to it, and what of it was unusable, if anything."""

    answer: Message
    spans: tuple[ReceivedSpan, ...] = ()
    logs: tuple[ReceivedLog, ...] = ()
    metrics: tuple[ReceivedMetricPoint, ...] = ()
    problem: str | None = None


def open_traces(body: bytes, encoding: str) -> Payload:
    """Read a trace request; spans without valid ids are refused by OTLP's partial success."""
    request = ExportTraceServiceRequest()
    wire.parse(body, request, encoding)
    _check(spans.size(request))
    accepted, refused = spans.read(request)
    answer = ExportTraceServiceResponse()
    if not refused:
        return Payload(answer=answer, spans=tuple(accepted))
    problem = f"{refused} spans have no valid ids: a trace id is 16 bytes and a span id 8, not all zero"
    answer.partial_success.CopyFrom(ExportTracePartialSuccess(rejected_spans=refused, error_message=problem))
    return Payload(answer=answer, spans=tuple(accepted), problem=problem)


def open_metrics(body: bytes, encoding: str) -> Payload:
    """Read a metrics request."""
    request = ExportMetricsServiceRequest()
    wire.parse(body, request, encoding)
    _check(metrics.size(request))
    return Payload(answer=ExportMetricsServiceResponse(), metrics=tuple(metrics.read(request)))


def open_logs(body: bytes, encoding: str) -> Payload:
    """Read a logs request."""
    request = ExportLogsServiceRequest()
    wire.parse(body, request, encoding)
    _check(logs.size(request))
    return Payload(answer=ExportLogsServiceResponse(), logs=tuple(logs.read(request)))


def _check(items: int) -> None:
    if items > MAX_ITEMS:
        raise TooManyItemsError(f"{items} items in one request, more than {MAX_ITEMS}: send smaller batches")


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal of OpenTelemetry: its name, and how its requests are read (raises what `wire.parse` does)."""

    name: str
    open: Callable[[bytes, str], Payload]


BY_PATH = {
    "/v1/traces": Signal("traces", open_traces),
    "/v1/metrics": Signal("metrics", open_metrics),
    "/v1/logs": Signal("logs", open_logs),
}
