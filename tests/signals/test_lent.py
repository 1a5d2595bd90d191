"""Under a user's span a task lends its identity, and leaves the user's span what it was."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from aiotel._signals.traces.lent import LentSpan

from ..conftest import Loops, Telemetry
from .conftest import last, of, provide, traces
from .test_sampling import Listening


async def leaf() -> None:
    await asyncio.sleep(0)


def tracer_of(telemetry: Telemetry) -> trace.Tracer:
    return telemetry.tracer_provider.get_tracer("user")


def everything(span: trace.Span) -> None:
    """Write to a span in every way there is."""
    span.set_attribute("one", 1)
    span.set_attributes({"two": 2, "three": [3]})
    span.add_event("event", {"e": 1}, timestamp=7)
    span.add_link(SpanContext(1, 2, is_remote=True), {"l": 1})
    span.record_exception(ValueError("recorded"), attributes={"r": 1}, timestamp=8)
    span.set_status(StatusCode.ERROR, "broken")
    span.update_name("renamed")


def told(span: ReadableSpan) -> dict[str, Any]:
    """All that a span says of itself but its ids and times."""
    return {
        "name": span.name,
        "kind": span.kind,
        "attributes": dict(span.attributes or {}),
        "events": [(event.name, dict(event.attributes or {})) for event in span.events],
        "links": [(link.context, dict(link.attributes or {})) for link in span.links],
        "status": (span.status.status_code, span.status.description),
        "parent": span.parent is not None,
    }


async def writing() -> None:
    everything(trace.get_current_span())
    await asyncio.create_task(nested_writing())


async def nested_writing() -> None:
    trace.get_current_span().set_attribute("nested", True)


def request(telemetry: Telemetry) -> dict[str, Any]:
    """What the user's span says of itself."""
    [span] = [span for span in telemetry.spans if span.kind is SpanKind.SERVER]
    found = told(span)
    for _, attributes in found["events"]:
        attributes.pop("exception.stacktrace", None)
    return found


