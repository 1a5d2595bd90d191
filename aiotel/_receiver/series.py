"""Follow each time series from point to point, whether it is sent as a total or as differences."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .received import Attributes, ReceivedMetricPoint

MAX_SERIES = 5000

_Key = tuple[object, ...]


class SeriesBook:
    """The latest point of every series, differences (DELTA) added up. Those not seen for longest go first."""

    def __init__(self, *, max_series: int = MAX_SERIES) -> None:
        self._max_series = max_series
        self._latest: OrderedDict[_Key, ReceivedMetricPoint] = OrderedDict()
        self._changed: dict[_Key, None] = {}

    def add(self, points: Iterable[ReceivedMetricPoint]) -> None:
        """Take new points, in the order they came."""
        for point in points:
            key = _key(point)
            before = self._latest.pop(key, None)
            now = point if before is None else _after(before, point)
            self._latest[key] = now
            if before is None or _state(before) != _state(now):
                self._changed[key] = None
        while len(self._latest) > self._max_series:
            self._changed.pop(self._latest.popitem(last=False)[0], None)

    def latest(self) -> list[ReceivedMetricPoint]:
        """Every series as it is now."""
        return sorted(self._latest.values(), key=lambda point: (point.scope, point.name))

    def changes(self) -> list[ReceivedMetricPoint]:
        """The series that differ from what they were when this was last asked."""
        changed = [self._latest[key] for key in self._changed]
        self._changed.clear()
        return sorted(changed, key=lambda point: (point.scope, point.name))


def _key(point: ReceivedMetricPoint) -> _Key:
    return (
        point.name,
        point.kind,
        point.unit,
        point.scope,
        _frozen(point.resource),
        _frozen(point.attributes),
    )


def _frozen(attributes: Attributes) -> str:
    return repr(sorted(attributes.items(), key=lambda item: item[0]))


def _state(point: ReceivedMetricPoint) -> object:
    return (point.value, point.count, point.sum, point.quantiles)


def _after(before: ReceivedMetricPoint, point: ReceivedMetricPoint) -> ReceivedMetricPoint:
    if point.temporality != "DELTA":
        return point
    if point.kind == "sum":
        return replace(point, value=(before.value or 0) + (point.value or 0), start_ns=before.start_ns)
    buckets = point.bucket_counts
    if before.bounds == point.bounds:
        buckets = tuple(a + b for a, b in zip(before.bucket_counts, point.bucket_counts, strict=True))
    return replace(
        point,
        start_ns=before.start_ns,
        count=before.count + point.count,
        sum=(before.sum or 0.0) + (point.sum or 0.0),
        min=min((each.min for each in (before, point) if each.min is not None), default=None),
        max=max((each.max for each in (before, point) if each.max is not None), default=None),
        bucket_counts=buckets,
    )
