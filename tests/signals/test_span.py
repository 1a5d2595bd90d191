"""The record of a task is a span like any other: what is called on it does what it does on the SDK's."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ReadableSpan,
    Span,
    SpanLimits,
    SpanProcessor,
    Tracer,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

import aiotel
from aiotel._clock import Clock
from aiotel._record import CANCELLED, RAISED, RETURNED, Birth, Function
from aiotel._signals import names
from aiotel._signals.traces.ids import Ids
from aiotel._signals.traces.sdk import SdkSpans
from aiotel._signals.traces.source import Source
from aiotel._signals.traces.span import TaskSpan

from ..conftest import Loops, Telemetry
from .conftest import of, provide

Call = tuple[str, tuple[Any, ...], dict[str, Any]]


def provider_with(exporter: Any, limits: SpanLimits | None = None) -> TracerProvider:
    provider = TracerProvider(resource=Resource({"r": 1}), span_limits=limits, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def begun(provider: TracerProvider, clock: Clock | None = None) -> TaskSpan:
    """The span of a task that runs."""
    tracer = provider.get_tracer(names.SCOPE)
    assert isinstance(tracer, Tracer)
    spans = SdkSpans(Source(tracer, clock or Clock()), Ids())
    birth = Birth(Function("module.Checkout.pay", "Checkout.pay", None), time.monotonic_ns())
    birth.otel = {}
    link = SpanContext(5, 6, is_remote=False, trace_flags=TraceFlags(1))
    record = spans.apart(birth, None, link, "detached")
    assert isinstance(record, TaskSpan)
    return record


def ended(record: TaskSpan, outcome: str = RETURNED, error: tuple[str, str] | None = None) -> None:
    record.conclude(time.monotonic_ns(), outcome, task_name="Task-1", error=error)
    record.hand_on()


def twin(record: TaskSpan, provider: TracerProvider) -> Any:
    """A span of the SDK's that begins as the record's."""
    tracer = provider.get_tracer(names.SCOPE)
    return tracer.start_span(
        record.function.qualname,
        attributes=record.creation_attributes(),
        links=record.own_links(),
        start_time=record.start_time,
    )


def told(span: ReadableSpan) -> dict[str, Any]:
    """All that an exporter can read, but for ids and the times that nobody gave."""
    return {
        "name": span.name,
        "kind": span.kind,
        "attributes": dict(span.attributes or {}),
        "events": [
            (
                event.name,
                event.timestamp if event.timestamp < 10**6 else None,
                event_attributes(event.attributes),
            )
            for event in span.events
        ],
        "links": [
            (link.context.trace_id, link.context.span_id, dict(link.attributes or {})) for link in span.links
        ],
        "status": (span.status.status_code, span.status.description),
        "parent": span.parent,
        "start": span.start_time,
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "resource": dict(span.resource.attributes),
        "scope": span.instrumentation_scope,
    }


def event_attributes(attributes: Any) -> dict[str, Any]:
    return {key: value for key, value in (attributes or {}).items() if key != "exception.stacktrace"}


keys = st.text("abc", min_size=0, max_size=2)
plain = st.one_of(st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False), st.text(max_size=12))
values = st.one_of(
    plain,
    st.none(),
    st.binary(max_size=4),
    st.lists(st.text("xy", max_size=9), max_size=3),
    st.lists(plain, max_size=3),
    st.dictionaries(keys, plain, max_size=2),
    st.builds(object),
)
attributes = st.one_of(st.none(), st.dictionaries(keys, values, max_size=4))
times = st.integers(1, 1000)
contexts = st.builds(
    lambda trace_id, span_id: SpanContext(trace_id, span_id, is_remote=True),
    st.integers(0, 3),
    st.integers(0, 3),
)
statuses = st.one_of(
    st.sampled_from([Status(StatusCode.OK), Status(StatusCode.ERROR, "why"), Status(StatusCode.UNSET)]),
    st.sampled_from(StatusCode),
)


def call(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    return st.tuples(st.just(name), st.tuples(*arguments), st.just({}))


calls = st.lists(
    st.one_of(
        call("set_attribute", keys, values),
        call("set_attributes", attributes.filter(lambda found: found is not None)),
        call("add_event", keys, attributes, times),
        call("add_link", contexts, attributes),
        call("set_status", statuses),
        call("set_status", st.sampled_from(StatusCode), st.one_of(st.none(), keys)),
        call("update_name", keys),
        call("record_exception", st.builds(ValueError, keys), attributes, times, st.booleans()),
        call("is_recording"),
        call("end", times),
    ),
    max_size=12,
)
bounds = st.one_of(st.none(), st.integers(0, 12))
limits = st.builds(
    SpanLimits,
    max_span_attributes=bounds,
    max_events=bounds,
    max_links=bounds,
    max_event_attributes=bounds,
    max_link_attributes=bounds,
    max_attribute_length=st.one_of(st.none(), st.integers(0, 12)),
    max_span_attribute_length=st.one_of(st.none(), st.integers(0, 12)),
)


@settings(max_examples=200, deadline=None)
@given(calls=calls, limits=limits, outcome=st.sampled_from([RETURNED, RAISED, CANCELLED]))
def test_every_sequence_of_calls_gives_the_span_that_the_sdk_gives(
    calls: list[Call], limits: SpanLimits, outcome: str
) -> None:
    exporter = InMemorySpanExporter()
    provider = provider_with(exporter, limits)
    record = begun(provider)
    expected = twin(record, provider)

    answers = [
        (getattr(record, name)(*arguments, **named), getattr(expected, name)(*arguments, **named))
        for name, arguments, named in calls
    ]
    ended_by_user = not expected.is_recording()
    ended(record, outcome, ("builtins.ValueError", "it failed") if outcome == RAISED else None)
    finished_after(expected, record)
    [found] = [span for span in exporter.get_finished_spans() if span.context == record.get_span_context()]

    assert [(answer, answer) for _, answer in answers] == answers
    assert told(expected) == told(found)
    if ended_by_user:
        assert found.end_time == expected.end_time
    assert normalised(expected) == normalised(found)


def finished_after(span: Any, record: TaskSpan) -> None:
    """End the SDK's span as the task's is: what we have to say is added at the end, whoever has ended it."""
    span._attributes._immutable = False
    span._attributes.update(record.end_attributes())
    if span.status.status_code is StatusCode.UNSET:
        span._status = record.outcome_status()
    if span.is_recording():
        span.end(record.end_time)


def normalised(span: ReadableSpan) -> Any:
    """The span's JSON without ids and the times that nobody gave."""
    try:
        found = json.loads(span.to_json())
    except TypeError as error:  # the SDK's own: bytes
        return str(error)
    found["context"] = None
    for event in found["events"]:
        event["timestamp"] = None
        event["attributes"].pop("exception.stacktrace", None)
    return found


