"""Random programs of spans and tasks: the user's own spans are the same with aiotel and without."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, Decision, ParentBased, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags

import aiotel
from aiotel._signals import names

from ..conftest import Loops
from .test_sampling import Deciding, Listening


@dataclass(frozen=True)
class Step:
    """Something that a program does, and what it does within."""

    what: str
    inside: tuple[Step, ...] = ()


class Program:
    """Runs steps; what it sees of the current span on the way is part of what is compared."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._numbers = itertools.count()
        self._late: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()
        self.seen: list[object] = []

    async def main(self, program: tuple[Step, ...]) -> None:
        await self._all(program)
        self._over.set()
        while self._late:
            await self._late.pop(0)

    async def _all(self, inside: tuple[Step, ...]) -> None:
        for step in inside:
            self.seen.append(self._look())
            await self._do(step)

    @staticmethod
    def _look() -> tuple[object, ...]:
        span: Any = trace.get_current_span()
        context = span.get_span_context()
        # Once the user's span has ended, what is written and read is the task's: it is not lost.
        if getattr(getattr(span, "user", span), "end_time", None) is not None:
            return ("ended",)
        return (
            *(span is trace.INVALID_SPAN, span.is_recording(), isinstance(span, NonRecordingSpan)),
            *(isinstance(span, ReadableSpan), getattr(span, "name", None)),
            *(context.trace_state.to_header(), context.is_valid, sorted(baggage.get_all().items())),
        )

    async def _do(self, step: Step) -> None:
        await getattr(self, step.what)(step.inside)

    # What writes to the current span.

    async def writes(self, inside: tuple[Step, ...]) -> None:
        number = next(self._numbers)
        trace.get_current_span().set_attribute(f"written{number}", number)

    async def adds_an_event(self, inside: tuple[Step, ...]) -> None:
        number = next(self._numbers)
        trace.get_current_span().add_event(f"event{number}", {"n": number})

    async def fails_it(self, inside: tuple[Step, ...]) -> None:
        trace.get_current_span().set_status(StatusCode.ERROR, f"{next(self._numbers)}")

    async def renames_it(self, inside: tuple[Step, ...]) -> None:
        trace.get_current_span().update_name(f"renamed{next(self._numbers)}")

    async def ends_it(self, inside: tuple[Step, ...]) -> None:
        trace.get_current_span().end()

    async def yields(self, inside: tuple[Step, ...]) -> None:
        await asyncio.sleep(0)

    # Spans, and other contexts of OpenTelemetry's.

    async def span(self, inside: tuple[Step, ...]) -> None:
        with self._tracer.start_as_current_span(f"span{next(self._numbers)}"):
            await self._all(inside)

    async def raising_span(self, inside: tuple[Step, ...]) -> None:
        with (
            suppress(LookupError),
            self._tracer.start_as_current_span(f"raising{next(self._numbers)}"),
        ):
            await self._all(inside)
            raise LookupError

    async def again(self, inside: tuple[Step, ...]) -> None:
        with trace.use_span(trace.get_current_span()):
            await self._all(inside)

    async def sampled_caller(self, inside: tuple[Step, ...]) -> None:
        await self._within(trace.set_span_in_context(caller(1)), inside)

    async def unsampled_caller(self, inside: tuple[Step, ...]) -> None:
        await self._within(trace.set_span_in_context(caller(0)), inside)

    async def no_span(self, inside: tuple[Step, ...]) -> None:
        await self._within(trace.set_span_in_context(trace.INVALID_SPAN), inside)

    async def with_baggage(self, inside: tuple[Step, ...]) -> None:
        await self._within(baggage.set_baggage("customer", "7"), inside)

    async def _within(self, context: Context, inside: tuple[Step, ...]) -> None:
        token = otel_context.attach(context)
        try:
            await self._all(inside)
        finally:
            otel_context.detach(token)

    # Tasks.

    async def task(self, inside: tuple[Step, ...]) -> None:
        await asyncio.create_task(self._all(inside))

    async def gathers(self, inside: tuple[Step, ...]) -> None:
        await asyncio.gather(*(self._all((each,)) for each in inside))

    async def group(self, inside: tuple[Step, ...]) -> None:
        async with asyncio.TaskGroup() as group:
            for each in inside:
                group.create_task(self._all((each,)))

    async def task_in_a_copy(self, inside: tuple[Step, ...]) -> None:
        await asyncio.create_task(self._all(inside), context=contextvars.copy_context())

    async def task_in_an_empty_context(self, inside: tuple[Step, ...]) -> None:
        await asyncio.create_task(self._all(inside), context=contextvars.Context())

    async def task_from_a_callback(self, inside: tuple[Step, ...]) -> None:
        loop = asyncio.get_running_loop()
        created: asyncio.Future[asyncio.Task[None]] = loop.create_future()
        loop.call_soon(lambda: created.set_result(loop.create_task(self._all(inside))))
        await (await created)

    async def long_task(self, inside: tuple[Step, ...]) -> None:
        self._late.append(asyncio.create_task(self._later(inside)))

    async def _later(self, inside: tuple[Step, ...]) -> None:
        await self._over.wait()
        await self._all(inside)


