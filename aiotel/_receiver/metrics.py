"""Read the data points out of an OTLP metrics request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from . import buckets, values
from .received import ReceivedExemplar, ReceivedMetricPoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


def read(request: ExportMetricsServiceRequest) -> list[ReceivedMetricPoint]:
    """The data points of all metrics, in the order they were sent."""
    return list(_read(request))


def size(request: ExportMetricsServiceRequest) -> int:
    """How many data points there are, without reading them."""
    return sum(
        _points_in(metric)
        for of_resource in request.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
    )


def _points_in(metric: Metric) -> int:
    kind = metric.WhichOneof("data")
    return 0 if kind is None else len(getattr(metric, kind).data_points)


def _read(request: ExportMetricsServiceRequest) -> Iterator[ReceivedMetricPoint]:
    for of_resource in request.resource_metrics:
        resource = values.attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                head = ReceivedMetricPoint(
                    name=metric.name,
                    kind=metric.WhichOneof("data") or "",
                    description=metric.description,
                    unit=metric.unit,
                    scope=of_scope.scope.name,
                    scope_version=of_scope.scope.version,
                    resource=resource,
                )
                yield from _points(metric, head)


def _points(metric: Metric, head: ReceivedMetricPoint) -> Iterator[ReceivedMetricPoint]:
    match head.kind:
        case "gauge":
            yield from (_number(sent, head) for sent in metric.gauge.data_points)
        case "sum":
            head = replace(
                head,
                temporality=_temporality(metric.sum.aggregation_temporality),
                monotonic=metric.sum.is_monotonic,
            )
            yield from (_number(sent, head) for sent in metric.sum.data_points)
        case "histogram":
            head = replace(head, temporality=_temporality(metric.histogram.aggregation_temporality))
            yield from (_histogram(sent, head) for sent in metric.histogram.data_points)
        case "exponential_histogram":
            sent_histogram = metric.exponential_histogram
            head = replace(head, temporality=_temporality(sent_histogram.aggregation_temporality))
            yield from (_exponential(sent, head) for sent in sent_histogram.data_points)
        case "summary":
            yield from (_summary(sent, head) for sent in metric.summary.data_points)


def _number(sent: NumberDataPoint, head: ReceivedMetricPoint) -> ReceivedMetricPoint:
    return replace(_timed(sent, head), value=_value(sent), exemplars=_exemplars(sent.exemplars))


def _histogram(sent: HistogramDataPoint, head: ReceivedMetricPoint) -> ReceivedMetricPoint:
    bounds, counts = tuple(sent.explicit_bounds), tuple(sent.bucket_counts)
    if len(counts) != len(bounds) + 1:  # a sender may leave the buckets out, or get them wrong
        bounds, counts = (), ()
    return replace(_distribution(sent, head), bounds=bounds, bucket_counts=counts)


def _exponential(sent: ExponentialHistogramDataPoint, head: ReceivedMetricPoint) -> ReceivedMetricPoint:
    bounds, counts = buckets.explicit(
        scale=sent.scale,
        zero_count=sent.zero_count,
        zero_threshold=sent.zero_threshold,
        positive=(sent.positive.offset, sent.positive.bucket_counts),
        negative=(sent.negative.offset, sent.negative.bucket_counts),
    )
    return replace(_distribution(sent, head), bounds=bounds, bucket_counts=counts, scale=sent.scale)


def _summary(sent: SummaryDataPoint, head: ReceivedMetricPoint) -> ReceivedMetricPoint:
    quantiles = tuple((pair.quantile, pair.value) for pair in sent.quantile_values)
    return replace(_timed(sent, head), count=sent.count, sum=sent.sum, quantiles=quantiles)


def _distribution(
    sent: HistogramDataPoint | ExponentialHistogramDataPoint, head: ReceivedMetricPoint
) -> ReceivedMetricPoint:
    return replace(
        _timed(sent, head),
        count=sent.count,
        sum=sent.sum if sent.HasField("sum") else None,
        min=sent.min if sent.HasField("min") else None,
        max=sent.max if sent.HasField("max") else None,
        exemplars=_exemplars(sent.exemplars),
    )


def _timed(
    sent: NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint,
    head: ReceivedMetricPoint,
) -> ReceivedMetricPoint:
    return replace(
        head,
        attributes=values.attributes(sent.attributes),
        start_ns=sent.start_time_unix_nano,
        time_ns=sent.time_unix_nano,
        flags=sent.flags,
    )


def _exemplars(sent: Iterable[Exemplar]) -> tuple[ReceivedExemplar, ...]:
    return tuple(
        ReceivedExemplar(
            value=_value(exemplar),
            time_ns=exemplar.time_unix_nano,
            trace_id=values.trace_id(exemplar.trace_id),
            span_id=values.span_id(exemplar.span_id),
            attributes=values.attributes(exemplar.filtered_attributes),
        )
        for exemplar in sent
    )


def _value(sent: NumberDataPoint | Exemplar) -> int | float | None:
    match sent.WhichOneof("value"):
        case "as_int":
            return sent.as_int
        case "as_double":
            return sent.as_double
        case _:
            return None


def _temporality(sent: int) -> str:
    return _TEMPORALITIES.get(sent, "UNSPECIFIED")


_TEMPORALITIES: dict[int, str] = {
    AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA: "DELTA",
    AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE: "CUMULATIVE",
}
