"""Our histograms reach every reader, as the SDK's own would."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

import aiotel


@pytest.fixture(autouse=True)
def _end() -> Iterator[None]:
    yield
    aiotel.uninstrument()


async def leaf() -> None:
    await asyncio.sleep(0)


async def some(number: int) -> None:
    await asyncio.gather(*[leaf() for _ in range(number)])


def _points(reader: InMemoryMetricReader, name: str) -> dict[str, Any]:
    session = aiotel.instrument()
    assert session.flush(timeout=30)
    data = reader.get_metrics_data()
    return {
        str((point.attributes or {})["code.function.name"]).split(".")[-1]: point
        for resource in (data.resource_metrics if data is not None else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    }


def _provider(*readers: InMemoryMetricReader, **options: Any) -> MeterProvider:
    return MeterProvider(readers, resource=Resource({}), shutdown_on_exit=False, **options)


def test_a_cumulative_reader_gets_all_there_was() -> None:
    reader = InMemoryMetricReader()
    aiotel.instrument(meter_provider=_provider(reader))
    points = []
    for _ in range(3):
        asyncio.run(some(10))
        points.append(_points(reader, "asyncio.task.duration")["leaf"])

    assert [(point.count, sum(point.bucket_counts)) for point in points] == [(10, 10), (20, 20), (30, 30)]
    point = points[-1]
    assert 0 < point.min <= point.sum / 30 <= point.max
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert point.attributes["asyncio.task.outcome"] == "returned"


def test_a_delta_reader_gets_what_is_new_beside_a_cumulative_one() -> None:
    delta = InMemoryMetricReader(preferred_temporality={Histogram: AggregationTemporality.DELTA})
    cumulative = InMemoryMetricReader()
    aiotel.instrument(meter_provider=_provider(delta, cumulative))
    asyncio.run(some(10))
    first = _points(delta, "asyncio.task.duration")["leaf"]
    asyncio.run(some(5))
    second = _points(delta, "asyncio.task.duration")["leaf"]
    all_ = _points(cumulative, "asyncio.task.duration")["leaf"]

    assert (first.count, second.count, all_.count) == (10, 5, 15)
    assert second.start_time_unix_nano == first.time_unix_nano
    assert first.sum + second.sum == pytest.approx(all_.sum)
    assert min(first.min, second.min) == all_.min
    assert "leaf" not in _points(delta, "asyncio.task.duration")


def test_a_view_about_our_histogram_keeps_its_meaning() -> None:
    reader = InMemoryMetricReader()
    view = View(
        instrument_name="asyncio.task.duration",
        aggregation=ExplicitBucketHistogramAggregation(boundaries=[1.0]),
    )
    aiotel.instrument(meter_provider=_provider(reader, views=[view]))
    asyncio.run(some(10))
    point = _points(reader, "asyncio.task.duration")["leaf"]

    assert (list(point.explicit_bounds), list(point.bucket_counts)) == ([1.0], [10, 0])


def test_a_view_about_something_else_changes_nothing() -> None:
    reader = InMemoryMetricReader()
    aiotel.instrument(meter_provider=_provider(reader, views=[View(instrument_name="other", name="renamed")]))
    asyncio.run(some(10))

    assert len(_points(reader, "asyncio.task.duration")["leaf"].explicit_bounds) > 10


def test_uninstrument_gives_readers_their_own_method_back() -> None:
    reader = InMemoryMetricReader()
    aiotel.instrument(meter_provider=_provider(reader)).flush()
    joined = "_receive_metrics" in vars(reader)
    aiotel.uninstrument()

    assert (joined, "_receive_metrics" in vars(reader)) == (True, False)
