"""What is put on a program to see what it costs, and what has to have come out of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import NoOpTracerProvider

import aiotel
from aiotel._faults import faults

from .spans import Spans
from .workload import FUNCTIONS

__all__ = ["Aiotel", "Contrib", "Factory", "Instrument"]


class Instrument:
    """Nothing at all: plain asyncio. Others add to it; each is a context manager, and clean after use."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def prepare(self, loop: asyncio.AbstractEventLoop) -> None:
        """What there is to be done to a loop before it runs."""

    def around(self) -> AbstractContextManager[object]:
        """What the creating task does around its work."""
        return contextlib.nullcontext()

    def flush(self) -> None:
        """Hand on and export all that has ended."""

    def faults(self, *, tasks: int, mains: int) -> list[str]:
        """What is not as it must be after so many tasks in so many main tasks, in words."""
        return []


class Factory(Instrument):
    """The least that an instrument of tasks can be: a factory and a done callback that do nothing."""

    def prepare(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the factory."""
        loop.set_task_factory(_create)


def _create(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(coro, loop=loop, **kwargs)
    task.add_done_callback(_done)
    return task


def _done(task: asyncio.Task[Any]) -> None:
    pass


class Aiotel(Instrument):
    """aiotel as a program uses it, with these spans; None leaves the program without a tracer provider."""

    def __init__(
        self, spans: Callable[[], Spans] | None, *, under_user_span: bool = False, **settings: Any
    ) -> None:
        self._make_spans = spans
        self._under_user_span = under_user_span
        self._config = aiotel.Config(**settings)
        self._spans: Spans | None = None

    def __enter__(self) -> Self:
        self._meters = _Meters()
        self._spans = None if self._make_spans is None else self._make_spans()
        self._session = aiotel.instrument(
            self._config,
            tracer_provider=None if self._spans is None else self._spans.provider,
            meter_provider=self._meters.provider,
        )
        return self

    def __exit__(self, *exception: object) -> None:
        aiotel.uninstrument()
        if self._spans is not None:
            self._spans.close()
        self._meters.provider.shutdown()

    def around(self) -> AbstractContextManager[object]:
        """A span of the user's, where the tasks are to be under one."""
        if not self._under_user_span or self._spans is None:
            return contextlib.nullcontext()
        return self._spans.provider.get_tracer("bench").start_as_current_span("request")

    def flush(self) -> None:
        """The mailbox first, then the exporter."""
        self._session.flush(timeout=60)
        if self._spans is not None:
            self._spans.flush()

    def faults(self, *, tasks: int, mains: int) -> list[str]:
        """By aiotel's own metrics, and by the spans that arrived."""
        found = self._meters.totals()
        wrong = [
            *_unlike("started tasks", found.get("asyncio.task.started"), tasks + mains),
            *_unlike("durations", found.get("asyncio.task.duration"), tasks + mains),
            *self._meters.drops(),
        ]
        if self._spans is not None:
            users = mains if self._under_user_span else 0
            wrong += _unlike("spans", *self._spans.arrived(tasks + mains + users))
        return wrong


class Contrib(Instrument):
    """opentelemetry-instrumentation-asyncio, which makes spans of the coroutines that it is told of."""

    def __init__(self, spans: Callable[[], Spans] | None) -> None:
        self._make_spans = spans
        self._spans: Spans | None = None

    def __enter__(self) -> Self:
        from opentelemetry.instrumentation.asyncio import AsyncioInstrumentor

        self._meters = _Meters()
        self._spans = None if self._make_spans is None else self._make_spans()
        traced = "" if self._spans is None else ",".join(FUNCTIONS)
        os.environ["OTEL_PYTHON_ASYNCIO_COROUTINE_NAMES_TO_TRACE"] = traced
        self._instrumentor = AsyncioInstrumentor()
        self._instrumentor.instrument(
            skip_dep_check=True,
            tracer_provider=NoOpTracerProvider() if self._spans is None else self._spans.provider,
            meter_provider=self._meters.provider,
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._instrumentor.uninstrument()
        del os.environ["OTEL_PYTHON_ASYNCIO_COROUTINE_NAMES_TO_TRACE"]
        if self._spans is not None:
            self._spans.close()
        self._meters.provider.shutdown()

    def flush(self) -> None:
        """The exporter."""
        if self._spans is not None:
            self._spans.flush()

    def faults(self, *, tasks: int, mains: int) -> list[str]:
        """By its own metrics, and by the spans that arrived; it does not see main tasks."""
        found = self._meters.totals()
        wrong = [
            *_unlike("created tasks", found.get("asyncio.process.created"), tasks),
            *_unlike("durations", found.get("asyncio.process.duration"), tasks),
        ]
        if self._spans is not None:
            wrong += _unlike("spans", *self._spans.arrived(tasks))
        return wrong


class _Meters:
    """A meter provider, and what its metrics say."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)

    def totals(self) -> Mapping[str, int]:
        """Of each metric the sum of its points; of histograms, how many values they hold."""
        return {name: sum(map(_amount, points)) for name, points in self._points().items()}

    def drops(self) -> list[str]:
        """What aiotel says that it lost, by kind; that it says nothing is as bad."""
        points = self._points().get("aiotel.dropped", ())
        lost = [f"{point.value} {dict(point.attributes)} dropped" for point in points if point.value]
        return [*lost, *faults.latest] if points else ["nothing said of drops"]

    def _points(self) -> Mapping[str, Sequence[Any]]:
        data = self._reader.get_metrics_data()
        return {
            metric.name: metric.data.data_points
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def _amount(point: Any) -> int:
    count = getattr(point, "count", None)
    return int(point.value if count is None else count)


def _unlike(what: str, found: int | None, expected: int) -> list[str]:
    return [] if found == expected else [f"{'no' if found is None else found} {what}, not {expected}"]
