"""The instruments of a MeterProvider, which last as long as it does, for one session after another.

The SDK gives an instrument once for each name: a second session that created its own would get those
of the first, with the callbacks of the first. So the callbacks are here, and ask whoever is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from . import names

__all__ = ["Instruments", "Observe", "instruments_of"]

_PROXY: Final = getattr(metrics._internal, "_PROXY_METER_PROVIDER", None)
"""Stands for the global provider until there is one."""

Observe = Callable[[], Iterable[Observation]]

_LEVELS: Final = {
    names.EVENTLOOP_COUNT: ("{loop}", "Event loops that have run tasks and are open."),
    names.TASK_COUNT: ("{task}", "Tasks that have not ended."),
    names.EXECUTOR_THREAD_ACTIVE: ("{thread}", "Threads at work for a loop."),
    names.EXECUTOR_THREAD_COUNT: ("{thread}", "Threads of the pools that loops use."),
    names.EXECUTOR_THREAD_LIMIT: ("{thread}", "How many threads these pools may have."),
    names.EXECUTOR_QUEUE_SIZE: ("{call}", "Calls that wait for a thread of these pools."),
    names.FINDING_ACTIVE: ("{finding}", "Suspected bugs that are not over."),
    names.EVENTLOOP_HANDLE_COUNT: ("{handle}", "Callbacks that wait for their turn or their time."),
}
_GAUGES: Final = {
    names.EVENTLOOP_UTILIZATION: ("1", "The busiest loop's share of time in which it ran something."),
    names.EVENTLOOP_HEARTBEAT_AGE: ("s", "Since when the loop that is stuck for longest has not gone on."),
}
_COUNTERS: Final = {
    names.EVENTLOOP_TIME: ("s", "Time in which event loops ran something, or waited for something to run."),
    names.EVENTLOOP_CPU_TIME: ("s", "CPU time of the threads of event loops."),
    names.EVENTLOOP_ITERATIONS: ("{iteration}", "Iterations of event loops."),
    names.SLOW_CALLBACKS: ("{callback}", "Callbacks that blocked their loop for longer than the threshold."),
    names.TASK_STARTED: ("{task}", "Tasks that were created."),
    names.EXCEPTIONS: ("{exception}", "Exceptions that nobody handled."),
    names.EXCEPTIONS_HANDLED: ("{exception}", "Exceptions of tasks that somebody has retrieved."),
    names.NEVER_AWAITED: ("{coroutine}", "Coroutines that were never awaited."),
    names.FINDINGS: ("{finding}", "Suspected bugs."),
    names.BLOCKING_CALLS: ("{call}", "Blocking calls on the threads of event loops (opt-in)."),
    names.DROPPED: ("{item}", "What aiotel itself lost."),
    names.OVERHEAD_TIME: ("s", "CPU time of aiotel's own thread."),
}


class Instruments:
    """Shows what a session observes; between sessions nothing is alive, and counters stay where they are."""

    def __init__(self, meter: metrics.Meter) -> None:
        self.meter = meter
        self._observed: Mapping[str, Observe] = {}
        self._histograms: dict[str, metrics.Histogram] = {}
        self._carried: dict[str, dict[frozenset[tuple[str, Any]], int | float]] = {}
        for name, words in _LEVELS.items():
            meter.create_observable_up_down_counter(name, [partial(self._level, name)], *words)
        for name, words in _GAUGES.items():
            meter.create_observable_gauge(name, [partial(self._gauge, name)], *words)
        for name, words in _COUNTERS.items():
            meter.create_observable_counter(name, [partial(self._count, name)], *words)

    def histogram(self, name: str, description: str, bounds: Sequence[float]) -> metrics.Histogram:
        """The histogram of this name, made once: a proxy, where nobody has set up metrics, keeps them all."""
        found = self._histograms.get(name)
        if found is None:
            found = self._histograms[name] = self.meter.create_histogram(
                name, "s", description, explicit_bucket_boundaries_advisory=list(bounds)
            )
        return found

    def show(self, observed: Mapping[str, Observe]) -> None:
        """Ask these from now on, by the name of the instrument."""
        self._observed = observed

    def hide(self, observed: Mapping[str, Observe]) -> None:
        """Ask these no more, unless others are asked already."""
        if self._observed is observed:
            self._carried = {name: self._totals(name) for name in _COUNTERS}
            self._observed = {}

    def forget(self) -> None:
        """In a child process: what was counted before is the parent's."""
        self._carried = {}

    def _level(self, name: str, options: CallbackOptions) -> Iterable[Observation]:
        observe = self._observed.get(name)
        return [Observation(0)] if observe is None else observe()

    def _gauge(self, name: str, options: CallbackOptions) -> Iterable[Observation]:
        observe = self._observed.get(name)
        return [] if observe is None else observe()

    def _count(self, name: str, options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, dict(key)) for key, value in self._totals(name).items()]

    def _totals(self, name: str) -> dict[frozenset[tuple[str, Any]], int | float]:
        totals = dict(self._carried.get(name, ()))
        observe = self._observed.get(name)
        for observation in () if observe is None else observe():
            key = frozenset((observation.attributes or {}).items())
            totals[key] = totals.get(key, 0) + observation.value
        return totals


# A provider outlives the session, and has no place where these could be kept.
_known: WeakKeyDictionary[Any, Instruments] = WeakKeyDictionary()


def instruments_of(provider: Any, get_meter: Callable[[], metrics.Meter]) -> Instruments:
    """The instruments of this provider, of the global one if None; made with `get_meter` the first time."""
    current = metrics.get_meter_provider()
    actual = current if provider is None else provider
    try:
        found = _known.get(actual)
        if found is None and actual is current:
            found = _known.get(_PROXY)  # what was made before there was a provider was handed on to it
        if found is None:
            found = _known[actual] = Instruments(get_meter())
    except TypeError:  # a provider that cannot be a key
        return Instruments(get_meter())
    return found
