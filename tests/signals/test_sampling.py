"""Which tasks have spans: whatever the sampler says, asked as the SDK would ask it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    AlwaysRecordSampler,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

import aiotel
from aiotel._clock import Clock
from aiotel._signals import names
from aiotel._signals.traces.ids import Ids
from aiotel._signals.traces.sdk import SdkSpans
from aiotel._signals.traces.source import Source

from ..conftest import Loops, Telemetry
from .conftest import Node, grown, last, of, provide

Asked = tuple[str, SpanKind | None, int | None, str, int]


class Deciding(Sampler):
    """Decides by name, marks what it keeps, and remembers what it was asked."""

    def __init__(self, decide: Callable[[str], Decision], *, marks: bool = False) -> None:
        self._decide = decide
        self._marks = marks
        self.asked: list[Asked] = []

    def should_sample(  # noqa: PLR0917  # the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        above = trace.get_current_span(parent_context).get_span_context()
        flags = int(above.trace_flags) if above.is_valid else None
        self.asked.append((name, kind, flags, above.trace_state.to_header(), len(links or ())))
        state = None
        if self._marks:
            attributes = {**(attributes or {}), "sampler.depth": len(above.trace_state) + 1}
            state = above.trace_state.add(name.lower(), "1")
        return SamplingResult(self._decide(name), attributes, state)

    def get_description(self) -> str:
        return "Deciding"


def _drop_odd(name: str) -> Decision:
    return Decision.DROP if sum(name.encode()) % 2 else Decision.RECORD_AND_SAMPLE


def _three_ways(name: str) -> Decision:
    return list(Decision)[sum(name.encode()) % 3]


SAMPLERS: dict[str, Callable[[], Sampler]] = {
    "always on": lambda: ALWAYS_ON,
    "always off": lambda: ALWAYS_OFF,
    "parent-based, on": lambda: DEFAULT_ON,
    "parent-based, off": lambda: DEFAULT_OFF,
    "a ratio": lambda: TraceIdRatioBased(0.5),
    "parent-based, a ratio": lambda: ParentBasedTraceIdRatio(0.5),
    "by name": lambda: Deciding(_drop_odd),
    "by name, recording some only": lambda: Deciding(_three_ways),
    "by name, with marks": lambda: Deciding(_three_ways, marks=True),
    "parent-based, roots by name": lambda: ParentBased(Deciding(_three_ways, marks=True)),
    "parent-based, children by name": lambda: ParentBased(
        TraceIdRatioBased(0.5),
        local_parent_sampled=Deciding(_drop_odd),
        local_parent_not_sampled=Deciding(_three_ways),
    ),
    "record only": lambda: StaticSampler(Decision.RECORD_ONLY),
    "always record, by name": lambda: AlwaysRecordSampler(Deciding(_drop_odd, marks=True)),
    "always record, parent-based": lambda: AlwaysRecordSampler(ParentBased(Deciding(_drop_odd))),
    "parent-based, roots always recorded": lambda: ParentBased(AlwaysRecordSampler(TraceIdRatioBased(0.5))),
}


class Numbered(IdGenerator):
    """Ids in a fixed order; trace ids spread so that a ratio keeps about half of them."""

    def __init__(self) -> None:
        self._random = random.Random(7)
        self._spans = 0

    def generate_span_id(self) -> int:
        self._spans += 1
        return self._spans

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128)


class Recorded(SpanProcessor):
    """All spans that were recorded, sampled or not."""

    def __init__(self) -> None:
        self.ended: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(span)


Shape = dict[str, tuple[str | None, int, str, object]]


def shape(spans: Sequence[ReadableSpan]) -> Shape:
    """Of each span by name: whom it is under, its flags, its trace state, and what the sampler added."""
    by_id = {span.context.span_id: span.name for span in spans}
    return {
        span.name: (
            None if span.parent is None else by_id.get(span.parent.span_id, "not recorded"),
            int(span.context.trace_flags),
            span.context.trace_state.to_header(),
            of(span, "sampler.depth"),
        )
        for span in spans
        if not span.name.startswith("user")
    }


def above(spans: Sequence[ReadableSpan]) -> dict[str, tuple[int, str] | None]:
    """Of each span by name: flags and trace state of its parent as the span knows it."""
    return {
        span.name: span.parent and (int(span.parent.trace_flags), span.parent.trace_state.to_header())
        for span in spans
    }


def asked_by(sampler: Any) -> list[Asked]:
    """What every sampler that remembers was asked, this one's delegates included."""
    asked: list[Asked] = list(getattr(sampler, "asked", ()))
    for inner in vars(sampler).values():
        if isinstance(inner, Sampler):
            asked += asked_by(inner)
    return asked


