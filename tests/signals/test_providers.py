"""Task spans in the user's own provider: its processors and exporters see them as they see any span."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    Event,
    ReadableSpan,
    Span,
    SpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

import aiotel
from aiotel._faults import faults
from aiotel._signals import names
from aiotel._signals.traces.processor import OurProcessor

from ..conftest import Loops, Telemetry
from .conftest import Node, grown, last, of, provide


async def leaf() -> None:
    await asyncio.sleep(0)


async def within_baggage() -> None:
    otel_context.attach(baggage.set_baggage("customer", "7"))
    await asyncio.create_task(leaf())


# Processors of every sort.


class Baggage(SpanProcessor):
    """As the contrib package of that name: copies baggage onto each span that starts."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for key, value in baggage.get_all(parent_context).items():
            span.set_attribute(key, str(value))


class Looking(SpanProcessor):
    """Writes down what there is to see of a span that starts."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[SpanKind, str | None, SpanKind | None]] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        # As ADOT's: the parent is taken for a span of the SDK's, and asked for its kind.
        parent: Any = trace.get_current_span(parent_context)
        kind = parent.kind if parent.get_span_context().is_valid else None
        assert (span.parent is None) is (kind is None)
        assert span.parent is None or span.parent == parent.get_span_context()
        assert span.is_recording()
        assert isinstance(span, ReadableSpan)
        self.seen[last(span)] = (span.kind, of(span, names.CODE_FUNCTION_NAME), kind)


class Tail(SpanProcessor):
    """Keeps the spans of a trace until the last that is open has ended, as tail sampling does."""

    def __init__(self) -> None:
        self._open: dict[int, dict[int, str]] = {}
        self._ended: dict[int, list[str]] = {}
        self.traces: list[list[str]] = []
        self._lock = threading.Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        with self._lock:
            context = span.get_span_context()
            self._open.setdefault(context.trace_id, {})[context.span_id] = span.name

    def on_end(self, span: ReadableSpan) -> None:
        with self._lock:
            trace_id = span.context.trace_id
            del self._open[trace_id][span.context.span_id]
            self._ended.setdefault(trace_id, []).append(last(span))
            if not self._open[trace_id]:
                self.traces.append(sorted(self._ended.pop(trace_id)))


class Ending(SpanProcessor):
    """Wants to see spans just before they end."""

    def __init__(self) -> None:
        self.ending: list[tuple[str, Any, bool]] = []

    def _on_ending(self, span: Span) -> None:
        self.ending.append((last(span), of(span, names.TASK_OUTCOME), span.end_time is not None))


def test_a_baggage_processor_finds_the_creators_baggage(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        await asyncio.create_task(within_baggage())
        loop = asyncio.get_running_loop()
        created: asyncio.Future[asyncio.Task[None]] = loop.create_future()
        context = contextvars.copy_context()
        context.run(otel_context.attach, baggage.set_baggage("customer", "8"))
        loop.call_soon(lambda: created.set_result(loop.create_task(named())), context=context)
        await (await created)

    async def named() -> None:
        await asyncio.sleep(0)

    provide(telemetry, Baggage())
    telemetry.start()
    loops.run(main())

    assert of(telemetry.span("leaf"), "customer") == "7"
    assert of(telemetry.span("within_baggage"), "customer") is None
    assert of(telemetry.span("named"), "customer") == "8"


def test_a_span_that_starts_shows_its_kind_and_its_parent(loops: Loops, telemetry: Telemetry) -> None:
    looking = Looking()
    provide(telemetry, looking)
    tracer = telemetry.tracer_provider.get_tracer("user")

    async def handler() -> None:
        await asyncio.create_task(leaf())

    async def apart() -> None:
        await asyncio.create_task(grown(Node("inside")), context=contextvars.copy_context())

    async def main() -> None:
        await asyncio.create_task(grown(Node("outside")))
        with tracer.start_as_current_span("request", kind=SpanKind.SERVER):
            await asyncio.create_task(handler())
            await asyncio.create_task(apart(), context=contextvars.copy_context())

    telemetry.start()
    loops.run(main())
    internal = SpanKind.INTERNAL
    found = {name: (kind, parent) for name, (kind, _, parent) in looking.seen.items()}

    assert found == {
        "main": (internal, None),
        "outside": (internal, internal),
        "request": (SpanKind.SERVER, None),
        "handler": (internal, SpanKind.SERVER),
        "leaf": (internal, SpanKind.SERVER),
        "apart": (internal, SpanKind.SERVER),
        "inside": (internal, internal),
    }
    assert looking.seen["leaf"][1] == f"{__name__}.leaf"


def test_tail_sampling_sees_every_trace_complete(loops: Loops, telemetry: Telemetry) -> None:
    tail = Tail()
    provide(telemetry, tail)
    tracer = telemetry.tracer_provider.get_tracer("user")

    async def cancelled() -> None:
        await asyncio.Event().wait()

    async def raising() -> None:
        raise ValueError

    async def main() -> None:
        await asyncio.create_task(leaf())
        with tracer.start_as_current_span("request"):
            await asyncio.create_task(leaf())
            task = asyncio.create_task(cancelled())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, raising(), return_exceptions=True)

    telemetry.start()
    loops.run(main())

    assert telemetry.spans
    assert sorted(tail.traces) == [
        ["cancelled", "leaf", "raising", "request"],
        ["leaf", "main"],
    ]
    assert tail._open == {span.context.trace_id: {} for span in telemetry.spans}


def test_who_wants_to_see_spans_just_before_they_end_does(loops: Loops, telemetry: Telemetry) -> None:
    ending = Ending()
    provide(telemetry, ending)
    telemetry.start()
    loops.run(grown(Node("main", (Node("child"),))))

    assert telemetry.spans
    assert ending.ending == [("child", "returned", True), ("main", "returned", True)]


def test_a_task_that_could_not_be_made_ends_for_who_saw_it_start(loops: Loops, telemetry: Telemetry) -> None:
    tail = Tail()
    provide(telemetry, tail)

    def refusing(loop: Any, coro: Any, **kwargs: Any) -> Any:
        coro.close()
        raise RuntimeError("no more tasks")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        loop.set_task_factory(refusing)
        try:
            with pytest.raises(RuntimeError, match="no more tasks"):
                await asyncio.create_task(leaf())
        finally:
            loop.set_task_factory(before)

    telemetry.start()
    loops.run(main())

    assert telemetry.spans
    assert tail.traces == [["leaf", "main"]]


class Raising(SpanProcessor):
    """Fails whenever it is called."""

    def __init__(self, where: str) -> None:
        self._where = where

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if self._where == "on_start":
            raise LookupError("a processor's own")

    def on_end(self, span: ReadableSpan) -> None:
        if self._where == "on_end":
            raise LookupError("a processor's own")

    def _on_ending(self, span: Span) -> None:
        if self._where == "_on_ending":
            raise LookupError("a processor's own")


@pytest.mark.parametrize("where", ["on_start", "_on_ending", "on_end"])
def test_a_processor_that_raises_harms_nobody(
    loops: Loops, telemetry: Telemetry, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    async def main() -> str:
        return await asyncio.create_task(asyncio.sleep(0, "done"))

    provide(telemetry, Raising(where))
    telemetry.start()

    assert loops.run(main()) == "done"
    # As in the SDK, processors behind one that fails at a span's end do not get the span.
    assert sorted(map(last, telemetry.spans)) == (["main", "sleep"] if where == "on_start" else [])
    aiotel.uninstrument()
    assert "a processor's own" in caplog.text


class Flushing(SpanProcessor):
    """Flushes the provider whenever a span ends, as some do for spans that matter."""

    def __init__(self) -> None:
        self.provider: TracerProvider | None = None
        self.ended: Counter[str] = Counter()
        self.all_ended = threading.Event()

    def on_end(self, span: ReadableSpan) -> None:
        self.ended[last(span)] += 1
        if self.ended["leaf"] >= 20:
            self.all_ended.set()
        assert self.provider is not None
        self.provider.force_flush()


@pytest.mark.parametrize("by_the_pump", [True, False])
def test_a_processor_that_flushes_gets_every_span_once(
    loops: Loops, telemetry: Telemetry, by_the_pump: bool
) -> None:
    flushing = Flushing()
    flushing.provider = provide(telemetry, flushing)

    async def main() -> None:
        await asyncio.gather(*(leaf() for _ in range(20)))
        if by_the_pump:
            assert await asyncio.to_thread(flushing.all_ended.wait, 10)

    telemetry.start()
    loops.run(main())
    aiotel.uninstrument()

    assert flushing.ended == {"leaf": 20, "main": 1}
    assert len(telemetry.exporter.get_finished_spans()) == 21


class Rewriting(SpanProcessor):
    """Puts other things in the place of what a span has, as redaction and renaming are done in the field."""

    def __init__(self, attribute: str, value: Any) -> None:
        self._attribute = attribute
        self._value = value

    def on_end(self, span: ReadableSpan) -> None:
        setattr(span, self._attribute, self._value)


REWRITTEN: dict[str, tuple[str, Any]] = {
    "attributes": ("_attributes", {"password": "***"}),
    "name": ("_name", "another"),
    "status": ("_status", Status(StatusCode.OK)),
    "events": ("_events", [Event("another", {}, 1)]),
    "links": ("_links", []),
    "kind": ("_kind", SpanKind.CLIENT),
    "parent": ("_parent", SpanContext(1, 2, is_remote=True)),
    "context": ("_context", SpanContext(1, 3, is_remote=False, trace_flags=TraceFlags(1))),
    "resource": ("_resource", Resource({"another": 1})),
    "start_time": ("_start_time", 5),
    "end_time": ("_end_time", 6),
}


@pytest.mark.parametrize("written", [False, True], ids=["untouched", "written to"])
@pytest.mark.parametrize("shown", REWRITTEN)
def test_what_a_processor_puts_in_place_is_what_is_exported(
    telemetry: Telemetry, shown: str, written: bool
) -> None:
    hidden, value = REWRITTEN[shown]
    provide(telemetry, *([Baggage()] if written else []), Rewriting(hidden, value))

    async def main() -> None:
        otel_context.attach(baggage.set_baggage("customer", "7"))
        with aiotel.detached():
            task = asyncio.create_task(leaf())
        await task

    telemetry.start()
    asyncio.run(main())
    span = next(span for span in telemetry.spans if span.name != "main")
    found = getattr(span, shown)

    assert found == value or list(found) == list(value)
    assert "leaf" in span.to_json() or shown == "name"
    assert span.resource.attributes is not None
    assert (dict(span.attributes or {}) == value) is (shown == "attributes")


def test_processors_that_are_added_later_see_what_starts_from_then_on(
    loops: Loops, telemetry: Telemetry
) -> None:
    looking, tail = Looking(), Tail()

    async def main() -> None:
        await asyncio.create_task(grown(Node("first")))
        telemetry.tracer_provider.add_span_processor(looking)
        await asyncio.create_task(grown(Node("second")))

    telemetry.start()
    telemetry.tracer_provider.add_span_processor(tail)
    loops.run(main())

    assert telemetry.spans
    assert looking.seen.keys() == {"second"}
    assert tail.traces == [["first", "main", "second"]]


def test_a_provider_with_concurrent_processors_is_as_good(loops: Loops, telemetry: Telemetry) -> None:
    concurrent = ConcurrentMultiSpanProcessor(2)
    tail = Tail()
    provide(telemetry, tail, active_span_processor=concurrent)
    telemetry.start()
    loops.run(grown(Node("main", (Node("child"),))))

    assert sorted(map(last, telemetry.spans)) == ["child", "main"]
    assert tail.traces == [["child", "main"]]


# Nothing is lost.


class Counting(SpanExporter):
    """How often each name was exported."""

    def __init__(self) -> None:
        self.names: Counter[str] = Counter()

    def export(self, spans: Any) -> SpanExportResult:
        self.names.update(last(span) for span in spans)
        return SpanExportResult.SUCCESS


def batching(exporter: SpanExporter) -> TracerProvider:
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


@pytest.mark.parametrize("count", [1, 5000])
def test_flushing_the_provider_loses_no_finished_task(loops: Loops, count: int) -> None:
    exporter = Counting()
    provider = batching(exporter)
    found: list[int] = []

    async def one() -> None:
        pass

    async def main() -> None:
        for _ in range(count // 1000 or 1):
            await asyncio.gather(*(one() for _ in range(min(count, 1000))))
        assert provider.force_flush()
        found.append(exporter.names["one"])

    aiotel.instrument(aiotel.Config(trace_max_tasks=10**6), tracer_provider=provider)
    loops.run(main())
    aiotel.uninstrument()
    provider.shutdown()

    assert found == [count]
    assert exporter.names["one"] == count


def test_more_than_a_batch_processor_holds_arrives_without_a_flush(loops: Loops) -> None:
    exporter = Counting()
    provider = batching(exporter)

    async def one() -> None:
        pass

    async def main() -> None:
        for _ in range(6):
            await asyncio.gather(*(one() for _ in range(1000)))

    with aiotel.instrument(aiotel.Config(trace_max_tasks=10**6), tracer_provider=provider):
        loops.run(main())
    provider.shutdown()

    assert exporter.names["one"] == 6000


def test_a_provider_that_is_shut_down_first_gets_what_has_ended(
    loops: Loops, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = Counting()
    provider = batching(exporter)
    aiotel.instrument(aiotel.Config(), tracer_provider=provider)
    loops.run(grown(Node("main", (Node("child"),))))
    provider.shutdown()
    loops.run(grown(Node("after")))
    aiotel.uninstrument()

    assert exporter.names == {"main": 1, "child": 1}
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_provider_is_left_as_it_was_found(loops: Loops, telemetry: Telemetry) -> None:
    provider = telemetry.tracer_provider
    before = provider._active_span_processor._span_processors
    attributes = set(vars(provider._active_span_processor))
    telemetry.start()
    during = provider._active_span_processor._span_processors
    loops.run(leaf())
    aiotel.uninstrument()
    added = Looking()
    provider.add_span_processor(added)

    assert len(during) == len(before) + 1
    assert provider._active_span_processor._span_processors == (*before, added)
    assert set(vars(provider._active_span_processor)) == attributes
    assert provider.force_flush()


def run_instrumented(provider: TracerProvider, main: Coroutine[Any, Any, None], loops: Loops) -> None:
    with aiotel.instrument(aiotel.Config(), tracer_provider=provider):
        loops.run(main)
    aiotel.uninstrument()
    provider.shutdown()


def test_one_provider_after_the_other_each_gets_its_own(loops: Loops) -> None:
    first, second = Counting(), Counting()
    run_instrumented(batching(first), grown(Node("one", (Node("child"),))), loops)
    run_instrumented(batching(second), grown(Node("two", (Node("child"),))), loops)

    assert first.names == {"one": 1, "child": 1}
    assert second.names == {"two": 1, "child": 1}


@pytest.fixture
def no_global_provider(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """A process in which nobody has set a global provider yet; and what sets one, however often."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    return lambda provider: monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)


