"""The gauges and counters of event loops, as OpenTelemetry reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from opentelemetry.metrics import Observation

from . import names
from .instruments import Observe

__all__ = ["Health", "loops_observed"]


class TimesLike(Protocol):
    """What loops have done with their time."""

    @property
    def active_ns(self) -> int:
        """They ran something."""

    @property
    def idle_ns(self) -> int:
        """They waited for something to run."""

    @property
    def iterations(self) -> int:
        """How often they looked for it."""


class HandlesLike(Protocol):
    """How many callbacks wait."""

    @property
    def ready(self) -> int:
        """To be run next."""

    @property
    def scheduled(self) -> int:
        """For their time to come."""

    @property
    def cancelled(self) -> int:
        """Of those the ones that will not run."""


class Health(Protocol):
    """How all loops together are."""

    @property
    def times(self) -> Callable[[], TimesLike]:
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
    def handles(self) -> Callable[[], HandlesLike]:
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
