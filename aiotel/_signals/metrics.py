"""Count tasks and failures in plain integers, and have them ready when OpenTelemetry reads.

To record one value with the SDK costs more than a whole task may; so counters are observed, and
histograms are kept here as bucket arrays (joined to what a reader collects in `_export.readers`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from opentelemetry.metrics import Histogram, Observation

from .._measured import Attributes, Example
from .._record import CANCELLED, PENDING, RAISED, RETURNED, Function, take
from .._times import FunctionTimes
from . import names
from .instruments import Observe
from .series import Series

__all__ = ["Counts", "Metrics"]

_OUTCOMES: Final = (RETURNED, RAISED, CANCELLED, PENDING)
_CAPPED: Final = frozenset({names.CODE_FUNCTION_NAME, names.ERROR_TYPE})
"""The attributes whose values nobody bounds but we."""

RECORDED: Final = 200
"""Where the SDK is to record values one by one, so many short ones at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is counted elsewhere, read at the moment of collection."""

    alive: Callable[[], int]
    loops: Callable[[], int]
    functions: Callable[[], Iterable[Function]]
    dropped: Callable[[], Mapping[str, int]]
    overhead_ns: Callable[[], int]


class Metrics:
    """What the instruments show, and histograms as the SDK has none.

    Attributes are pairs of a name and a value; of the values of those in `_CAPPED`, each metric tells so many
    apart as `function_limit` says. `observed` are gauges and levels that others read.
    """

    def __init__(
        self,
        counts: Counts,
        *,
        function_limit: int,
        sources: Iterable[str],
        findings: Iterable[str] = (),
        observed: Mapping[str, Observe] | None = None,
    ) -> None:
        self._counts = counts
        self._limit = function_limit
        self._known: dict[tuple[str, str], set[str]] = {}
        self._zeros: Final[Mapping[str, Sequence[Attributes]]] = {
            names.EXCEPTIONS: [((names.EXCEPTION_SOURCE, source),) for source in sources],
            names.EXCEPTIONS_HANDLED: [()],
            names.NEVER_AWAITED: [()],
            names.BLOCKING_CALLS: [()],
            names.FINDINGS: [((names.FINDING_KIND, kind),) for kind in findings],
            names.SLOW_CALLBACKS: [()],
        }
        self._counted = self._from_zero()
        self._series: dict[tuple[str, Attributes], Series] = {}
        self._finished = 0
        self._started = 0
        self._recorders: dict[str, Histogram] = {}
        self.observed: Final[Mapping[str, Observe]] = {
            names.EVENTLOOP_COUNT: self._loops,
            names.TASK_COUNT: self._alive,
            names.TASK_STARTED: self._started_tasks,
            **{name: partial(self._totals, name) for name in self._zeros},
            names.DROPPED: self._dropped,
            names.OVERHEAD_TIME: self._overhead,
            **(observed or {}),
        }
        """What each instrument shows."""
        # Guards the series: the pump and the readers' threads absorb. Never taken on a loop's thread.
        self._lock = threading.Lock()

    def forget(self) -> None:
        """In a child process: what was counted is the parent's."""
        self._lock = threading.Lock()
        self._counted = self._from_zero()
        self._series = {}
        self._finished = self._started = 0

    def record_through(self, histograms: Mapping[str, Histogram]) -> None:
        """Have the SDK record these histograms, value by value: somebody's view is about them."""
        self._recorders = dict(histograms)

    # On the pump's thread.

    def count(self, name: str, attributes: Attributes, times: int) -> None:
        """Add to a counter."""
        counts = self._counted[name]
        attributes = self._bounded(name, attributes)
        counts[attributes] = counts.get(attributes, 0) + times

    def count_failure(self, source: str, error_type: str, times: int) -> None:
        """Count an unhandled exception, so many times."""
        attributes = ((names.EXCEPTION_SOURCE, source), (names.ERROR_TYPE, error_type))
        self.count(names.EXCEPTIONS, attributes, times)

    def count_handled(self, error_type: str) -> None:
        """Count an exception of a task that somebody has retrieved."""
        self.count(names.EXCEPTIONS_HANDLED, ((names.ERROR_TYPE, error_type),), 1)

    def count_never_awaited(self, function: str, times: int) -> None:
        """Count a coroutine that never ran, so many times."""
        self.count(names.NEVER_AWAITED, ((names.CODE_FUNCTION_NAME, function),), times)

    def count_slow(self, function: str, callback_type: str, times: int) -> None:
        """Count a slow callback, so many times."""
        attributes = ((names.CODE_FUNCTION_NAME, function), (names.CALLBACK_TYPE, callback_type))
        self.count(names.SLOW_CALLBACKS, attributes, times)

    def count_finding(self, kind: str, times: int) -> None:
        """Count a finding, so many times."""
        self.count(names.FINDINGS, ((names.FINDING_KIND, kind),), times)

    def measure(self, name: str, attributes: Attributes, durations_ns: list[int]) -> None:
        """Add these values to a histogram. Any thread but a loop's."""
        with self._lock:
            self._add(name, attributes, durations_ns)

    def exemplify(self, name: str, attributes: Attributes, example: Example) -> None:
        """Say which span a value that was measured belongs to."""
        with self._lock:
            if name not in self._recorders:
                self._series_of(name, self._bounded(name, attributes)).exemplify(example)

    def measure_short(self, name: str, count: int, total_ns: int) -> None:
        """Add so many values that are within the first bucket, and are not told apart."""
        with self._lock:
            recorder = self._recorders.get(name)
            if recorder is None:
                self._series_of(name, ()).add_short(count, total_ns)
                return
            for _ in range(min(count, RECORDED)):
                recorder.record(total_ns / count / 1e9)

    def absorb(self, functions: Iterable[Function]) -> None:
        """Take the durations that loops have noted. Any thread but a loop's."""
        with self._lock:
            for function in functions:
                for outcome in _OUTCOMES:
                    durations = take(getattr(function, outcome))
                    if durations:
                        self._finished += len(durations)
                        attributes = (
                            (names.CODE_FUNCTION_NAME, function.name),
                            (names.TASK_OUTCOME, outcome),
                        )
                        self._add(names.TASK_DURATION, attributes, durations)
                waits = take(function.waits)
                if waits:
                    self._add(names.TASK_SCHEDULE_DURATION, (), waits)
                if function.times is not None:
                    self._absorb_times(function.name, function.times)

    def collect(self) -> list[Series]:
        """All histograms as they stand, without those that the SDK records."""
        self.absorb(self._counts.functions())
        with self._lock:
            return [series for series in self._series.values() if series.name not in self._recorders]

    def _add(self, name: str, attributes: Attributes, durations_ns: list[int]) -> None:
        attributes = self._bounded(name, attributes)
        recorder = self._recorders.get(name)
        if recorder is not None:
            for duration_ns in durations_ns:
                recorder.record(duration_ns / 1e9, dict(attributes))
            return
        self._series_of(name, attributes).add(durations_ns)

    def _series_of(self, name: str, attributes: Attributes) -> Series:
        series = self._series.get((name, attributes))
        if series is None:
            series = self._series[name, attributes] = Series(name, dict(attributes))
        return series

    def _absorb_times(self, function: str, times: FunctionTimes) -> None:
        for name, durations in (
            (names.TASK_RUN_DURATION, take(times.run)),
            (names.TASK_SCHEDULED_DURATION, take(times.scheduled)),
            (names.TASK_WAITING_DURATION, take(times.waiting)),
        ):
            if durations:
                self._add(name, ((names.CODE_FUNCTION_NAME, function),), durations)

    def _bounded(self, name: str, attributes: Attributes) -> Attributes:
        return tuple(
            (attribute, self._capped(name, attribute, value) if attribute in _CAPPED else value)
            for attribute, value in attributes
        )

    def _capped(self, name: str, attribute: str, value: str) -> str:
        known = self._known.setdefault((name, attribute), set())
        if value not in known:
            if len(known) >= self._limit:
                return names.OTHER
            known.add(value)
        return value

    def _from_zero(self) -> dict[str, dict[Attributes, int]]:
        return {name: dict.fromkeys(zeros, 0) for name, zeros in self._zeros.items()}

    # What the SDK asks for.

    def _loops(self) -> Iterable[Observation]:
        yield Observation(self._counts.loops())

    def _alive(self) -> Iterable[Observation]:
        yield Observation(self._counts.alive())

    def _started_tasks(self) -> Iterable[Observation]:
        self.absorb(self._counts.functions())
        # The two are read one after the other, so their sum may waver; a counter never goes down.
        self._started = max(self._started, self._finished + self._counts.alive())
        yield Observation(self._started)

    def _totals(self, name: str) -> Iterable[Observation]:
        for attributes, count in list(self._counted[name].items()):
            yield Observation(count, dict(attributes))

    def _dropped(self) -> Iterable[Observation]:
        for kind, count in self._counts.dropped().items():
            yield Observation(count, {names.DROPPED_KIND: kind})

    def _overhead(self) -> Iterable[Observation]:
        yield Observation(self._counts.overhead_ns() / 1e9)
