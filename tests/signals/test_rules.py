"""Which trace a task belongs to: the task tree, traces that end, and connections that only carry."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import random
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, ParentBased, TraceIdRatioBased

import aiotel
from aiotel._signals import names

from ..conftest import Loops, Telemetry
from .conftest import Node, grown, ids, last, of, provide, traces
from .test_sampling import Deciding


async def leaf() -> None:
    await asyncio.sleep(0)


def from_a_callback(function: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Future[asyncio.Task[None]]:
    """The task that a bare callback makes of this."""
    loop = asyncio.get_running_loop()
    created: asyncio.Future[asyncio.Task[None]] = loop.create_future()
    loop.call_soon(lambda: created.set_result(loop.create_task(function())))
    return created


async def current_span() -> trace.Span:
    return trace.get_current_span()


# Rule 1: the user's traces are what they were.


def test_where_no_span_is_current_none_is_current_inside_a_task(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> list[trace.Span]:
        return [trace.get_current_span(), await asyncio.create_task(current_span())]

    telemetry.start()

    assert all(span is trace.INVALID_SPAN for span in loops.run(main()))


def test_a_users_root_span_inside_a_task_stays_a_root(loops: Loops, telemetry: Telemetry) -> None:
    tracer = telemetry.tracer_provider.get_tracer("user")

    async def work() -> None:
        with tracer.start_as_current_span("request"):
            await asyncio.create_task(leaf())

    async def main() -> None:
        await asyncio.create_task(work())

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "work": "main", "request": None, "leaf": "request"}
    assert len(traces(telemetry.spans)) == 2


# Rule 3: the task tree.


async def by_gather() -> None:
    await asyncio.gather(leaf(), leaf())


async def by_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(leaf())


async def by_ensure_future() -> None:
    await asyncio.ensure_future(leaf())


async def by_loop() -> None:
    await asyncio.get_running_loop().create_task(leaf())


async def by_wait() -> None:
    await asyncio.wait([asyncio.create_task(leaf())])


async def by_shield() -> None:
    await asyncio.shield(leaf())


async def by_as_completed() -> None:
    for each in asyncio.as_completed([leaf()]):
        await each


async def by_an_explicit_context() -> None:
    await asyncio.create_task(leaf(), context=contextvars.Context())


@pytest.mark.parametrize(
    "maker",
    [
        by_gather,
        by_group,
        by_ensure_future,
        by_loop,
        by_wait,
        by_shield,
        by_as_completed,
        by_an_explicit_context,
    ],
)
def test_a_task_is_a_child_of_the_task_that_created_it(
    loops: Loops, telemetry: Telemetry, maker: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    async def main() -> None:
        await asyncio.create_task(maker())

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, maker.__name__: "main", "leaf": maker.__name__}
    assert len(traces(telemetry.spans)) == 1


def test_a_task_that_its_constructor_made_is_adopted_when_it_creates_something(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def built() -> None:
        await asyncio.create_task(leaf())
        await asyncio.create_task(leaf())

    async def main() -> None:
        await asyncio.Task(built())

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "built": None, "leaf": "built"}
    assert [last(span) for span in telemetry.spans].count("built") == 1


def test_tasks_older_than_aiotel_are_adopted_with_what_they_create(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def older(instrumented: asyncio.Event) -> None:
        await instrumented.wait()
        await asyncio.create_task(leaf())

    async def main() -> None:
        instrumented = asyncio.Event()
        task = asyncio.create_task(older(instrumented))
        await asyncio.sleep(0)
        telemetry.start()
        instrumented.set()
        await task

    loops.run(main())

    assert telemetry.parents() == {"older": None, "leaf": "older"}


def test_every_run_of_a_runner_is_a_trace(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        await asyncio.create_task(leaf())

    telemetry.start()
    with asyncio.Runner(loop_factory=loops.new) as runner:
        for _ in range(3):
            runner.run(main())

    assert [[last(span) for span in each] for each in traces(telemetry.spans)] == [["main", "leaf"]] * 3


def test_the_main_task_is_no_callbacks_work(loops: Loops, telemetry: Telemetry) -> None:
    tracer = telemetry.tracer_provider.get_tracer("user")

    async def main() -> None:
        with tracer.start_as_current_span("root"):
            await asyncio.sleep(0)

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "root": None}
    assert of(telemetry.span("main"), names.TASK_DETACHED_REASON) is None
    assert of(telemetry.span("root"), names.TASK_NAME) is None


def test_what_another_thread_submits_is_a_child_of_the_span_that_is_current_there(
    loops: Loops, telemetry: Telemetry
) -> None:
    tracer = telemetry.tracer_provider.get_tracer("user")

    def submit(loop: asyncio.AbstractEventLoop) -> None:
        with tracer.start_as_current_span("submitting"):
            asyncio.run_coroutine_threadsafe(leaf(), loop).result(10)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=submit, args=(loop,))
        thread.start()
        await loop.run_in_executor(None, thread.join)

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "submitting": None, "leaf": "submitting"}


def test_a_task_of_one_loop_is_a_child_of_the_span_of_another_loops_task(
    loops: Loops, telemetry: Telemetry
) -> None:
    tracer = telemetry.tracer_provider.get_tracer("user")

    async def asking(other: asyncio.AbstractEventLoop) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(leaf(), other))

    async def main() -> None:
        other = loops.new()
        thread = threading.Thread(target=other.run_forever)
        thread.start()
        with tracer.start_as_current_span("request"):
            await asyncio.create_task(asking(other))
        other.call_soon_threadsafe(other.stop)
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        other.close()

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "request": None, "asking": "request", "leaf": "asking"}


def test_a_task_is_the_parent_of_what_it_creates_in_its_first_step(
    loops: Loops, telemetry: Telemetry
) -> None:
    inner: list[asyncio.Task[None]] = []

    async def starting() -> None:
        inner.append(asyncio.create_task(leaf()))

    async def main() -> None:
        await asyncio.create_task(starting())
        await inner[0]

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "starting": "main", "leaf": "starting"}


# Rule 4: traces that end, and new ones that are linked.


def assert_linked(span: ReadableSpan, parent: ReadableSpan, reason: str) -> None:
    assert span.parent is None
    assert [link.context for link in span.links] == [parent.context]
    assert span.context.trace_id != parent.context.trace_id
    trace_id, span_id = ids(parent)
    assert reason == of(span, names.TASK_DETACHED_REASON)
    assert (trace_id, span_id) == (of(span, names.TASK_PARENT_TRACE_ID), of(span, names.TASK_PARENT_SPAN_ID))


@pytest.mark.parametrize("seed", range(5))
def test_no_trace_has_more_tasks_than_allowed(loops: Loops, telemetry: Telemetry, seed: int) -> None:
    dice = random.Random(seed)
    numbers = iter(range(1000))

    def tree(depth: int) -> Node:
        children = dice.randrange(5) if depth else 0
        return Node(f"task{next(numbers)}", tuple(tree(depth - 1) for _ in range(children)))

    root = Node("root", tuple(tree(4) for _ in range(3)))
    telemetry.start(trace_max_tasks=7)
    loops.run(grown(root))
    spans = telemetry.spans
    by_name = {span.name: span for span in spans}

    assert root.size == len(spans) == len(by_name)
    assert max(len(each) for each in traces(spans)) == min(7, root.size)

    def check(node: Node) -> None:
        for child in node.children:
            span, parent = by_name[child.name], by_name[node.name]
            if span.parent is None:
                assert_linked(span, parent, "size")
            else:
                assert span.parent.span_id == parent.context.span_id
            check(child)

    check(root)


class _Listening(SpanProcessor):
    """Where somebody listens to spans as they start, no case is decided in short."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """It is enough to be here."""


@pytest.mark.parametrize("limit", [{"trace_max_tasks": 3}, {"trace_max_age": 0.0000001}])
@pytest.mark.parametrize(
    "sampler", [ALWAYS_ON, ParentBased(ALWAYS_ON), ParentBased(TraceIdRatioBased(1.0))], ids=str
)
def test_what_is_decided_in_short_is_what_would_be_decided_at_length(
    loops: Loops, sampler: Any, limit: dict[str, Any]
) -> None:
    """Traces that are too long, with and without somebody else's baggage."""

    async def branch() -> None:
        await asyncio.gather(leaf(), leaf())

    async def main() -> None:
        await asyncio.gather(branch(), branch())
        token = otel_context.attach(baggage.set_baggage("user", "7"))
        await asyncio.create_task(branch())
        otel_context.detach(token)

    def told(*, at_length: bool) -> list[str]:
        telemetry = Telemetry()
        provider = provide(telemetry, *[_Listening()] * at_length, sampler=sampler)
        telemetry.start(**limit)
        loops.run(main())
        spans = telemetry.spans
        aiotel.uninstrument()
        provider.shutdown()
        by_id = {span.context.span_id: span.name for span in spans}
        return sorted(
            repr(
                (
                    span.name,
                    span.parent and by_id[span.parent.span_id],
                    [by_id[link.context.span_id] for link in span.links],
                    span.context.trace_flags,
                    len({other.name for other in spans if other.context.trace_id == span.context.trace_id}),
                    {
                        key: by_id[int(str(value), 16)] if key == names.TASK_PARENT_SPAN_ID else value
                        for key, value in (span.attributes or {}).items()
                        if key not in _DIFFERENT
                    },
                )
            )
            for span in spans
        )

    in_short = told(at_length=False)

    assert any(names.TASK_DETACHED_REASON in each for each in in_short)
    assert told(at_length=True) == in_short