@given(outcome=st.sampled_from([RETURNED, RAISED, CANCELLED]))
def test_to_look_changes_nothing(outcome: str) -> None:
    """A span that nobody has touched tells the same before and after the SDK's state is built."""
    record = begun(provider_with(InMemorySpanExporter()))
    record.conclude(time.monotonic_ns(), outcome, task_name="Task-1", error=("E", "m"))
    record.note("noted", {"n": 1}, time_ns=5)
    before, identity, end = told(record), record.context, record.end_time

    assert "_attributes" not in vars(record)
    assert "Checkout.pay" in record.to_json()
    assert "_attributes" in vars(record)
    assert (before, identity, end) == (told(record), record.context, record.end_time)


class Day:
    """A clock on the wall, which somebody may set."""

    def __init__(self) -> None:
        self.offset_ns = 10**18

    def time_ns(self) -> int:
        return time.monotonic_ns() + self.offset_ns


@pytest.mark.parametrize("touched", [False, True])
def test_a_span_lasts_as_long_as_its_task_whoever_sets_the_clock(touched: bool) -> None:
    day = Day()
    clock = Clock(time_ns=day.time_ns)
    record = begun(provider_with(InMemorySpanExporter()), clock)
    if touched:
        record.set_attribute("touched", 1)
    day.offset_ns -= 3600 * 10**9
    clock.adjust()
    ended(record)

    assert record.start_time is not None
    assert record.end_time is not None
    assert record.end_time - record.start_time == record.end_ns - record.start_ns


