"""A random program of tasks does the same with aiotel as without, and every task of it is told."""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, sampling

import aiotel

from ..conftest import Loops, Telemetry
from . import programs
from .programs import Block, observe

BACK = st.integers(0, 3)
TWO = st.integers(0, 1)

SIMPLE = st.one_of(
    st.builds(programs.Step),
    st.builds(programs.Note),
    st.builds(programs.Assign, variable=TWO, value=st.integers(0, 9)),
    st.builds(programs.Raise, kind=st.sampled_from(["oops", "cause", "notes", "group", "cancelled", "quit"])),
    st.builds(programs.Return, value=st.integers(0, 9)),
    st.builds(programs.Await, back=BACK, shielded=st.booleans()),
    st.builds(programs.Cancel, back=BACK, message=st.none() | st.just("enough")),
    st.builds(programs.CancelMe, uncancel=st.booleans()),
    st.builds(programs.Rename, back=BACK),
    st.builds(programs.WhenDone, back=BACK, raises=st.booleans()),
    st.builds(programs.Peek, back=BACK),
    st.builds(programs.Forget),
    st.builds(programs.CallSoon, raises=st.booleans()),
    st.builds(programs.LoseFuture),
    st.builds(programs.LoseTask),
    st.builds(programs.NeverAwait),
    st.builds(programs.Collect),
    st.builds(programs.Signal, event=TWO),
    st.builds(programs.WaitFor, event=TWO),
    st.builds(programs.Write),
)


def _blocks(statements: st.SearchStrategy[object]) -> st.SearchStrategy[Block]:
    return st.lists(statements, min_size=1, max_size=5).map(tuple)


def _compound(block: st.SearchStrategy[Block]) -> st.SearchStrategy[Block]:
    bodies = st.lists(block, min_size=1, max_size=3).map(tuple)
    spawn = st.builds(
        programs.Spawn,
        body=block,
        by=st.sampled_from(["create_task", "ensure_future", "loop", "callback", "eager", "lazy"]),
        named=st.booleans(),
        context=st.sampled_from(["inherited", "inherited", "copied", "empty"]),
        hold=st.booleans(),
    )
    return _blocks(
        SIMPLE
        | spawn
        | st.builds(
            programs.Try,
            body=block,
            catch=st.sampled_from(["exception", "cancelled", "cancelled and go on", "finally"]),
            handler=block,
        )
        | st.builds(programs.Gather, bodies=bodies, return_exceptions=st.booleans())
        | st.builds(programs.Group, bodies=bodies, own=block)
        | st.builds(
            programs.Wait,
            bodies=bodies,
            until=st.sampled_from(["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"]),
        )
        | st.builds(programs.AsCompleted, bodies=bodies)
        | st.builds(
            programs.Timeout,
            body=block,
            after=st.sampled_from(["at once", "never"]),
            by=st.sampled_from(["timeout", "wait_for"]),
        )
        | st.builds(programs.Locked, body=block)
        | st.builds(programs.Generate, body=block, leave=st.booleans())
        | st.builds(programs.Spanned, body=block)
        | spawn
    )


PROGRAMS = st.recursive(_blocks(SIMPLE), _compound, max_leaves=12)


@pytest.fixture(autouse=True)
def _collected_only_on_demand() -> Iterator[None]:
    """When the collector comes by itself depends on how much is allocated."""
    gc.collect()
    gc.disable()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.enable()


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(
    program=PROGRAMS,
    debug=st.booleans(),
    handler=st.booleans(),
    exact=st.booleans(),
    sampler=st.sampled_from([sampling.ALWAYS_ON, sampling.ALWAYS_OFF]),
)
def test_a_program_does_the_same_with_aiotel_as_without(  # noqa: PLR0917  # by hypothesis, by their names
    loops: Loops, program: Block, debug: bool, handler: bool, exact: bool, sampler: sampling.Sampler
) -> None:
    runs = []
    # Exact timing has a frame in the stacks that debug mode keeps of futures.
    debug = debug and not exact
    gc.collect()  # of what an example that failed has left
    telemetry = Telemetry()
    # On one line: where a program is called from is in the stacks that debug mode keeps.
    for start in (lambda: None, partial(telemetry.start, exact_timing=exact)):
        telemetry.tracer_provider.sampler = sampler
        tracer = telemetry.tracer_provider.get_tracer("program")
        start()
        random.seed(1)
        runs.append(asdict(observe(program, loops, tracer=tracer, debug=debug, handler=handler)))
        runs[-1]["random"] = random.random()
    tasks = runs[-1]["tasks"]
    metrics = telemetry.metrics()
    started = sum(point.value for point in metrics["asyncio.task.started"])
    finished = sum(point.count for point in metrics["asyncio.task.duration"])
    timed = sum(point.count for point in metrics.get("asyncio.task.run.duration", ()))
    pending = sum(
        point.count
        for point in metrics["asyncio.task.duration"]
        if point.attributes["asyncio.task.outcome"] == "pending"
    )
    alive = sum(point.value for point in metrics["asyncio.task.count"])
    spans = [span.name for span in telemetry.spans if _is_ours(span)]
    aiotel.uninstrument()

    assert runs[0] == runs[1]
    assert (tasks, tasks, 0) == (started, finished, alive)
    assert timed == (finished - pending if exact and loops.name != "uvloop" else 0)
    assert (tasks if sampler is sampling.ALWAYS_ON else 0) == len(spans)


def _is_ours(span: ReadableSpan) -> bool:
    return span.instrumentation_scope is not None and span.instrumentation_scope.name == "aiotel"