async def serve(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("request", kind=SpanKind.SERVER):
        await asyncio.create_task(writing())


def test_what_a_task_writes_to_the_current_span_is_on_the_users(loops: Loops, telemetry: Telemetry) -> None:
    loops.run(serve(tracer_of(telemetry)))
    without = request(telemetry)
    telemetry.exporter.clear()
    telemetry.start()
    loops.run(serve(tracer_of(telemetry)))

    assert without == request(telemetry)
    assert without["attributes"] == {"one": 1, "two": 2, "three": (3,), "nested": True}
    assert telemetry.parents() == {
        "serve": None,
        "renamed": None,
        "writing": "renamed",
        "nested_writing": "writing",
    }


def test_told_to_write_to_the_task_it_does(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start(task_span_writes="task")
    loops.run(serve(tracer_of(telemetry)))
    [server] = [span for span in telemetry.spans if span.kind is SpanKind.SERVER]
    [written] = [span for span in telemetry.spans if span.name == "renamed"]

    assert told(server)["attributes"] == {}
    assert server.status.status_code is StatusCode.UNSET
    assert of(written, "one") == 1
    assert [event.name for event in written.events] == ["event", "exception"]
    assert written.status.status_code is StatusCode.ERROR
    assert of(telemetry.span("nested_writing"), "nested") is True
    assert telemetry.parents() == {
        "serve": None,
        "request": None,
        "renamed": "request",
        "nested_writing": "renamed",
    }


def within(telemetry: Telemetry, loops: Loops, look: Callable[[trace.Span, trace.Span], Any]) -> Any:
    """What `look` makes of the user's span and of the one that is current in a task under it."""

    async def looking(user: trace.Span) -> Any:
        return look(user, trace.get_current_span())

    async def main() -> Any:
        with tracer_of(telemetry).start_as_current_span("request", attributes={"a": 1}) as user:
            return await asyncio.create_task(looking(user))

    telemetry.start()
    return loops.run(main())


def test_the_current_span_looks_like_the_users(loops: Loops, telemetry: Telemetry) -> None:
    def look(user: Any, current: Any) -> None:
        assert current.get_span_context() != user.get_span_context()
        assert current.get_span_context().trace_id == user.get_span_context().trace_id
        assert [isinstance(current, kind) for kind in (Span, ReadableSpan)] == [True, True]
        assert current.__class__ is user.__class__
        assert current == user
        assert user == current
        assert hash(current) == hash(user)
        assert repr(current) == repr(user)
        assert current.is_recording()
        assert (current.name, current.kind, dict(current.attributes)) == (
            "request",
            SpanKind.INTERNAL,
            {"a": 1},
        )
        assert current.start_time == user.start_time
        assert current.resource is user.resource
        current.my_own = 7
        assert user.my_own == 7
        del current.my_own
        assert not hasattr(user, "my_own")
        with pytest.raises(AttributeError):
            current.nothing_of_that_name  # noqa: B018  # asked for

    within(telemetry, loops, look)


def test_who_ends_the_current_span_ends_the_users(loops: Loops, telemetry: Telemetry) -> None:
    def look(user: trace.Span, current: trace.Span) -> tuple[bool, bool]:
        current.end(end_time=2**62)
        return user.is_recording(), current.is_recording()

    user_recording, current_recording = within(telemetry, loops, look)

    assert user_recording is False
    # What is written now is not lost: it goes to the task.
    assert current_recording is True
    assert telemetry.span("request").end_time == 2**62
    assert telemetry.span("looking").end_time != 2**62


def test_the_current_span_as_a_context_manager_is_the_users(loops: Loops, telemetry: Telemetry) -> None:
    def look(user: trace.Span, current: trace.Span) -> bool:
        with pytest.raises(ZeroDivisionError), current:
            1 / 0  # noqa: B018  # to raise
        return user.is_recording()

    assert within(telemetry, loops, look) is False
    span = telemetry.span("request")
    assert [event.name for event in span.events] == ["exception"]
    assert span.status.status_code is StatusCode.ERROR
    assert telemetry.span("looking").events == ()


def test_a_span_that_is_used_anew_inside_stays_what_it_is(loops: Loops, telemetry: Telemetry) -> None:
    async def looking() -> None:
        with trace.use_span(trace.get_current_span()):
            trace.get_current_span().set_attribute("used", 1)
            await asyncio.create_task(leaf())

    async def main() -> None:
        with tracer_of(telemetry).start_as_current_span("request"):
            await asyncio.create_task(looking())

    telemetry.start()
    loops.run(main())

    assert of(telemetry.span("request"), "used") == 1
    assert telemetry.parents() == {"main": None, "request": None, "looking": "request", "leaf": "looking"}


def test_what_is_written_after_the_users_span_has_ended_is_on_the_task(
    loops: Loops, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    async def late(ended: asyncio.Event) -> None:
        await ended.wait()
        everything(trace.get_current_span())

    async def main() -> None:
        ended = asyncio.Event()
        with tracer_of(telemetry).start_as_current_span("request"):
            task = asyncio.create_task(late(ended))
        ended.set()
        await task

    telemetry.start()
    loops.run(main())
    span = next(span for span in telemetry.spans if span.name == "renamed")

    assert told(telemetry.span("request"))["attributes"] == {}
    assert {"one", "two", "three", "asyncio.task.outcome"} <= set(span.attributes or {})
    assert [event.name for event in span.events] == ["event", "exception"]
    assert [link.context.span_id for link in span.links] == [2]
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "broken")
    assert "ended span" not in caplog.text


def test_a_task_created_under_an_ended_span_is_still_under_it(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        with tracer_of(telemetry).start_as_current_span("request", end_on_exit=False) as span:
            span.end()
            await asyncio.create_task(leaf())

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "request": None, "leaf": "request"}


def remote(*, sampled: bool) -> NonRecordingSpan:
    state = TraceState([("vendor", "x")])
    return NonRecordingSpan(
        SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(sampled), trace_state=state)
    )


def test_a_task_under_a_remote_span_is_in_its_trace(loops: Loops, telemetry: Telemetry) -> None:
    carrier: dict[str, str] = {}

    async def calling() -> trace.Span:
        TraceContextTextMapPropagator().inject(carrier)
        await asyncio.create_task(leaf())
        return trace.get_current_span()

    async def main() -> trace.Span:
        otel_context.attach(set_span_in_context(remote(sampled=True)))
        return await asyncio.create_task(calling())

    telemetry.start()
    current = loops.run(main())
    span = telemetry.span("calling")

    assert not current.is_recording()
    assert isinstance(current, NonRecordingSpan)
    assert (span.context.trace_id, span.parent) == (0xABC, remote(sampled=True).get_span_context())
    assert carrier == {
        "traceparent": f"00-{0xABC:032x}-{span.context.span_id:016x}-01",
        "tracestate": "vendor=x",
    }
    assert telemetry.parents() == {"main": None, "calling": "?", "leaf": "calling"}


@pytest.mark.parametrize("local", [True, False], ids=["local", "remote"])
def test_an_unsampled_span_stays_current_and_tasks_under_it_have_none(
    loops: Loops, telemetry: Telemetry, local: bool
) -> None:
    unsampled: trace.Span = remote(sampled=False)
    if local:
        unsampled = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False))

    async def looking() -> trace.Span:
        await asyncio.create_task(leaf())
        return trace.get_current_span()

    async def main() -> trace.Span:
        otel_context.attach(set_span_in_context(unsampled))
        return await asyncio.create_task(looking())

    telemetry.start()

    assert loops.run(main()) is unsampled
    assert [last(span) for span in telemetry.spans] == ["main"]