def test_notes_are_events_whether_or_not_somebody_has_written() -> None:
    record = begun(provider_with(InMemorySpanExporter()))
    record.note("first", {"n": 1}, time_ns=5)
    record.add_event("second", {"n": 2}, 6)
    record.note("third", {"n": 3}, time_ns=7)

    assert [(event.name, event.timestamp, dict(event.attributes or {})) for event in record.events] == [
        ("first", 5, {"n": 1}),
        ("second", 6, {"n": 2}),
        ("third", 7, {"n": 3}),
    ]


def test_nothing_is_written_once_the_task_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    exporter = InMemorySpanExporter()
    record = begun(provider_with(exporter))
    record.set_attribute("before", 1)
    record.conclude(time.monotonic_ns(), RETURNED, task_name="Task-1", error=None)
    recording = record.is_recording()
    record.set_attribute("after", 1)
    record.add_event("after")
    record.update_name("after")
    record.set_status(StatusCode.ERROR)
    record.end()
    record.hand_on()
    [span] = exporter.get_finished_spans()

    assert not recording
    assert span.name == "Checkout.pay"
    assert of(span, "before") == 1
    assert of(span, "after") is None
    assert span.events == ()
    assert span.status.status_code is StatusCode.UNSET
    assert "ended span" in caplog.text