def test_a_global_provider_is_found_when_it_comes(
    loops: Loops, no_global_provider: Callable[[Any], None]
) -> None:
    exporter = Counting()

    async def main() -> None:
        await asyncio.create_task(grown(Node("too early")))
        no_global_provider(batching(exporter))
        session.flush()
        await asyncio.create_task(grown(Node("in time", (Node("child"),))))

    session = aiotel.instrument(aiotel.Config())
    loops.run(main())
    aiotel.uninstrument()

    trace.get_tracer_provider().force_flush()  # type: ignore[attr-defined]  # the SDK's

    assert exporter.names == {"in time": 1, "child": 1, "main": 1}


def test_the_proxy_that_stands_for_a_global_provider_is_as_good(
    loops: Loops, no_global_provider: Callable[[Any], None]
) -> None:
    exporter = Counting()
    aiotel.instrument(aiotel.Config(), tracer_provider=trace.get_tracer_provider())
    provider = batching(exporter)
    no_global_provider(provider)
    loops.run(grown(Node("main", (Node("child"),))))
    aiotel.uninstrument()
    provider.force_flush()

    assert exporter.names == {"main": 1, "child": 1}


def test_what_takes_the_place_of_a_global_provider_gets_what_ends_then(
    loops: Loops, no_global_provider: Callable[[Any], None]
) -> None:
    first, second = Counting(), Counting()

    async def main() -> None:
        await asyncio.create_task(grown(Node("one")))
        session.flush()
        no_global_provider(batching(second))
        session.flush()
        await asyncio.create_task(grown(Node("two")))

    no_global_provider(batching(first))
    before = trace.get_tracer_provider()
    session = aiotel.instrument(aiotel.Config())
    loops.run(main())
    aiotel.uninstrument()
    for provider in (before, trace.get_tracer_provider()):
        provider.force_flush()  # type: ignore[attr-defined]  # the SDK's

    assert (first.names, second.names) == ({"one": 1}, {"two": 1, "main": 1})