def test_baggage_and_other_values_are_kept(loops: Loops, telemetry: Telemetry) -> None:
    own: contextvars.ContextVar[int] = contextvars.ContextVar("own")
    key = otel_context.create_key("mine")

    async def looking() -> tuple[object, object, int]:
        found = baggage.get_baggage("customer"), otel_context.get_value(key), own.get()
        own.set(2)
        return found

    async def main() -> tuple[Any, int]:
        own.set(1)
        otel_context.attach(baggage.set_baggage("customer", "7"))
        otel_context.attach(otel_context.set_value(key, "there"))
        with tracer_of(telemetry).start_as_current_span("request"):
            return await asyncio.create_task(looking()), own.get()

    telemetry.start()

    assert loops.run(main()) == (("7", "there", 1), 1)


def test_logs_are_correlated_with_the_task(
    loops: Loops, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """As contrib's and the SDK's log handlers do it: the current span's identity when a record is made."""
    from opentelemetry import _logs

    logger = telemetry.logger_provider.get_logger("user")

    async def logging_task() -> None:
        logger.emit(_logs.LogRecord(body="hello", context=otel_context.get_current()))

    async def main() -> None:
        with tracer_of(telemetry).start_as_current_span("request"):
            await asyncio.create_task(logging_task())

    telemetry.start()
    loops.run(main())
    [record] = telemetry.logs
    identity = telemetry.span("logging_task").context

    assert (record.trace_id, record.span_id) == (identity.trace_id, identity.span_id)


@pytest.mark.parametrize("listening", [False, True])
def test_a_context_that_the_caller_gave_is_left_alone(
    loops: Loops, telemetry: Telemetry, listening: bool
) -> None:
    if listening:
        provide(telemetry, Listening())
    seen: list[trace.Span] = []

    async def looking() -> None:
        seen.append(trace.get_current_span())
        await asyncio.create_task(leaf())

    async def main() -> None:
        with tracer_of(telemetry).start_as_current_span("request") as user:
            context = contextvars.copy_context()
            before = dict(context.items())
            await asyncio.create_task(looking(), context=context)
            assert seen == [user]
            assert seen[0] is user
            assert {key: value for key, value in context.items() if key in before} == before

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "request": None, "looking": "request", "leaf": "looking"}