# Of each run's own: names count on, times differ, and ids are random.
_DIFFERENT = {names.TASK_NAME, names.TASK_SCHEDULE_DURATION, names.TASK_PARENT_TRACE_ID}


def test_what_a_long_lived_task_starts_later_is_a_trace_of_its_own(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def job() -> None:
        await asyncio.create_task(leaf())

    async def main() -> trace.Span:
        await asyncio.create_task(current_span())
        await asyncio.sleep(0.03)
        await asyncio.create_task(job())
        return trace.get_current_span()

    telemetry.start(trace_max_age=0.02)
    loops.run(main())

    assert telemetry.parents() == {"main": None, "current_span": "main", "job": None, "leaf": "job"}
    assert_linked(telemetry.span("job"), telemetry.span("main"), "age")


def test_a_task_that_starts_itself_again_for_ever_does_not_make_one_endless_trace(
    loops: Loops, telemetry: Telemetry
) -> None:
    generations = 50
    children: list[asyncio.Task[None]] = []

    async def respawning(left: int, done: asyncio.Event) -> None:
        if left:
            children.append(asyncio.create_task(respawning(left - 1, done)))
        else:
            done.set()

    async def main() -> None:
        done = asyncio.Event()
        await asyncio.create_task(respawning(generations, done))
        await done.wait()
        await asyncio.gather(*children)

    telemetry.start(trace_max_tasks=10)
    loops.run(main())

    assert [len(each) for each in traces(telemetry.spans)] == [10, 10, 10, 10, 10, 2]


def test_a_task_created_in_a_bare_callback_starts_a_trace(loops: Loops, telemetry: Telemetry) -> None:
    async def job() -> None:
        await asyncio.create_task(leaf())

    async def main() -> None:
        await (await from_a_callback(job))

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "job": None, "leaf": "job"}
    assert of(telemetry.span("job"), names.TASK_DETACHED_REASON) == "callback"
    assert telemetry.span("job").context.trace_id != telemetry.span("main").context.trace_id


