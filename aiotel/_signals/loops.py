"""The gauges and counters of event loops, as OpenTelemetry reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from opentelemetry.metrics import Observation

from .._measured import Handles, Times
from . import names
from .instruments import Observe

__all__ = ["Health", "loops_observed"]


class Health(Protocol):
    """How all loops together are."""

    @property
    def times(self) -> Callable[[], Times]:
        """Since the beginning."""

    @property
    def cpu_ns(self) -> Callable[[], int]:
        """Of their threads."""

    @property
    def utilization(self) -> Callable[[], float | None]:
        """The greatest."""

    @property
    def heartbeat_age_ns(self) -> Callable[[], int]:
        """The greatest."""

    @property
    def handles(self) -> Callable[[], Handles]:
        """Just now."""


def loops_observed(health: Health) -> Mapping[str, Observe]:
    """What each instrument shows."""

    def time() -> Iterable[Observation]:
        times = health.times()
        if not times.iterations:  # uvloop's loops do not say
            return
        yield Observation(times.active_ns / 1e9, {names.EVENTLOOP_STATE: "active"})
        yield Observation(times.idle_ns / 1e9, {names.EVENTLOOP_STATE: "idle"})

    def utilization() -> Iterable[Observation]:
        share = health.utilization()
        return [] if share is None else [Observation(share)]

    def handles() -> Iterable[Observation]:
        found = health.handles()
        yield Observation(found.ready, {names.HANDLE_STATE: "ready"})
        yield Observation(found.scheduled, {names.HANDLE_STATE: "scheduled"})
        yield Observation(found.cancelled, {names.HANDLE_STATE: "cancelled"})

    return {
        names.EVENTLOOP_TIME: time,
        names.EVENTLOOP_ITERATIONS: lambda: [Observation(health.times().iterations)],
        names.EVENTLOOP_CPU_TIME: lambda: [Observation(health.cpu_ns() / 1e9)],
        names.EVENTLOOP_UTILIZATION: utilization,
        names.EVENTLOOP_HEARTBEAT_AGE: lambda: [Observation(health.heartbeat_age_ns() / 1e9)],
        names.EVENTLOOP_HANDLE_COUNT: handles,
    }