def caller(flags: int) -> NonRecordingSpan:
    """The span of somebody far away."""
    return NonRecordingSpan(SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(flags)))


LEAVES = ["writes", "adds_an_event", "fails_it", "renames_it", "ends_it", "yields"]
SPANS = ["span", "raising_span", "again", "sampled_caller", "unsampled_caller", "no_span", "with_baggage"]
TASKS = ["task", "gathers", "group", "long_task"]
TASKS += ["task_in_a_copy", "task_in_an_empty_context", "task_from_a_callback"]
steps = st.recursive(
    st.sampled_from(LEAVES).map(Step),
    lambda inner: st.builds(
        Step, st.sampled_from(["span", *SPANS, "task", *TASKS]), st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=14,
)


def is_ours(span: ReadableSpan) -> bool:
    return span.instrumentation_scope is not None and span.instrumentation_scope.name == names.SCOPE


def told(span: ReadableSpan, by_id: dict[int, ReadableSpan]) -> tuple[Any, ...]:
    """What the user's span says, its parent being the nearest span that is the user's."""
    parent = span.parent
    while parent is not None and parent.span_id in by_id and is_ours(by_id[parent.span_id]):
        parent = by_id[parent.span_id].parent
    above: object = None
    if parent is not None and not parent.is_remote:
        above = by_id[parent.span_id].name if parent.span_id in by_id else "dropped"
    elif parent is not None:
        above = parent.span_id
    return (
        *(span.name, above, span.status.status_code, span.status.description),
        {key: value for key, value in (span.attributes or {}).items() if key != names.TASK_NAME},
        [(event.name, (event.attributes or {}).get("n")) for event in span.events],
        *(int(span.context.trace_flags), span.context.trace_id == 7),
    )


def outcome(
    program: tuple[Step, ...], loops: Loops, sampler: Sampler, *, watched: bool, listen: bool
) -> tuple[Any, ...]:
    """The user's spans, trace by trace, and what the program saw."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler, resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    if listen:
        provider.add_span_processor(Listening())
    running = Program(provider.get_tracer("user"))
    if watched:
        aiotel.instrument(aiotel.Config(), tracer_provider=provider)
    try:
        loops.run(running.main(program))
    finally:
        aiotel.uninstrument()
    spans = exporter.get_finished_spans()
    by_id = {span.context.span_id: span for span in spans}
    traces: dict[int, list[Any]] = {}
    for span in spans:
        if not is_ours(span):
            traces.setdefault(span.context.trace_id, []).append(told(span, by_id))
    return sorted(([*found] for found in traces.values()), key=repr), running.seen


def by_name() -> Sampler:
    return Deciding(lambda name: Decision.RECORD_AND_SAMPLE if name.startswith("span") else Decision.DROP)


SAMPLERS: list[Callable[[], Sampler]] = [
    lambda: DEFAULT_ON,
    lambda: ALWAYS_ON,
    by_name,
    lambda: ParentBased(by_name()),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    program=st.lists(steps, min_size=1, max_size=4).map(tuple),
    sampler=st.sampled_from(SAMPLERS),
    listen=st.booleans(),
)
def test_the_users_spans_are_what_they_were(
    loops: Loops, program: tuple[Step, ...], sampler: Callable[[], Sampler], listen: bool
) -> None:
    without = outcome(program, loops, sampler(), watched=False, listen=listen)
    watched = outcome(program, loops, sampler(), watched=True, listen=listen)

    assert without == watched