def test_detached_tasks_start_linked_traces_and_what_follows_does_not(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def job() -> None:
        await asyncio.create_task(leaf())

    async def after() -> None:
        pass

    async def main() -> None:
        with aiotel.detached():
            task = asyncio.create_task(job())
        await task
        await asyncio.create_task(after())

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "job": None, "leaf": "job", "after": "main"}
    assert_linked(telemetry.span("job"), telemetry.span("main"), "detached")


def test_detached_tasks_leave_a_users_trace_and_keep_its_baggage(loops: Loops, telemetry: Telemetry) -> None:
    tracer = telemetry.tracer_provider.get_tracer("user")

    async def job() -> tuple[trace.Span, object]:
        await asyncio.create_task(leaf())
        with tracer.start_as_current_span("inner"):
            pass
        return trace.get_current_span(), baggage.get_baggage("customer")

    async def main() -> tuple[trace.Span, object]:
        otel_context.attach(baggage.set_baggage("customer", "7"))
        with tracer.start_as_current_span("request"), aiotel.detached():
            task = asyncio.create_task(job())
        return await task

    telemetry.start()
    found = loops.run(main())

    assert found == (trace.INVALID_SPAN, "7")
    assert telemetry.parents() == {"main": None, "request": None, "job": None, "leaf": "job", "inner": None}
    assert_linked(telemetry.span("job"), telemetry.span("request"), "detached")