def test_a_main_task_under_a_users_span_is_found_by_its_children(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> trace.Span:
        await asyncio.create_task(leaf())
        return trace.get_current_span()

    telemetry.start()
    with tracer_of(telemetry).start_as_current_span("script") as script:
        assert loops.run(main()) is script

    assert telemetry.parents() == {"script": None, "main": "script", "leaf": "main"}


def test_a_span_that_is_made_current_again_is_the_parent(loops: Loops, telemetry: Telemetry) -> None:
    async def working(user: trace.Span) -> None:
        with trace.use_span(user):
            await asyncio.create_task(leaf())

    async def main() -> None:
        with tracer_of(telemetry).start_as_current_span("request") as user:
            await asyncio.create_task(working(user))

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "request": None, "working": "request", "leaf": "request"}


@pytest.mark.parametrize("listening", [False, True])
def test_nested_tasks_do_not_stand_in_a_row(loops: Loops, telemetry: Telemetry, listening: bool) -> None:
    if listening:
        provide(telemetry, Listening())

    async def deep(left: int) -> Any:
        if left:
            return await asyncio.create_task(deep(left - 1))
        return trace.get_current_span()

    async def main() -> tuple[Any, trace.Span]:
        with tracer_of(telemetry).start_as_current_span("request") as user:
            return await asyncio.create_task(deep(50)), user

    telemetry.start()
    current, user = loops.run(main())

    assert type(current) is LentSpan
    assert current.user is user
    assert len(traces(telemetry.spans)) == 2


def test_a_users_own_span_inside_a_task_is_under_the_task(loops: Loops, telemetry: Telemetry) -> None:
    async def calling() -> None:
        with tracer_of(telemetry).start_as_current_span("query"):
            await asyncio.create_task(leaf())

    async def main() -> None:
        with tracer_of(telemetry).start_as_current_span("request"):
            await asyncio.create_task(calling())

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {
        "main": None,
        "request": None,
        "calling": "request",
        "query": "calling",
        "leaf": "query",
    }


def test_the_rules_hold_where_one_loop_alone_is_instrumented(loops: Loops, telemetry: Telemetry) -> None:
    loop = loops.new()
    seen: list[trace.Span] = []

    async def handler() -> None:
        seen.append(trace.get_current_span())
        seen[0].set_attribute("written", 1)
        await asyncio.create_task(leaf())

    async def main() -> None:
        with tracer_of(telemetry).start_as_current_span("request"):
            await asyncio.create_task(handler())

    telemetry.start(loop=loop)
    loop.run_until_complete(main())
    loop.close()

    assert type(seen[0]) is LentSpan
    assert of(telemetry.span("request"), "written") == 1
    assert telemetry.parents() == {"main": None, "request": None, "handler": "request", "leaf": "handler"}


@pytest.mark.parametrize("how", ["broken off", "collected"])
def test_generators_closed_by_the_collector_find_nothing_to_detach(
    loops: Loops, telemetry: Telemetry, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(10):
            await asyncio.create_task(leaf())
            yield number

    async def consuming() -> None:
        async for _ in numbers():
            if how == "broken off":
                break
            await asyncio.Event().wait()

    async def main() -> None:
        with tracer_of(telemetry).start_as_current_span("request"):
            task = asyncio.create_task(consuming())
            await asyncio.sleep(0.001)
            task.cancel()
            del task
            gc.collect()
            await asyncio.sleep(0)

    telemetry.start()
    with caplog.at_level(logging.DEBUG):
        loops.run(main())
        gc.collect()

    assert "detach" not in caplog.text


def test_a_status_set_by_hand_wins_over_the_outcome(loops: Loops, telemetry: Telemetry) -> None:
    async def failing() -> None:
        trace.get_current_span().set_status(Status(StatusCode.OK))
        raise ValueError("all the same")

    async def main() -> None:
        with tracer_of(telemetry).start_as_current_span("request"):
            await asyncio.gather(asyncio.create_task(failing()), return_exceptions=True)

    telemetry.start(task_span_writes="task")
    loops.run(main())

    assert telemetry.span("failing").status.status_code is StatusCode.OK