class Listening(Recorded):
    """Listens to starts as well, so that nothing can be inherited in silence."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[str] = []

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        self.started.append(span.name)


def by_hand(make: Callable[[], Sampler], roots: Sequence[Node], *, under: bool) -> tuple[Any, Sampler]:
    """The spans that the SDK makes of these trees, and the sampler it asked."""
    recorded, sampler = Recorded(), make()
    provider = TracerProvider(sampler=sampler, id_generator=Numbered(), shutdown_on_exit=False)
    provider.add_span_processor(recorded)
    tracer = provider.get_tracer(names.SCOPE)

    def grow(node: Node) -> None:
        span = tracer.start_span(node.name)
        # A task that is dropped must not hide the user's span from what it does: it is not made current.
        with nullcontext() if under and not span.is_recording() else trace.use_span(span, end_on_exit=True):
            for child in node.children:
                grow(child)

    for root in roots:
        if not under:
            grow(root)
            continue
        # The main task's span is current nowhere, so the user's is a root beside it.
        with tracer.start_as_current_span(f"main{root.name}"):
            pass
        with tracer.start_as_current_span(f"user{root.name}"):
            grow(root)
    return recorded.ended, sampler


def by_aiotel(
    make: Callable[[], Sampler],
    roots: Sequence[Node],
    run: Callable[[Any], Any],
    *,
    under: bool,
    listen: bool,
) -> tuple[Any, Sampler]:
    """The spans that aiotel makes of tasks that form these trees."""
    recorded, sampler = Listening() if listen else Recorded(), make()
    provider = TracerProvider(sampler=sampler, id_generator=Numbered(), shutdown_on_exit=False)
    provider.add_span_processor(recorded)
    tracer = provider.get_tracer("user")

    async def main(root: Node) -> None:
        with tracer.start_as_current_span(f"user{root.name}"):
            await asyncio.create_task(grown(root))

    with aiotel.instrument(aiotel.Config(), tracer_provider=provider) as session:
        for root in roots:
            if under:
                coro: Any = main(root)
                coro.__qualname__ = f"main{root.name}"
                run(coro)
            else:
                run(grown(root))
        assert session.flush(timeout=30)
    aiotel.uninstrument()
    return recorded.ended, sampler


def assert_same(
    make: Callable[[], Sampler],
    roots: Sequence[Node],
    run: Callable[[Any], Any],
    *,
    under: bool,
    listen: bool,
) -> None:
    """The SDK's spans and aiotel's are the same, and so are the questions to the sampler."""
    expected, asked = by_hand(make, roots, under=under)
    found, asked_here = by_aiotel(make, roots, run, under=under, listen=listen)

    assert shape(expected) == shape(found)
    assert above(expected) == above(found)
    # Where the answer is certain nobody is asked; who wants to know of all is asked of all.
    if isinstance(asked_here, Deciding | AlwaysRecordSampler):
        assert asked_by(asked) == asked_by(asked_here)


FOREST = tuple(
    Node(
        f"{name}",
        (Node(f"{name}A", (Node(f"{name}AA"), Node(f"{name}AB"))), Node(f"{name}B"), Node(f"{name}C")),
    )
    for name in "klmnop"
)


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS.keys())
def test_every_sampler_has_its_way(loops: Loops, make: Callable[[], Sampler]) -> None:
    for under in (False, True):
        for listen in (False, True):
            assert_same(make, FOREST, loops.run, under=under, listen=listen)


def forests() -> st.SearchStrategy[tuple[Node, ...]]:
    """Small forests whose nodes all have other names."""
    shapes: st.SearchStrategy[Any] = st.recursive(
        st.just(()), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=8
    )

    def name(shape: Any, path: str) -> Node:
        return Node(path, tuple(name(inner, f"{path}{number}") for number, inner in enumerate(shape)))

    return st.lists(st.tuples(st.text("xyz", min_size=1, max_size=3), shapes), min_size=1, max_size=3).map(
        lambda pairs: tuple(name(shape, f"{n}{word}") for n, (word, shape) in enumerate(pairs))
    )


@settings(max_examples=60, deadline=None)
@given(
    roots=forests(),
    make=st.sampled_from(list(SAMPLERS.values())),
    under=st.booleans(),
    listen=st.booleans(),
)
def test_random_trees_are_sampled_as_by_the_sdk(
    roots: tuple[Node, ...], make: Callable[[], Sampler], under: bool, listen: bool
) -> None:
    assert_same(make, roots, asyncio.run, under=under, listen=listen)


CERTAIN = ["always on", "always off", "parent-based, on", "parent-based, off", "parent-based, a ratio"]


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS.keys())
def test_nobody_is_asked_where_the_answer_is_certain(
    make: Callable[[], Sampler], request: pytest.FixtureRequest
) -> None:
    tracer = TracerProvider(sampler=make(), shutdown_on_exit=False).get_tracer(names.SCOPE)
    assert isinstance(tracer, Tracer)
    inherited = SdkSpans(Source(tracer, Clock()), Ids()).inherited

    roots_asked = ["parent-based, roots by name", "parent-based, roots always recorded"]
    assert inherited is (request.node.callspec.id in [*CERTAIN, *roots_asked])


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("always_on", ""),
        ("always_off", ""),
        ("traceidratio", "0.5"),
        ("parentbased_always_on", ""),
        ("parentbased_always_off", ""),
        ("parentbased_traceidratio", "0.5"),
    ],
)
def test_samplers_from_the_environment_have_their_way(
    loops: Loops, monkeypatch: pytest.MonkeyPatch, name: str, argument: str
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    sampler = TracerProvider(shutdown_on_exit=False).sampler

    assert_same(lambda: sampler, FOREST, loops.run, under=False, listen=False)


def test_a_sampler_sees_what_is_known_of_the_task(loops: Loops, telemetry: Telemetry) -> None:
    seen: list[dict[str, Any]] = []

    class Looking(Deciding):
        def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
            seen.append(dict(args[4]))
            return super().should_sample(*args, **kwargs)

    provide(telemetry, sampler=Looking(lambda name: Decision.RECORD_AND_SAMPLE))
    telemetry.start()
    loops.run(grown(Node("main", (Node("child"),))))

    assert {names.CODE_FUNCTION_NAME, names.CODE_FILE_PATH, names.CODE_LINE_NUMBER} <= seen[1].keys()
    assert seen[1][names.TASK_CREATED_FUNCTION] == "_grow"


def test_a_sampler_that_raises_costs_the_span_and_nothing_else(loops: Loops, telemetry: Telemetry) -> None:
    class Broken(Deciding):
        def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
            raise LookupError("a sampler's own")

    provide(telemetry, sampler=Broken(_drop_odd))
    telemetry.start()

    async def main() -> str:
        return await asyncio.create_task(asyncio.sleep(0, "done"))

    assert loops.run(main()) == "done"
    assert telemetry.spans == []


# Ids.


class XRay(IdGenerator):
    """As AWS has them: the time of day in the first bytes of the trace id."""

    def generate_span_id(self) -> int:
        return random.getrandbits(64)

    def generate_trace_id(self) -> int:
        return 0x5759E988 << 96 | random.getrandbits(96)


def test_ids_come_from_the_providers_own_generator(loops: Loops, telemetry: Telemetry) -> None:
    provide(telemetry, id_generator=XRay())
    telemetry.start()
    loops.run(grown(Node("main", (Node("child"),))))

    assert {span.context.trace_id >> 96 for span in telemetry.spans} == {0x5759E988}
    assert {int(span.context.trace_flags) for span in telemetry.spans} == {1}


def test_the_random_numbers_of_a_seeded_program_stay_what_they_were(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def main() -> list[float]:
        random.seed(11)
        numbers = []
        for _ in range(3):
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))
            with aiotel.detached():
                await asyncio.create_task(asyncio.sleep(0))
            numbers.append(random.random())
        return numbers

    without = loops.run(main())
    telemetry.start()

    assert without == loops.run(main())
    assert len(telemetry.spans) == 13
    assert {int(span.context.trace_flags) for span in telemetry.spans} == {3}


# Not at all.


def test_suppressed_tasks_are_not_observed(loops: Loops, telemetry: Telemetry) -> None:
    async def hidden() -> None:
        await asyncio.create_task(asyncio.sleep(0))

    async def main() -> None:
        with suppress_instrumentation():
            task = asyncio.create_task(hidden())
        await task

    telemetry.start()
    loops.run(main())

    assert [last(span) for span in telemetry.spans] == ["main"]
    assert [point.value for point in telemetry.metrics()["asyncio.task.started"]] == [1]


def test_a_disabled_sdk_gives_no_spans_and_counts_all_the_same(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    provide(telemetry)
    telemetry.start()
    loops.run(grown(Node("main", (Node("child"),))))

    assert telemetry.spans == []


def disable(provider: Any, *, enabled: bool) -> None:
    """Have the provider's configurator decide whether it wants spans of aiotel's scope."""
    from opentelemetry.sdk.trace import _TracerConfig

    provider._set_tracer_configurator(
        tracer_configurator=lambda scope: _TracerConfig(is_enabled=enabled or scope.name != names.SCOPE)
    )


def test_a_provider_that_wants_no_spans_of_our_scope_gets_none(loops: Loops, telemetry: Telemetry) -> None:
    tracer = telemetry.tracer_provider.get_tracer("user")
    inside: list[trace.Span] = []

    async def job() -> None:
        inside.append(trace.get_current_span())
        with aiotel.detached():
            await asyncio.create_task(asyncio.sleep(0))
        with tracer.start_as_current_span("inner"):
            pass

    async def main() -> None:
        with tracer.start_as_current_span("request") as request:
            inside.append(request)
            await asyncio.create_task(job())

    disable(telemetry.tracer_provider, enabled=False)
    telemetry.start()
    loops.run(main())

    assert inside[0] is inside[1]
    assert telemetry.parents() == {"request": None, "inner": "request"}


def test_a_provider_may_change_its_mind_about_our_scope(loops: Loops, telemetry: Telemetry) -> None:
    disable(telemetry.tracer_provider, enabled=False)
    session = telemetry.start()
    loops.run(grown(Node("before")))
    disable(telemetry.tracer_provider, enabled=True)
    session.flush()
    loops.run(grown(Node("while")))
    disable(telemetry.tracer_provider, enabled=False)
    session.flush()
    loops.run(grown(Node("after")))

    assert [span.name for span in telemetry.spans] == ["while"]