def test_functions_named_by_a_pattern_start_linked_traces(loops: Loops, telemetry: Telemetry) -> None:
    async def worker() -> None:
        await asyncio.create_task(leaf())

    async def main() -> None:
        await asyncio.gather(worker(), leaf())

    telemetry.start(detach=("*.worker", "elsewhere.*"))
    loops.run(main())

    assert_linked(telemetry.span("worker"), telemetry.span("main"), "pattern")
    assert sorted(map(len, traces(telemetry.spans))) == [2, 2]


def test_an_adopted_task_is_what_its_detached_tasks_link_to(loops: Loops, telemetry: Telemetry) -> None:
    async def built() -> None:
        with aiotel.detached():
            task = asyncio.create_task(leaf())
        await task

    async def main() -> None:
        await asyncio.Task(built())

    telemetry.start()
    loops.run(main())

    assert_linked(telemetry.span("leaf"), telemetry.span("built"), "detached")


@pytest.mark.parametrize("how", ["detached", "pattern", "size"])
def test_linked_traces_keep_the_sampled_flag_of_where_they_came_from(
    loops: Loops, telemetry: Telemetry, how: str
) -> None:
    async def job() -> None:
        await asyncio.create_task(leaf())

    async def between() -> None:
        if how == "detached":
            with aiotel.detached():
                task = asyncio.create_task(job())
        else:
            task = asyncio.create_task(job())
        await task

    async def main() -> None:
        await asyncio.create_task(between())

    provide(telemetry, sampler=ParentBased(TraceIdRatioBased(0.5)))
    telemetry.start(
        detach=("*.job",) if how == "pattern" else (), trace_max_tasks=2 if how == "size" else 1000
    )
    runs = 40
    for _ in range(runs):
        loops.run(main())
    counts = {name: [last(span) for span in telemetry.spans].count(name) for name in ("main", "job", "leaf")}

    assert 0 < counts["main"] < runs
    assert counts["main"] == counts["job"] == counts["leaf"]