@pytest.mark.parametrize("method", ["get_tracer", "add_span_processor"])
def test_a_provider_that_raises_costs_the_spans_and_nothing_else(
    loops: Loops, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    class Broken(TracerProvider):
        pass

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise LookupError("a provider's own")

    async def main() -> str:
        return await asyncio.create_task(asyncio.sleep(0, "done"))

    setattr(Broken, method, fail)
    session = aiotel.instrument(aiotel.Config(), tracer_provider=Broken(shutdown_on_exit=False))
    result = loops.run(main())
    session.flush()
    aiotel.uninstrument()

    assert result == "done"
    assert caplog.text.count("a provider's own") == 1


def test_our_processor_never_fails_a_users_span(telemetry: Telemetry) -> None:
    def fail(*args: Any) -> Any:
        raise LookupError("a fault of ours")

    provider = telemetry.tracer_provider
    processor = OurProcessor(fail, fail, set())
    provider.add_span_processor(processor)
    before = faults.count
    with provider.get_tracer("user").start_as_current_span("request"):
        pass
    flushed = provider.force_flush()
    processor.release()
    found, faults.count = faults.count - before, before
    latest = [faults.latest.pop(), faults.latest.pop()]

    assert [span.name for span in telemetry.spans] == ["request"]
    assert flushed is False
    assert found == 2
    assert all("a fault of ours" in words for words in latest)


def test_two_threads_that_look_at_once_bind_once(telemetry: Telemetry) -> None:
    session = telemetry.start()
    provider = telemetry.tracer_provider
    for _ in range(20):
        session._traces._provider = None
        together = threading.Barrier(4)

        def look(together: threading.Barrier = together) -> None:
            together.wait(10)
            session._traces.look()

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    kinds = [type(each).__name__ for each in provider._active_span_processor._span_processors]
    assert kinds.count("OurProcessor") == 1


def test_a_simple_processor_exports_on_our_thread_and_not_on_the_loops(
    loops: Loops, telemetry: Telemetry
) -> None:
    threads: set[str] = set()
    exported = threading.Event()

    class Where(Counting):
        def export(self, spans: Any) -> SpanExportResult:
            threads.add(threading.current_thread().name)
            exported.set()
            return super().export(spans)

    provide(telemetry, SimpleSpanProcessor(Where()))
    telemetry.start()

    async def main() -> None:
        await asyncio.create_task(leaf())
        assert await asyncio.to_thread(exported.wait, 10)

    loops.run(main())

    assert threads == {"aiotel-pump"}
