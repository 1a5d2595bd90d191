"""Join our histograms to what a metric reader has collected, as data points of the SDK's own types.

`_receive_metrics` is the method of a reader that the SDK documents for overriding; views cannot apply
to what is aggregated already, so histograms that a view is about are recorded by the SDK instead.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from opentelemetry.metrics import Histogram as Instrument
from opentelemetry.sdk.metrics import Exemplar, MeterProvider
from opentelemetry.sdk.metrics import Histogram as HistogramKind
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    ScopeMetrics,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from .._measured import Example

__all__ = ["Readers", "SeriesLike"]


MakeInstrument = Callable[[str, str, Sequence[float]], Instrument]
"""Gives the SDK's histogram of this name, with this description and these boundaries; the same each time."""


class SeriesLike(Protocol):
    """One histogram of `_signals.metrics`, cumulative since the start; seconds."""

    name: str
    attributes: dict[str, str]
    buckets: list[int]
    total: float
    low: float
    high: float

    @property
    def examples(self) -> Sequence[Example]:
        """The last values that have a span."""

    def extremes_since(self, reader: int) -> tuple[float, float]:
        """The least and the greatest value since this reader asked last."""


class Readers:
    """The readers of one MeterProvider, each given our histograms whenever it collects."""

    def __init__(
        self,
        collect: Callable[[], Iterable[SeriesLike]],
        bounds: Mapping[str, tuple[float, ...]],
        descriptions: Callable[[str], str],
        *,
        scope: tuple[str, str, str],
    ) -> None:
        self._collect = collect
        self._bounds = bounds
        self._describe = descriptions
        self._scope = InstrumentationScope(*scope)
        self._start_ns = time.time_ns()
        self._joined: list[tuple[Any, Any]] = []
        self._seen: list[_Seen] = []

    def join(self, provider: Any, instrument: MakeInstrument) -> dict[str, Instrument]:
        """Join all readers that are not joined yet; gives the histograms that must go by `record` instead."""
        readers = _readers_of(provider)
        if readers is None or not all(hasattr(reader, "_receive_metrics") for reader in readers):
            return {name: self._instrument(instrument, name) for name in self._bounds}
        for reader in readers:
            if not any(joined is reader for joined, _ in self._joined):
                self._join(reader)
        views = _views_of(provider)
        if not views:
            return {}
        made = {name: self._instrument(instrument, name) for name in self._bounds}
        return {name: made[name] for name in made if any(view._match(made[name]) for view in views)}

    def leave(self) -> None:
        """Give the readers their own methods back, where they still have ours."""
        for reader, ours in self._joined:
            if vars(reader).get("_receive_metrics") is ours:
                del reader._receive_metrics
        self._joined.clear()

    def forget(self) -> None:
        """In a child process: what was counted, and what readers have had of it, is the parent's."""
        self._start_ns = time.time_ns()
        for seen in self._seen:
            seen.clear()

    def _instrument(self, instrument: MakeInstrument, name: str) -> Instrument:
        return instrument(name, self._describe(name), self._bounds[name])

    def _join(self, reader: Any) -> None:
        receive = reader._receive_metrics
        temporality = _temporality_of(reader)
        seen = _Seen(id(reader)) if temporality is AggregationTemporality.DELTA else None
        self._seen += [] if seen is None else [seen]

        def receive_metrics(metrics_data: MetricsData, *args: Any, **kwargs: Any) -> None:
            receive(self._with_ours(metrics_data, seen), *args, **kwargs)

        reader._receive_metrics = receive_metrics
        self._joined.append((reader, receive_metrics))

    def _with_ours(self, data: MetricsData, seen: _Seen | None) -> MetricsData:
        if not data.resource_metrics:
            return data
        ours = self._metrics(seen)
        if not ours:
            return data
        first, *others = data.resource_metrics
        scopes = [*first.scope_metrics]
        for index, scope in enumerate(scopes):
            if scope.scope == self._scope:
                scopes[index] = dataclasses.replace(scope, metrics=[*scope.metrics, *ours])
                break
        else:
            scopes.append(
                ScopeMetrics(scope=self._scope, metrics=ours, schema_url=self._scope.schema_url or "")
            )
        return MetricsData(resource_metrics=[dataclasses.replace(first, scope_metrics=scopes), *others])

    def _metrics(self, seen: _Seen | None) -> list[Metric]:
        now_ns = time.time_ns()
        points: dict[str, list[HistogramDataPoint]] = {}
        for series in self._collect():
            point = self._cumulative(series, now_ns)
            if seen is not None:
                point = seen.since(point, series)
            if point.count:
                points.setdefault(series.name, []).append(point)
        temporality = AggregationTemporality.CUMULATIVE if seen is None else AggregationTemporality.DELTA
        return [
            Metric(
                name=name,
                description=self._describe(name),
                unit="s",
                data=Histogram(data_points=found, aggregation_temporality=temporality),
            )
            for name, found in points.items()
        ]

    def _cumulative(self, series: SeriesLike, now_ns: int) -> HistogramDataPoint:
        buckets = list(series.buckets)
        return HistogramDataPoint(
            attributes=series.attributes,
            start_time_unix_nano=self._start_ns,
            time_unix_nano=now_ns,
            count=sum(buckets),
            sum=series.total,
            bucket_counts=buckets,
            explicit_bounds=self._bounds[series.name],
            min=series.low,
            max=series.high,
            exemplars=[
                Exemplar({}, each.seconds, each.time_ns, each.span_id, each.trace_id)
                for each in series.examples
            ],
        )


class _Seen:
    """What a reader that wants deltas has had already."""

    def __init__(self, reader: int) -> None:
        self._reader = reader
        self._points: dict[tuple[str, ...], HistogramDataPoint] = {}

    def clear(self) -> None:
        """Begin anew."""
        self._points.clear()

    def since(self, point: HistogramDataPoint, series: SeriesLike) -> HistogramDataPoint:
        """The point less what the reader has had."""
        key = (series.name, *series.attributes.values())
        before = self._points.get(key)
        self._points[key] = point
        low, high = series.extremes_since(self._reader)
        if before is None:
            return point
        buckets = [now - then for now, then in zip(point.bucket_counts, before.bucket_counts, strict=True)]
        return dataclasses.replace(
            point,
            start_time_unix_nano=before.time_unix_nano,
            count=sum(buckets),
            sum=point.sum - before.sum,
            bucket_counts=buckets,
            min=low,
            max=high,
            exemplars=[each for each in point.exemplars if each.time_unix_nano > before.time_unix_nano],
        )


def _readers_of(provider: Any) -> list[Any] | None:
    """The readers of an SDK's provider; None of anybody else's."""
    if not isinstance(provider, MeterProvider):
        return None
    readers = getattr(provider, "_metric_readers", None)
    if readers is None:
        readers = getattr(getattr(provider, "_sdk_config", None), "metric_readers", None)
    return None if readers is None else list(readers)


def _views_of(provider: Any) -> list[Any]:
    return list(getattr(getattr(provider, "_sdk_config", None), "views", ()))


def _temporality_of(reader: Any) -> AggregationTemporality:
    wanted = getattr(reader, "_instrument_class_temporality", {})
    for kind, temporality in wanted.items():
        if kind is HistogramKind or kind.__name__.lstrip("_") == "Histogram":
            return temporality  # type: ignore[no-any-return]  # the SDK's enum
    return AggregationTemporality.CUMULATIVE
