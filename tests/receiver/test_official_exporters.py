"""What OpenTelemetry's own SDK sends is received whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import (
    Link,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
)
from opentelemetry.trace.span import SpanContext

from aiotel.testing import ReceivedEvent, ReceivedLink, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORALITIES = [AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE]
SHOP = Resource({"service.name": "shop", "ports": [80, 443]})


@pytest.fixture(params=list(Compression), ids=lambda compression: str(compression.value))
def tracers(receiver: Receiver, request: pytest.FixtureRequest) -> Iterator[TracerProvider]:
    exporter = OTLPSpanExporter(endpoint=f"{receiver.endpoint}/v1/traces", compression=request.param)
    provider = TracerProvider(resource=SHOP, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


def test_a_span_arrives_with_all_that_it_has(receiver: Receiver, tracers: TracerProvider) -> None:
    other = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))
    tracer = tracers.get_tracer("shop.orders", "1.2")
    span = tracer.start_span(
        "pay",
        kind=SpanKind.CLIENT,
        attributes={"text": "é", "on": True, "n": 2**60, "x": 1.5, "all": ["a", "b"]},
        links=[Link(other, {"why": "detached"})],
        start_time=1_000,
    )
    span.add_event("retried", {"attempt": 2}, timestamp=1_500)
    span.set_status(Status(StatusCode.ERROR, "no funds"))
    span.end(end_time=3_000)

    (received,) = receiver.spans
    context = span.get_span_context()
    assert format_trace_id(context.trace_id) == received.trace_id
    assert format_span_id(context.span_id) == received.span_id
    assert None is received.parent_span_id
    assert ("pay", "CLIENT", 1_000, 3_000, 2_000) == (
        received.name,
        received.kind,
        received.start_ns,
        received.end_ns,
        received.duration_ns,
    )
    assert {"text": "é", "on": True, "n": 2**60, "x": 1.5, "all": ["a", "b"]} == received.attributes
    assert (ReceivedEvent(name="retried", time_ns=1_500, attributes={"attempt": 2}),) == received.events
    (link,) = received.links
    assert (
        ReceivedLink(
            trace_id=format_trace_id(0xABC),
            span_id=format_span_id(0xDEF),
            flags=link.flags,
            attributes={"why": "detached"},
        )
        == link
    )
    assert ("ERROR", "no funds") == (received.status, received.status_message)
    assert ("shop.orders", "1.2") == (received.scope, received.scope_version)
    assert {"service.name": "shop", "ports": [80, 443]} == dict(received.resource)


def test_children_arrive_under_their_parents(receiver: Receiver, tracers: TracerProvider) -> None:
    tracer = tracers.get_tracer("shop")
    with tracer.start_as_current_span("serve"):
        with tracer.start_as_current_span("load"):
            pass
        with tracer.start_as_current_span("pay"), tracer.start_as_current_span("charge"):
            pass

    assert [["serve", "  load", "  pay", "    charge"]] == [trace.outline() for trace in receiver.traces()]


def test_a_log_record_arrives_with_all_that_it_has(receiver: Receiver) -> None:
    provider = LoggerProvider(resource=SHOP, shutdown_on_exit=False)
    provider.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{receiver.endpoint}/v1/logs"))
    )
    provider.get_logger("shop", "3").emit(
        LogRecord(
            event_name="exception",
            severity_number=SeverityNumber.ERROR,
            severity_text="ERROR",
            body={"said": ["no", 1, None, b"\x00"]},
            attributes={"exception.type": "ValueError"},
            timestamp=5_000,
            observed_timestamp=6_000,
        )
    )
    provider.shutdown()

    (log,) = receiver.wait_for_logs()
    assert ("exception", 17, "ERROR") == (log.event_name, log.severity_number, log.severity_text)
    assert {"said": ["no", 1, None, b"\x00"]} == log.body
    assert {"exception.type": "ValueError"} == log.attributes
    assert (None, None) == (log.trace_id, log.span_id)
    assert (5_000, 6_000) == (log.time_ns, log.observed_time_ns)
    assert ("shop", "3", "shop") == (log.scope, log.scope_version, log.resource["service.name"])


def test_a_log_record_names_the_span_that_it_belongs_to(receiver: Receiver, tracers: TracerProvider) -> None:
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{receiver.endpoint}/v1/logs"))
    )
    with tracers.get_tracer("shop").start_as_current_span("pay"):
        provider.get_logger("shop").emit(LogRecord(body="paid"))
    provider.shutdown()

    (log,), (span,) = receiver.logs, receiver.spans
    assert ("paid", span.trace_id, span.span_id) == (log.body, log.trace_id, log.span_id)


def meters(receiver: Receiver, temporality: AggregationTemporality, *views: View) -> MeterProvider:
    exporter = OTLPMetricExporter(
        endpoint=f"{receiver.endpoint}/v1/metrics",
        preferred_temporality={Counter: temporality, Histogram: temporality},
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    return MeterProvider([reader], resource=SHOP, views=views, shutdown_on_exit=False)


@pytest.mark.parametrize("temporality", TEMPORALITIES)
def test_counters_arrive_with_their_temporality(
    receiver: Receiver, temporality: AggregationTemporality
) -> None:
    provider = meters(receiver, temporality)
    counter = provider.get_meter("shop", "1").create_counter("orders", "{order}", "orders taken")
    counter.add(2, {"kind": "book"})
    provider.force_flush()
    counter.add(3, {"kind": "book"})
    provider.shutdown()

    first, second = receiver.wait_for_metrics(2, where=lambda point: point.name == "orders")
    assert ("sum", True, temporality.name, "{order}", "orders taken") == (
        first.kind,
        first.monotonic,
        first.temporality,
        first.unit,
        first.description,
    )
    assert {"kind": "book"} == first.attributes
    assert ("shop", "1", "shop") == (first.scope, first.scope_version, first.resource["service.name"])
    assert 0 < first.start_ns < first.time_ns
    assert [2, 5 if temporality is AggregationTemporality.CUMULATIVE else 3] == [first.value, second.value]


def test_gauges_and_up_down_counters_arrive(receiver: Receiver) -> None:
    provider = meters(receiver, AggregationTemporality.CUMULATIVE)
    meter = provider.get_meter("shop")
    meter.create_up_down_counter("baskets").add(-2)
    meter.create_gauge("temperature", "Cel").set(20.5)
    provider.shutdown()

    baskets, temperature = sorted(receiver.wait_for_metrics(2), key=lambda point: point.name)
    assert ("sum", False, -2) == (baskets.kind, baskets.monotonic, baskets.value)
    assert ("gauge", None, 20.5) == (temperature.kind, temperature.temporality, temperature.value)


@pytest.mark.parametrize("temporality", TEMPORALITIES)
def test_histograms_arrive_with_buckets_and_exemplars(
    receiver: Receiver, tracers: TracerProvider, temporality: AggregationTemporality
) -> None:
    provider = meters(receiver, temporality)
    histogram = provider.get_meter("shop").create_histogram(
        "wait", "s", explicit_bucket_boundaries_advisory=[0.1, 1.0]
    )
    with tracers.get_tracer("shop").start_as_current_span("pay"):
        for seconds in (0.05, 0.1, 0.5, 7):
            histogram.record(seconds)
    provider.shutdown()

    (point,) = receiver.wait_for_metrics(1, where=lambda point: point.name == "wait")
    assert ("histogram", temporality.name) == (point.kind, point.temporality)
    assert ((0.1, 1.0), (2, 1, 1)) == (point.bounds, point.bucket_counts)
    assert (4, 0.05, 7) == (point.count, point.min, point.max)
    assert pytest.approx(7.65) == point.sum
    (span,) = receiver.spans
    assert {(span.trace_id, span.span_id)} == {(each.trace_id, each.span_id) for each in point.exemplars}
    assert {0.1, 0.5, 7} == {each.value for each in point.exemplars}


def test_exponential_histograms_arrive_with_explicit_bounds(receiver: Receiver) -> None:
    view = View(instrument_name="wait", aggregation=ExponentialBucketHistogramAggregation())
    provider = meters(receiver, AggregationTemporality.DELTA, view)
    histogram = provider.get_meter("shop").create_histogram("wait")
    for value in (0, 1, 2, 4, 4):
        histogram.record(value)
    provider.shutdown()

    (point,) = receiver.wait_for_metrics(1)
    assert ("exponential_histogram", "DELTA", 5, 11) == (
        point.kind,
        point.temporality,
        point.count,
        point.sum,
    )
    assert point.scale is not None
    assert len(point.bounds) + 1 == len(point.bucket_counts)
    assert (1, 5) == (point.bucket_counts[0], sum(point.bucket_counts))
    assert [1, 1, 2] == [count for count in point.bucket_counts[1:] if count]
    tops = [bound for bound, count in zip(point.bounds[1:], point.bucket_counts[1:], strict=False) if count]
    assert pytest.approx([1, 2, 4], rel=1e-3) == tops
