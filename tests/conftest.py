"""What every test of a loop needs: the matrix of loops, and a program that aiotel watches."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import aiotel
from aiotel._complaints import complaints
from aiotel._faults import faults

T = TypeVar("T")

NEVER_S = 3600.0
"""A busy machine blocks loops now and then. Tests of other things do not want to hear of it."""


@dataclass(frozen=True)
class Loops:
    """One kind of event loop, and whether its tasks start eagerly."""

    name: str
    factory: Callable[[], asyncio.AbstractEventLoop]
    eager: bool = False

    def new(self) -> asyncio.AbstractEventLoop:
        """A loop of this kind."""
        loop = self.factory()
        if self.eager:
            loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]  # 3.12
        return loop

    def run(self, main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
        """As `asyncio.run`."""
        with asyncio.Runner(loop_factory=self.new, debug=debug) as runner:
            return runner.run(main)


def _kinds() -> list[Loops]:
    kinds = [Loops("asyncio", asyncio.new_event_loop)]
    if sys.version_info >= (3, 12):
        kinds.append(Loops("eager", asyncio.new_event_loop, eager=True))
    try:
        import uvloop
    except ImportError:  # it has no wheel for every Python
        return kinds
    return [*kinds, Loops("uvloop", uvloop.new_event_loop)]


@pytest.fixture(params=_kinds(), ids=lambda kind: kind.name)
def loops(request: pytest.FixtureRequest) -> Loops:
    """Each kind of loop in turn."""
    return request.param  # type: ignore[no-any-return]  # one of the above


class Telemetry:
    """A session with in-memory exporters: what a program's telemetry was."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self.reader], resource=Resource({}), shutdown_on_exit=False)
        self.log_exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK's
        self.logger_provider = LoggerProvider(resource=Resource({}), shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self.log_exporter))
        self.session: aiotel.Session | None = None

    def start(self, **settings: Any) -> aiotel.Session:
        """Instrument with these settings; stalls are for those to see who ask for them."""
        loop = settings.pop("loop", None)
        settings.setdefault("stall_after", NEVER_S)
        self.session = aiotel.instrument(
            aiotel.Config(**settings),
            tracer_provider=self.tracer_provider,
            meter_provider=self.meter_provider,
            logger_provider=self.logger_provider,
            loop=loop,
        )
        return self.session

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans that have ended, in the order in which they did."""
        if self.session is not None:
            assert self.session.flush(timeout=30)
        return list(self.exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """The one span whose name ends so."""
        found = [span for span in self.spans if span.name.split(".")[-1] == name]
        assert len(found) == 1, f"{len(found)} spans are called {name}"
        return found[0]

    def parents(self) -> dict[str, str | None]:
        """Of each span, by the last part of its name, the parent's."""
        by_id = {span.context.span_id: span.name.split(".")[-1] for span in self.spans if span.context}
        return {
            span.name.split(".")[-1]: None if span.parent is None else by_id.get(span.parent.span_id, "?")
            for span in self.spans
        }

    @property
    def logs(self) -> list[Any]:
        """All log records."""
        if self.session is not None:
            assert self.session.flush(timeout=30)
        return [data.log_record for data in self.log_exporter.get_finished_logs()]

    def metrics(self) -> dict[str, list[Any]]:
        """The data points of each metric, read now."""
        if self.session is not None:
            assert self.session.flush(timeout=30)
        data = self.reader.get_metrics_data()
        points: dict[str, list[Any]] = {}
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points.setdefault(metric.name, []).extend(metric.data.data_points)
        return points


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """A session to be started, and closed after the test."""
    telemetry = Telemetry()
    yield telemetry
    aiotel.uninstrument()
    telemetry.tracer_provider.shutdown()
    telemetry.logger_provider.shutdown()
    telemetry.meter_provider.shutdown()


@pytest.fixture(autouse=True)
def _no_fault_in_a_hook() -> Iterator[None]:
    """An exception inside aiotel fails the test, though it would never reach a program."""
    faults.latest.clear()
    before = faults.count
    complaints.clear()
    yield
    gc.collect()
    # What is left is not this test's: to look through all of it after each one took two thirds of the time.
    gc.freeze()
    aiotel.uninstrument()
    assert (faults.count - before, list(faults.latest)) == (0, [])
