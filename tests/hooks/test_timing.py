"""With exact timing it is told what the time of each task went into."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, sampling

import aiotel
from aiotel._complaints import complaints

from ..conftest import Loops, Telemetry

BURN_S = 0.02
"""How long what is to be busy is busy; nothing else here takes nearly as long."""

exact = pytest.mark.parametrize(
    "loops",
    [Loops("asyncio", asyncio.new_event_loop)]
    + [Loops("eager", asyncio.new_event_loop, eager=True)] * (sys.version_info >= (3, 12)),
    ids=lambda kind: kind.name,
)
needs_eager = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")


def burn(seconds: float = BURN_S) -> None:
    """Hold the loop."""
    time.sleep(seconds)


def times_of(span: ReadableSpan) -> dict[str, float]:
    """The attributes that are times, by the ends of their names, in seconds; and the number of steps."""
    prefix = "asyncio.task."
    return {
        name.removeprefix(prefix): value
        for name, value in (span.attributes or {}).items()
        if name.startswith(prefix)
        and ("duration" in name or "step" in name)
        and isinstance(value, int | float)
    }


def lifetime_of(span: ReadableSpan) -> float:
    """In seconds."""
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def counts_of(points: list[Any]) -> dict[str, int]:
    """How many values a histogram has, by the last part of the function's name."""
    return {str(point.attributes["code.function.name"]).split(".")[-1]: point.count for point in points}


async def works() -> None:
    burn()
    await asyncio.sleep(0)
    burn(2 * BURN_S)
    await asyncio.sleep(BURN_S)


