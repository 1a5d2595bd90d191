"""Keep what was received, bounded, for whoever wants to look at it or to wait for it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .received import Delivery, ReceivedLog, ReceivedMetricPoint, ReceivedRequest, ReceivedSpan

_Item = TypeVar("_Item")

DEFAULT_LIMIT = 100_000
_REQUESTS_LIMIT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much was received since the start, whether or not it is still kept.

    `requests` counts those accepted by signal (traces, metrics, logs), `refused` the others; `evicted` what
    the store had to let go to stay within its limit, by spans, logs, metrics and requests.
    """

    spans: int = 0
    logs: int = 0
    metrics: int = 0
    requests: Mapping[str, int] = field(default_factory=dict)
    refused: int = 0
    evicted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the store held at one moment, oldest first."""

    spans: Sequence[ReceivedSpan] = ()
    logs: Sequence[ReceivedLog] = ()
    metrics: Sequence[ReceivedMetricPoint] = ()
    requests: Sequence[ReceivedRequest] = ()


class Store:
    """The last so many spans, logs, metric points and requests. Any thread may call any method."""

    def __init__(self, *, limit: int = DEFAULT_LIMIT) -> None:
        # Guards all below. A condition, for those who wait; reentrant, for what they wait for may look.
        self._changed = threading.Condition(threading.RLock())
        self._spans: deque[ReceivedSpan] = deque(maxlen=limit)
        self._logs: deque[ReceivedLog] = deque(maxlen=limit)
        self._metrics: deque[ReceivedMetricPoint] = deque(maxlen=limit)
        self._requests: deque[ReceivedRequest] = deque(maxlen=min(limit, _REQUESTS_LIMIT))
        self._totals: Counter[str] = Counter()
        self._by_signal: Counter[str] = Counter()
        self._evicted: Counter[str] = Counter()

    def add(self, delivery: Delivery) -> None:
        """Take what a request brought; this is the server's sink."""
        request = delivery.request
        with self._changed:
            self._keep("spans", self._spans, delivery.spans)
            self._keep("logs", self._logs, delivery.logs)
            self._keep("metrics", self._metrics, delivery.metrics)
            self._keep("requests", self._requests, (request,))
            if request.signal is not None and request.status == 200:
                self._by_signal[request.signal] += 1
            else:
                self._totals["refused"] += 1
            self._changed.notify_all()

    def contents(self) -> Contents:
        """All that is kept now."""
        with self._changed:
            return Contents(
                spans=tuple(self._spans),
                logs=tuple(self._logs),
                metrics=tuple(self._metrics),
                requests=tuple(self._requests),
            )

    def drain(self) -> Contents:
        """All that is kept now, and keep it no longer; the counts go on."""
        with self._changed:
            contents = self.contents()
            self._empty()
            return contents

    def counts(self) -> Counts:
        """How much was received since the start, or since `clear()`."""
        with self._changed:
            return Counts(
                spans=self._totals["spans"],
                logs=self._totals["logs"],
                metrics=self._totals["metrics"],
                requests=dict(self._by_signal),
                refused=self._totals["refused"],
                evicted=dict(self._evicted),
            )

    def clear(self) -> None:
        """Forget everything, counts too."""
        with self._changed:
            self._empty()
            for counter in (self._totals, self._by_signal, self._evicted):
                counter.clear()

    def wait_for(self, predicate: Callable[[], bool], *, timeout: float) -> bool:
        """Wait until the predicate holds, asked after each request; False when `timeout` seconds are over."""
        with self._changed:
            return self._changed.wait_for(predicate, timeout)

    def _keep(self, what: str, kept: deque[_Item], items: Sequence[_Item]) -> None:
        room = (kept.maxlen or 0) - len(kept)
        kept.extend(items)
        self._totals[what] += len(items)
        if len(items) > room:
            self._evicted[what] += len(items) - room

    def _empty(self) -> None:
        for kept in (self._spans, self._logs, self._metrics, self._requests):
            kept.clear()