def test_what_was_detached_before_there_was_a_provider_is_not_detached_for_ever(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def job(provided: asyncio.Event) -> None:
        await provided.wait()
        await asyncio.create_task(leaf())

    async def main() -> None:
        provided = asyncio.Event()
        with aiotel.detached():
            task = asyncio.create_task(job(provided))
        trace._TRACER_PROVIDER = telemetry.tracer_provider
        session.flush()
        provided.set()
        await task

    session = aiotel.instrument(aiotel.Config())
    try:
        loops.run(main())
        aiotel.uninstrument()
    finally:
        trace._TRACER_PROVIDER = None
    found = {last(span): of(span, names.TASK_DETACHED_REASON) for span in telemetry.spans}

    assert found["leaf"] is None


# Rule 5: connections only carry.


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("spans_under_it", [False, True])
def test_a_connections_task_gives_way_to_the_root_span_that_it_carries(
    loops: Loops, telemetry: Telemetry, spans_under_it: bool
) -> None:
    tracer = telemetry.tracer_provider.get_tracer("user")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with tracer.start_as_current_span("request", kind=trace.SpanKind.SERVER):
            writer.write(await reader.readline())
            if spans_under_it:
                await asyncio.create_task(leaf())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for _ in range(2):
            assert await ask(port) == b"hello\n"
        server.close()
        await asyncio.sleep(0)

    telemetry.start()
    loops.run(main())
    spans = [last(span) for span in telemetry.spans]
    requests = [span for span in telemetry.spans if span.name == "request"]

    assert "connected" not in spans
    assert spans.count("request") == 2
    assert spans.count("leaf") == (2 if spans_under_it else 0)
    assert all(span.parent is None and of(span, names.TASK_NAME) for span in requests)


def test_a_failure_of_a_connections_task_is_logged_in_the_trace_of_the_root_that_it_carried(
    loops: Loops, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    tracer = telemetry.tracer_provider.get_tracer("user")

    async def connected() -> None:
        with tracer.start_as_current_span("request"):
            await asyncio.sleep(0)
        raise ValueError("after the request")

    async def main() -> None:
        await asyncio.wait([await from_a_callback(connected)])

    telemetry.start()
    loops.run(main())
    gc.collect()
    [log] = telemetry.logs
    root = telemetry.span("request").context

    assert (log.trace_id, log.span_id, log.trace_flags) == (root.trace_id, root.span_id, 1)
    assert "connected" not in telemetry.parents()


def test_a_failure_under_an_unsampled_span_is_logged_with_that_spans_identity(
    loops: Loops, telemetry: Telemetry
) -> None:
    unsampled = trace.NonRecordingSpan(trace.SpanContext(7, 8, is_remote=True))

    async def failing() -> None:
        raise ValueError("unseen")

    async def main() -> None:
        with trace.use_span(unsampled):
            task = asyncio.create_task(failing())
        await asyncio.wait([task])

    telemetry.start()
    loops.run(main())
    gc.collect()
    [log] = telemetry.logs

    assert (log.trace_id, log.span_id, log.trace_flags) == (7, 8, 0)


def test_a_callbacks_task_without_a_root_span_inside_keeps_its_own(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        await ask(server.sockets[0].getsockname()[1])
        server.close()
        await asyncio.sleep(0)

    telemetry.start()
    loops.run(main())

    assert of(telemetry.span("connected"), names.TASK_DETACHED_REASON) == "callback"


def test_a_carrier_stays_where_something_was_parented_on_it(loops: Loops, telemetry: Telemetry) -> None:
    tracer = telemetry.tracer_provider.get_tracer("user")

    async def job() -> None:
        await asyncio.create_task(leaf())
        with tracer.start_as_current_span("root"):
            pass

    async def main() -> None:
        for _ in range(2):
            await (await from_a_callback(job))

    telemetry.start()
    loops.run(main())

    assert telemetry.parents() == {"main": None, "job": None, "leaf": "job", "root": None}


def test_a_carrier_takes_no_sampling_decision(loops: Loops, telemetry: Telemetry) -> None:
    sampler = Deciding(lambda name: Decision.RECORD_AND_SAMPLE)
    provide(telemetry, sampler=sampler)
    tracer = telemetry.tracer_provider.get_tracer("user")

    async def job() -> None:
        with tracer.start_as_current_span("root"):
            pass

    async def main() -> None:
        await (await from_a_callback(job))

    telemetry.start()
    loops.run(main())
    spans = [last(span) for span in telemetry.spans]

    assert sorted(spans) == ["main", "root"]
    assert [asked[0].split(".")[-1] for asked in sampler.asked] == ["main", "root"]