@exact
def test_run_scheduled_and_waiting_time_make_up_a_task(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        await asyncio.create_task(works())

    telemetry.start(exact_timing=True)
    loops.run(main())
    span = telemetry.span("works")
    times = times_of(span)

    assert 3 == times["steps"]
    assert 2 * BURN_S <= times["step.longest"] < times["run.duration"]
    assert 3 * BURN_S <= times["run.duration"]
    assert BURN_S * 0.9 <= times["waiting.duration"]
    parts = times["run.duration"] + times["scheduled.duration"] + times["waiting.duration"]
    assert lifetime_of(span) == pytest.approx(parts, abs=1e-6)


@exact
def test_a_task_that_is_ready_while_another_runs_is_not_said_to_wait(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def turns() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(turns())
        burn()
        await task

    telemetry.start(exact_timing=True)
    loops.run(main())
    times = times_of(telemetry.span("turns"))

    assert BURN_S <= times["scheduled.duration"]
    assert BURN_S / 2 > times["waiting.duration"]


@exact
def test_a_sleep_that_falls_due_while_another_runs_ends_then(loops: Loops, telemetry: Telemetry) -> None:
    async def sleeps() -> None:
        await asyncio.sleep(BURN_S / 4)

    async def main() -> None:
        task = asyncio.create_task(sleeps())
        await asyncio.sleep(0)
        burn(5 * BURN_S)
        await task

    telemetry.start(exact_timing=True)
    loops.run(main())
    times = times_of(telemetry.span("sleeps"))

    assert 4 * BURN_S <= times["scheduled.duration"]
    assert BURN_S > times["waiting.duration"]


class Virtual(asyncio.SelectorEventLoop):
    """A loop whose clock is another one."""

    def time(self) -> float:
        """Something else each time."""
        return super().time() * 1000


def test_a_virtual_clock_leaves_real_times(telemetry: Telemetry) -> None:
    async def sleeps() -> None:
        await asyncio.sleep(1)

    telemetry.start(exact_timing=True)
    with asyncio.Runner(loop_factory=Virtual) as runner:
        runner.run(sleeps())
    span = telemetry.span("sleeps")
    times = times_of(span)

    parts = times["run.duration"] + times["scheduled.duration"] + times["waiting.duration"]
    assert lifetime_of(span) == pytest.approx(parts, abs=1e-6)


@exact
@pytest.mark.parametrize("sampler", [sampling.ALWAYS_ON, sampling.ALWAYS_OFF], ids=["on", "off"])
def test_histograms_count_every_task_with_a_span_or_without(
    loops: Loops, telemetry: Telemetry, sampler: sampling.Sampler
) -> None:
    async def one() -> None:
        await asyncio.sleep(0)

    async def fails() -> None:
        raise LookupError

    async def main() -> None:
        await asyncio.gather(*[one() for _ in range(40)], fails(), return_exceptions=True)

    telemetry.tracer_provider.sampler = sampler
    telemetry.start(exact_timing=True)
    loops.run(main())
    metrics = telemetry.metrics()

    for part in ("run", "scheduled", "waiting"):
        counts = counts_of(metrics[f"asyncio.task.{part}.duration"])
        assert {"one": 40, "fails": 1, "main": 1} == counts
    assert 42 == sum(point.count for point in metrics["asyncio.task.schedule.duration"])


@exact
def test_a_task_ends_with_its_last_step(loops: Loops, telemetry: Telemetry) -> None:
    async def short() -> None:
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(burn)

    async def main() -> None:
        await asyncio.create_task(short())

    telemetry.start(exact_timing=True)
    loops.run(main())

    assert BURN_S > lifetime_of(telemetry.span("short"))


@needs_eager
def test_the_first_step_of_an_eager_task_is_its_own(telemetry: Telemetry) -> None:
    async def inner() -> None:
        burn(3 * BURN_S)

    async def outer() -> None:
        burn()
        task = asyncio.create_task(inner())
        await asyncio.sleep(0)
        await task

    async def main() -> None:
        await asyncio.create_task(outer())

    telemetry.start(exact_timing=True)
    Loops("eager", asyncio.new_event_loop, eager=True).run(main())
    main_times, outer_times, inner_times = (
        times_of(telemetry.span(name)) for name in ("main", "outer", "inner")
    )

    assert (1, 3 * BURN_S) <= (inner_times["steps"], inner_times["run.duration"])
    assert BURN_S <= outer_times["run.duration"] < 3 * BURN_S
    assert BURN_S > main_times["run.duration"]
    assert {"outer": 1, "inner": 1, "main": 1} == counts_of(telemetry.metrics()["asyncio.task.run.duration"])


@needs_eager
def test_an_eager_task_that_yields_is_ready_since(telemetry: Telemetry) -> None:
    async def turns() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(turns())
        burn()
        await task

    telemetry.start(exact_timing=True)
    Loops("eager", asyncio.new_event_loop, eager=True).run(main())

    assert BURN_S <= times_of(telemetry.span("turns"))["scheduled.duration"]


@exact
def test_tasks_that_are_gone_leave_nothing_behind(loops: Loops, telemetry: Telemetry) -> None:
    async def hangs() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> int:
        tasks = [asyncio.create_task(hangs()) for _ in range(10)]
        await asyncio.sleep(0)
        tasks.clear()
        gc.collect()
        await asyncio.create_task(asyncio.sleep(0))
        loop: Any = asyncio.get_running_loop()
        return len(loop._aiotel_ledger.times.tasks)

    telemetry.start(exact_timing=True)

    assert 1 == loops.run(main())  # the one that counts


@exact
def test_what_a_pending_task_did_is_told_too(loops: Loops, telemetry: Telemetry) -> None:
    async def hangs() -> None:
        burn()
        await asyncio.get_running_loop().create_future()

    telemetry.start(exact_timing=True)
    loop = loops.new()
    task = loop.create_task(hangs())
    loop.run_until_complete(asyncio.sleep(0))
    aiotel.uninstrument()
    times = times_of(telemetry.span("hangs"))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()

    assert BURN_S <= times["run.duration"]
    assert 1 == times["steps"]
    assert "hangs" not in counts_of(telemetry.metrics().get("asyncio.task.run.duration", []))


@needs_eager
def test_a_session_that_starts_in_the_midst_of_a_step_takes_nothing_from_the_next(
    telemetry: Telemetry,
) -> None:
    async def quick() -> None:
        burn(BURN_S)

    async def next_one() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        telemetry.start(exact_timing=True)
        eager = asyncio.create_task(quick())
        asyncio.get_running_loop().set_task_factory(None)
        await asyncio.create_task(next_one())
        await eager

    Loops("eager", asyncio.new_event_loop, eager=True).run(main())

    assert BURN_S <= times_of(telemetry.span("quick"))["run.duration"]
    assert 0 < times_of(telemetry.span("next_one"))["run.duration"] < BURN_S


@exact
def test_a_task_older_than_the_session_is_no_trouble(loops: Loops, telemetry: Telemetry) -> None:
    async def child() -> None:
        await asyncio.sleep(0)

    async def main(start: Callable[..., object]) -> None:
        await asyncio.sleep(0)
        start(exact_timing=True)
        await asyncio.create_task(child())
        await asyncio.sleep(0)

    loops.run(main(telemetry.start))

    assert times_of(telemetry.span("child"))["run.duration"] > 0
    assert 1 == sum(point.count for point in telemetry.metrics()["asyncio.task.schedule.duration"])


def test_cancel_by_a_callback_is_no_step(telemetry: Telemetry) -> None:
    async def hangs() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = asyncio.create_task(hangs())
        asyncio.get_running_loop().call_later(BURN_S / 10, task.cancel)
        await asyncio.wait([task])

    telemetry.start(exact_timing=True)
    Loops("asyncio", asyncio.new_event_loop).run(main())

    assert 2 == times_of(telemetry.span("hangs"))["steps"]


def test_tasks_that_are_not_compiled_are_timed_too(telemetry: Telemetry) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        python: Any = asyncio.tasks._PyTask  # type: ignore[attr-defined]  # not in typeshed
        loop.set_task_factory(lambda loop, coro, **kwargs: python(coro, loop=loop, **kwargs))
        await loop.create_task(works())

    telemetry.start(exact_timing=True)
    Loops("asyncio", asyncio.new_event_loop).run(main())
    times = times_of(telemetry.span("works"))

    assert 3 == times["steps"]
    assert 3 * BURN_S <= times["run.duration"]
    assert BURN_S * 0.9 <= times["waiting.duration"]


def test_a_loop_that_cannot_be_timed_is_refused_once_with_a_reason(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        await asyncio.create_task(works())

    telemetry.start(exact_timing=True)
    for _ in range(2):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
        complaints.say()
        complaints.clear()
    spans = telemetry.spans
    said = [record.message for record in caplog.records if "exact_timing" in record.message]

    assert 1 == len(said)
    assert said[0].startswith(
        "aiotel: exact_timing does not reach uvloop.Loop, whose callbacks are not called"
    )
    assert {"schedule.duration"} >= {name for span in spans for name in times_of(span)}
    assert "asyncio.task.run.duration" not in telemetry.metrics()


def test_nothing_is_timed_unless_asked_for(loops: Loops, telemetry: Telemetry) -> None:
    handle: Any = asyncio.events.Handle
    before = vars(handle)["_run"], vars(asyncio.BaseEventLoop)["_call_soon"]

    async def main() -> None:
        await asyncio.create_task(works())

    telemetry.start()
    loops.run(main())

    assert before == (vars(handle)["_run"], vars(asyncio.BaseEventLoop)["_call_soon"])
    assert {"schedule.duration"} >= set(times_of(telemetry.span("works")))
    assert "asyncio.task.run.duration" not in telemetry.metrics()
