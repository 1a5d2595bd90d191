"""Read the log records out of an OTLP logs request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import values
from .received import Attributes, ReceivedLog

if TYPE_CHECKING:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord


def read(request: ExportLogsServiceRequest) -> list[ReceivedLog]:
    """The log records, in the order they were sent."""
    logs: list[ReceivedLog] = []
    for of_resource in request.resource_logs:
        resource = values.attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_logs:
            logs.extend(_log(sent, of_scope.scope, resource) for sent in of_scope.log_records)
    return logs


def size(request: ExportLogsServiceRequest) -> int:
    """How many log records there are, without reading them."""
    return sum(
        len(of_scope.log_records)
        for of_resource in request.resource_logs
        for of_scope in of_resource.scope_logs
    )


def _log(sent: LogRecord, scope: InstrumentationScope, resource: Attributes) -> ReceivedLog:
    attributes = values.attributes(sent.attributes)
    return ReceivedLog(
        event_name=sent.event_name,
        severity_number=sent.severity_number,
        severity_text=sent.severity_text,
        body=values.plain(sent.body),
        attributes=attributes,
        trace_id=values.trace_id(sent.trace_id),
        span_id=values.span_id(sent.span_id),
        flags=sent.flags,
        time_ns=sent.time_unix_nano,
        observed_time_ns=sent.observed_time_unix_nano,
        dropped_attributes=sent.dropped_attributes_count,
        scope=scope.name,
        scope_version=scope.version,
        resource=resource,
    )
