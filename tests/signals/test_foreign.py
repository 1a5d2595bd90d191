"""Tracers that are not the SDK's make the spans of tasks themselves, through the API alone."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, Decision, Sampler
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

import aiotel
from aiotel._signals import names

from ..conftest import Loops, Telemetry
from .conftest import Node, grown
from .test_rules import from_a_callback
from .test_sampling import Deciding


@dataclass
class Finished:
    """What a span was, whoever made it."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    start_time: int
    end_time: int
    attributes: dict[str, Any]
    status: StatusCode = StatusCode.UNSET
    events: list[str] = field(default_factory=list)
    links: list[int] = field(default_factory=list)


class MinimalSpan(trace.Span):
    """No more than the API asks for."""

    def __init__(
        self, name: str, parent: SpanContext, *, start: int, attributes: Any, links: Any, sink: list[Finished]
    ) -> None:
        numbers = MinimalSpan.numbers
        trace_id = parent.trace_id if parent.is_valid else next(numbers)
        self._context = SpanContext(trace_id, next(numbers), is_remote=False, trace_flags=TraceFlags(1))
        self._told = Finished(
            name=name,
            trace_id=trace_id,
            span_id=self._context.span_id,
            parent_id=parent.span_id if parent.is_valid else None,
            start_time=start,
            end_time=0,
            attributes=dict(attributes or {}),
            links=[link.context.span_id for link in links or ()],
        )
        self._sink = sink

    numbers = itertools.count(1)

    def end(self, end_time: int | None = None) -> None:
        assert not self._told.end_time, "ended twice"
        self._told.end_time = end_time or time.time_ns()
        self._sink.append(self._told)

    def get_span_context(self) -> SpanContext:
        return self._context

    def set_attributes(self, attributes: Any) -> None:
        self._told.attributes.update(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self._told.attributes[key] = value

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self._told.events.append(name)

    def update_name(self, name: str) -> None:
        self._told.name = name

    def is_recording(self) -> bool:
        return not self._told.end_time

    def set_status(self, status: Any, description: str | None = None) -> None:
        self._told.status = status.status_code if isinstance(status, Status) else status

    def record_exception(self, exception: BaseException, *args: Any, **kwargs: Any) -> None:
        self._told.events.append("exception")


class MinimalTracer(trace.Tracer):
    def __init__(self, sink: list[Finished]) -> None:
        self._sink = sink

    def start_span(  # noqa: PLR0917  # the API's signature
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        parent = trace.get_current_span(context).get_span_context()
        start = start_time or time.time_ns()
        return MinimalSpan(name, parent, start=start, attributes=attributes, links=links, sink=self._sink)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        return trace.use_span(self.start_span(*args, **kwargs), end_on_exit=True)


class MinimalProvider(trace.TracerProvider):
    """A provider of the API's, and of nobody else's."""

    def __init__(self) -> None:
        self._sink: list[Finished] = []

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return MinimalTracer(self._sink)

    def finished(self) -> list[Finished]:
        return self._sink


class WrappedSpan(trace.Span):
    """As logfire's: in front of a span of the SDK's, and not one itself."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def __getattr__(self, name: str) -> Any:
        return getattr(self._span, name)

    def end(self, end_time: int | None = None) -> None:
        self._span.set_attribute("wrapped", True)
        self._span.end(end_time)

    def get_span_context(self) -> SpanContext:
        return self._span.get_span_context()

    def set_attributes(self, attributes: Any) -> None:
        self._span.set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self._span.set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self._span.add_event(name, attributes, timestamp)

    def update_name(self, name: str) -> None:
        self._span.update_name(name)

    def is_recording(self) -> bool:
        return self._span.is_recording()

    def set_status(self, status: Any, description: str | None = None) -> None:
        self._span.set_status(status, description)

    def record_exception(self, exception: BaseException, *args: Any, **kwargs: Any) -> None:
        self._span.record_exception(exception, *args, **kwargs)


class OpaqueTracer(MinimalTracer):
    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        return WrappedSpan(self._tracer.start_span(*args, **kwargs))


class OpaqueProvider(trace.TracerProvider):
    """As logfire's: stands in front of the SDK's, and hands out tracers of its own."""

    def __init__(self, sampler: Sampler = DEFAULT_ON) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, resource=Resource({}), shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return OpaqueTracer(self.provider.get_tracer(*args, **kwargs))

    def finished(self) -> list[Finished]:
        return [_finished(span) for span in self.exporter.get_finished_spans()]


def _finished(span: ReadableSpan) -> Finished:
    return Finished(
        name=span.name,
        trace_id=span.context.trace_id,
        span_id=span.context.span_id,
        parent_id=span.parent and span.parent.span_id,
        start_time=span.start_time or 0,
        end_time=span.end_time or 0,
        attributes=dict(span.attributes or {}),
        status=span.status.status_code,
        events=[event.name for event in span.events],
        links=[link.context.span_id for link in span.links],
    )


Foreign = MinimalProvider | OpaqueProvider


@pytest.fixture(params=[MinimalProvider, OpaqueProvider])
def provider(request: pytest.FixtureRequest) -> Iterator[Foreign]:
    found: Foreign = request.param()
    yield found
    if isinstance(found, OpaqueProvider):
        found.provider.shutdown()


def run(loops: Loops, provider: Foreign, main: Any, **config: Any) -> Any:
    """What the main coroutine gives; all spans have been handed on."""
    with aiotel.instrument(aiotel.Config(**config), tracer_provider=provider):
        result = loops.run(main)
    aiotel.uninstrument()
    return result


def named(provider: Foreign, name: str) -> Finished:
    [span] = [span for span in provider.finished() if span.name.split(".")[-1] == name]
    return span


def parents(provider: Foreign) -> dict[str, str | None]:
    by_id = {span.span_id: span.name.split(".")[-1] for span in provider.finished()}
    return {
        span.name.split(".")[-1]: by_id.get(span.parent_id, "?") if span.parent_id is not None else None
        for span in provider.finished()
    }


def current(tracer: trace.Tracer, name: str) -> AbstractContextManager[trace.Span]:
    return tracer.start_as_current_span(name)


async def leaf() -> None:
    await asyncio.sleep(0)


async def failing() -> None:
    raise ValueError("it failed")


def test_tasks_form_trees(loops: Loops, provider: Foreign) -> None:
    run(loops, provider, grown(Node("main", (Node("a", (Node("b"), Node("c", (Node("d"),)))), Node("e")))))

    assert parents(provider) == {"main": None, "a": "main", "b": "a", "c": "a", "d": "c", "e": "main"}
    assert len({span.trace_id for span in provider.finished()}) == 1


def test_a_span_tells_what_the_task_was(loops: Loops, provider: Foreign) -> None:
    async def main() -> None:
        await asyncio.gather(asyncio.create_task(failing(), name="the failing one"), return_exceptions=True)

    before = time.time_ns()
    run(loops, provider, main())
    after = time.time_ns()
    span = named(provider, "failing")

    assert span.attributes[names.CODE_FUNCTION_NAME] == f"{__name__}.failing"
    assert span.attributes[names.TASK_NAME] == "the failing one"
    assert (span.attributes[names.TASK_OUTCOME], span.attributes[names.ERROR_TYPE]) == (
        "raised",
        "ValueError",
    )
    assert span.status is StatusCode.ERROR
    assert named(provider, "main").status is StatusCode.UNSET
    assert before - 5_000_000 <= span.start_time <= span.end_time <= after + 5_000_000


def test_under_a_users_span_tasks_are_lent_and_see_through(loops: Loops, provider: Foreign) -> None:
    tracer = provider.get_tracer("user")

    async def handler() -> trace.Span:
        span = trace.get_current_span()
        span.set_attribute("written", 1)
        span.set_status(StatusCode.ERROR)
        await asyncio.create_task(leaf())
        with current(tracer, "query"):
            pass
        return span

    async def main() -> tuple[trace.Span, trace.Span]:
        with current(tracer, "request") as user:
            return user, await asyncio.create_task(handler())

    user, lent = run(loops, provider, main())

    assert lent == user
    assert lent is not user
    assert lent.__class__ is user.__class__
    assert lent.get_span_context().span_id == named(provider, "handler").span_id
    assert named(provider, "request").attributes["written"] == 1
    assert named(provider, "request").status is StatusCode.ERROR
    assert parents(provider) == {
        "main": None,
        "request": None,
        "handler": "request",
        "leaf": "handler",
        "query": "handler",
    }


def test_writes_may_go_to_the_task_which_its_user_may_end(
    loops: Loops, provider: Foreign, caplog: pytest.LogCaptureFixture
) -> None:
    tracer = provider.get_tracer("user")

    async def handler() -> None:
        span = trace.get_current_span()
        span.set_attribute("written", 1)
        await asyncio.create_task(leaf())
        span.end()

    async def main() -> None:
        with current(tracer, "request"):
            await asyncio.create_task(handler())

    run(loops, provider, main(), task_span_writes="task")

    assert caplog.text == ""
    assert named(provider, "handler").attributes["written"] == 1
    assert "written" not in named(provider, "request").attributes
    assert parents(provider) == {"main": None, "request": None, "handler": "request", "leaf": "handler"}


def test_linked_traces(loops: Loops, provider: Foreign) -> None:
    async def job() -> None:
        await asyncio.create_task(leaf())

    async def main() -> None:
        with aiotel.detached():
            task = asyncio.create_task(job())
        await task

    run(loops, provider, main())
    job_span, main_span = named(provider, "job"), named(provider, "main")

    assert parents(provider) == {"main": None, "job": None, "leaf": "job"}
    assert job_span.links == [main_span.span_id]
    assert job_span.trace_id != main_span.trace_id
    assert job_span.attributes[names.TASK_DETACHED_REASON] == "detached"
    assert job_span.attributes[names.TASK_PARENT_SPAN_ID] == f"{main_span.span_id:016x}"


def test_no_trace_has_more_tasks_than_allowed(loops: Loops, provider: Foreign) -> None:
    tree = Node("root", tuple(Node(f"a{a}", tuple(Node(f"a{a}b{b}") for b in range(4))) for a in range(4)))
    run(loops, provider, grown(tree), trace_max_tasks=6)
    sizes: dict[int, int] = {}
    for span in provider.finished():
        sizes[span.trace_id] = sizes.get(span.trace_id, 0) + 1

    assert len(provider.finished()) == 21
    assert max(sizes.values()) == 6


def test_a_caller_gave_the_context(loops: Loops, provider: Foreign) -> None:
    import contextvars

    tracer = provider.get_tracer("user")

    async def apart() -> trace.Span:
        await asyncio.create_task(leaf())
        return trace.get_current_span()

    async def main() -> None:
        with current(tracer, "request") as user:
            task = asyncio.create_task(apart(), context=contextvars.copy_context())
            assert await task is user

    run(loops, provider, main())

    assert parents(provider) == {"main": None, "request": None, "apart": "request", "leaf": "apart"}


def test_a_tracer_that_comes_later_is_found(loops: Loops, provider: Foreign, telemetry: Telemetry) -> None:
    async def main() -> None:
        await asyncio.create_task(grown(Node("early")))
        trace._TRACER_PROVIDER = provider
        session.flush()
        await asyncio.create_task(grown(Node("late", (Node("child"),))))

    session = aiotel.instrument(aiotel.Config())
    try:
        loops.run(main())
        aiotel.uninstrument()
    finally:
        trace._TRACER_PROVIDER = None

    assert parents(provider) == {"main": None, "late": "main", "child": "late"}


def test_a_tracer_that_raises_costs_the_span_and_nothing_else(
    loops: Loops, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(MinimalProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
            class BrokenTracer(MinimalTracer):
                def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
                    raise LookupError("a tracer's own")

            return BrokenTracer([])

    async def main() -> str:
        return await asyncio.create_task(asyncio.sleep(0, "done"))

    assert run(loops, Broken(), main()) == "done"
    assert "a tracer's own" in caplog.text


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: ALWAYS_OFF, set()),
        (lambda: DEFAULT_ON, {"main", "a", "b"}),
        (
            lambda: Deciding(lambda name: Decision.DROP if name == "a" else Decision.RECORD_AND_SAMPLE),
            {"main", "b"},
        ),
    ],
    ids=["never", "always", "by name"],
)
def test_the_tracer_behind_samples(loops: Loops, make: Callable[[], Sampler], expected: set[str]) -> None:
    provider = OpaqueProvider(make())
    run(loops, provider, grown(Node("main", (Node("a", (Node("b"),)),))))

    assert {span.name for span in provider.finished()} == expected
    assert all(span.attributes["wrapped"] for span in provider.finished())


def test_the_sdk_behind_tells_of_carriers_and_of_flushes(loops: Loops) -> None:
    provider = OpaqueProvider()
    tracer = provider.get_tracer("user")
    flushed: list[str] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with current(tracer, "request"):
            await asyncio.create_task(leaf())
            writer.write(await reader.readline())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(b"hello\n")
        await reader.readline()
        writer.close()
        await writer.wait_closed()
        server.close()
        await asyncio.sleep(0)
        provider.provider.force_flush()
        flushed.extend(span.name for span in provider.finished())

    run(loops, provider, main())

    assert parents(provider) == {"main": None, "request": None, "leaf": "request"}
    assert names.TASK_NAME in named(provider, "request").attributes
    assert flushed == ["request", "leaf"]


def test_our_own_spans_make_no_carriers(loops: Loops) -> None:
    provider = OpaqueProvider()

    async def job(children: int) -> None:
        for _ in range(children):
            await asyncio.create_task(leaf())

    async def main() -> None:
        await (await from_a_callback(lambda: job(1)))
        await (await from_a_callback(lambda: job(0)))

    run(loops, provider, main())

    assert sorted(span.name.split(".")[-1] for span in provider.finished()) == ["job", "job", "leaf", "main"]


def test_a_provider_that_does_nothing_gets_nothing(loops: Loops) -> None:
    async def main() -> trace.Span:
        return trace.get_current_span()

    assert run(loops, trace.NoOpTracerProvider(), main()) is trace.INVALID_SPAN  # type: ignore[arg-type]  # as foreign


def test_a_subclass_of_the_sdks_tracer_that_starts_spans_its_own_way_does(loops: Loops) -> None:
    from opentelemetry.sdk.trace import Tracer

    class Marking(Tracer):
        def start_span(self, name: str, *args: Any, **kwargs: Any) -> trace.Span:
            return super().start_span(f"marked {name}", *args, **kwargs)

    provider = OpaqueProvider()

    class Provider(TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
            tracer = super().get_tracer(*args, **kwargs)
            tracer.__class__ = Marking
            return tracer

    marking = Provider(resource=Resource({}), shutdown_on_exit=False)
    marking.add_span_processor(SimpleSpanProcessor(provider.exporter))
    run(loops, marking, grown(Node("main", (Node("child"),))))  # type: ignore[arg-type]  # as foreign

    assert parents(provider) == {"marked main": None, "marked child": "marked main"}