def test_many_threads_may_write_to_one_span() -> None:
    threads, each = 8, 25
    for _ in range(10):
        record = begun(provider_with(InMemorySpanExporter(), SpanLimits(max_attributes=1000)))
        together = threading.Barrier(threads)

        def write(number: int, record: TaskSpan = record, together: threading.Barrier = together) -> None:
            together.wait(10)
            for count in range(each):
                record.set_attribute(f"{number}.{count}", count)
                if not count % 5:
                    record.add_event(f"{number}.{count}")
                    record.note(f"note {number}.{count}", {}, time_ns=1)

        writers = [threading.Thread(target=write, args=(number,)) for number in range(threads)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        found = dict(record.attributes)

        assert sum("." in key and key[0].isdigit() for key in found) == threads * each
        assert len({event.name for event in record.events}) == len(record.events) == threads * each // 5 * 2


# Spans of real tasks.


async def sleeping() -> None:
    await asyncio.sleep(0)


async def failing() -> None:
    await asyncio.sleep(0)
    raise LookupError("it is not there")


async def forever() -> None:
    await asyncio.Event().wait()


def test_a_span_tells_what_the_task_was(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        await asyncio.create_task(sleeping(), name="the sleeper")

    telemetry.start()
    before = time.time_ns()
    loops.run(main())
    after = time.time_ns()
    span = telemetry.span("sleeping")
    attributes = dict(span.attributes or {})
    attributes.pop(names.TASK_SCHEDULE_DURATION, None)
    created = attributes.pop(names.TASK_CREATED_LINE)

    assert attributes == {
        "code.function.name": f"{__name__}.sleeping",
        "code.file.path": __file__,
        "code.line.number": sleeping.__code__.co_firstlineno,
        "asyncio.task.name": "the sleeper",
        "asyncio.task.outcome": "returned",
        "asyncio.task.created.function": main.__qualname__,
        "asyncio.task.created.file": __file__,
    }
    assert created == main.__code__.co_firstlineno + 1
    assert (span.name, span.kind) == ("sleeping", SpanKind.INTERNAL)
    assert span.status.status_code is StatusCode.UNSET
    assert before - 5_000_000 <= (span.start_time or 0) <= (span.end_time or 0) <= after + 5_000_000
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "aiotel"


def test_only_a_task_that_raised_is_an_error(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        hanging = asyncio.create_task(forever())
        await asyncio.gather(failing(), return_exceptions=True)
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)

    telemetry.start()
    loops.run(main())
    failed, cancelled = telemetry.span("failing"), telemetry.span("forever")

    assert (failed.status.status_code, failed.status.description) == (
        StatusCode.ERROR,
        "LookupError: it is not there",
    )
    assert (of(failed, "asyncio.task.outcome"), of(failed, "error.type")) == ("raised", "LookupError")
    assert cancelled.status.status_code is StatusCode.UNSET
    assert (of(cancelled, "asyncio.task.outcome"), of(cancelled, "error.type")) == ("cancelled", None)


def test_a_task_that_still_lives_at_the_end_is_pending(loops: Loops, telemetry: Telemetry) -> None:
    loop = loops.new()
    telemetry.start()
    task = loop.create_task(forever())
    loop.run_until_complete(sleeping())
    session = telemetry.session
    assert session is not None
    session.close()
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()

    assert of(telemetry.span("forever"), "asyncio.task.outcome") == "pending"


class AtStart(SpanProcessor):
    """Reads the texts of each span as it starts."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.seen.append([value for value in (span.attributes or {}).values() if isinstance(value, str)])


@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize("limit", ["count", "length", "links"])
def test_limits_of_the_provider_hold_for_untouched_spans(
    loops: Loops, telemetry: Telemetry, limit: str, listening: bool
) -> None:
    async def main() -> None:
        with aiotel.detached():
            task = asyncio.create_task(sleeping())
        await task

    chosen = {
        "count": SpanLimits(max_span_attributes=3),
        "length": SpanLimits(max_span_attribute_length=4),
        "links": SpanLimits(max_links=0),
    }[limit]
    starting = AtStart()
    provide(telemetry, *([starting] if listening else []), span_limits=chosen)
    telemetry.start()
    loops.run(main())
    span = telemetry.span("sleeping")
    links = list(span.links)  # first: nothing must depend on what is read when
    texts = [value for value in (span.attributes or {}).values() if isinstance(value, str)]

    if limit == "count":
        assert (len(span.attributes or {}), span.dropped_attributes > 3) == (3, True)
    elif limit == "length":
        assert max(map(len, texts)) == 4
    else:
        assert (links, span.dropped_links) == ([], 1)
    if listening:
        assert len(starting.seen) == 2
        assert limit != "count" or max(map(len, starting.seen)) <= 3
        assert limit != "length" or max(len(text) for texts in starting.seen for text in texts) == 4


def test_the_console_exporter_prints_task_spans(loops: Loops, telemetry: Telemetry) -> None:
    out = StringIO()
    provide(telemetry, SimpleSpanProcessor(ConsoleSpanExporter(out=out, formatter=one_line)))
    telemetry.start()
    loops.run(sleeping())
    assert telemetry.spans
    [printed] = [json.loads(line) for line in out.getvalue().splitlines()]

    assert printed["name"] == "sleeping"
    assert printed["attributes"]["asyncio.task.outcome"] == "returned"
    assert printed["kind"] == "SpanKind.INTERNAL"


def one_line(span: ReadableSpan) -> str:
    return f"{span.to_json(indent=None)}\n"


def test_what_a_task_raised_is_redacted_in_its_span(loops: Loops, telemetry: Telemetry) -> None:
    async def fails() -> None:
        raise ValueError("card 4111")

    async def main() -> None:
        await asyncio.gather(fails(), return_exceptions=True)

    telemetry.start(redact=lambda text: text.replace("4111", "****"))
    loops.run(main())

    assert telemetry.span("fails").status.description == "ValueError: card ****"
