"""Read the spans out of an OTLP trace request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from . import values
from .received import Attributes, ReceivedEvent, ReceivedLink, ReceivedSpan

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope


def read(request: ExportTraceServiceRequest) -> tuple[list[ReceivedSpan], int]:
    """The spans, and how many were unusable because they have no valid ids."""
    spans: list[ReceivedSpan] = []
    refused = 0
    for of_resource in request.resource_spans:
        resource = values.attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for sent in of_scope.spans:
                span = _span(sent, of_scope.scope, resource)
                if span is None:
                    refused += 1
                else:
                    spans.append(span)
    return spans, refused


def size(request: ExportTraceServiceRequest) -> int:
    """How many spans there are, without reading them."""
    return sum(
        len(of_scope.spans) for of_resource in request.resource_spans for of_scope in of_resource.scope_spans
    )


def _span(sent: Span, scope: InstrumentationScope, resource: Attributes) -> ReceivedSpan | None:
    trace_id, span_id = values.trace_id(sent.trace_id), values.span_id(sent.span_id)
    if trace_id is None or span_id is None:
        return None
    return ReceivedSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=values.span_id(sent.parent_span_id),
        name=sent.name,
        kind=_KINDS.get(sent.kind, "UNSPECIFIED"),
        start_ns=sent.start_time_unix_nano,
        end_ns=sent.end_time_unix_nano,
        attributes=values.attributes(sent.attributes),
        events=tuple(_event(event) for event in sent.events),
        links=tuple(_link(link) for link in sent.links),
        status=_STATUSES.get(sent.status.code, "UNSET"),
        status_message=sent.status.message,
        trace_state=sent.trace_state,
        flags=sent.flags,
        dropped_attributes=sent.dropped_attributes_count,
        dropped_events=sent.dropped_events_count,
        dropped_links=sent.dropped_links_count,
        scope=scope.name,
        scope_version=scope.version,
        resource=resource,
    )


def _event(sent: Span.Event) -> ReceivedEvent:
    return ReceivedEvent(
        name=sent.name, time_ns=sent.time_unix_nano, attributes=values.attributes(sent.attributes)
    )


def _link(sent: Span.Link) -> ReceivedLink:
    return ReceivedLink(
        trace_id=sent.trace_id.hex(),
        span_id=sent.span_id.hex(),
        trace_state=sent.trace_state,
        flags=sent.flags,
        attributes=values.attributes(sent.attributes),
    )


# Enums are open in OTLP: a number that is not here comes from a newer sender.
_KINDS: dict[int, str] = {
    Span.SPAN_KIND_INTERNAL: "INTERNAL",
    Span.SPAN_KIND_SERVER: "SERVER",
    Span.SPAN_KIND_CLIENT: "CLIENT",
    Span.SPAN_KIND_PRODUCER: "PRODUCER",
    Span.SPAN_KIND_CONSUMER: "CONSUMER",
}
_STATUSES: dict[int, str] = {Status.STATUS_CODE_OK: "OK", Status.STATUS_CODE_ERROR: "ERROR"}
