"""What is told of loops besides stalls, and how often stalls are told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiotel import _repeats

from ..conftest import Loops, Telemetry

BLOCKED_S = 0.3
STALL_S = 0.1


def blocking(module: str = "app") -> Callable[[], None]:
    """A function of this module that blocks."""
    namespace: dict[str, Any] = {"__name__": module, "sleep": time.sleep}
    exec(compile(f"def block(): sleep({BLOCKED_S})", "/srv/app.py", "exec"), namespace)
    return namespace["block"]  # type: ignore[no-any-return]  # as said


def run_blocking(loops: Loops, block: Callable[[], None], *, times: int = 1) -> None:
    """A task that blocks its loop, now and then."""

    async def culprit() -> None:
        for _ in range(times):
            block()
            await asyncio.sleep(0.01)

    async def main() -> None:
        await asyncio.sleep(0.05)
        await asyncio.create_task(culprit())

    loops.run(main())


def ages(telemetry: Telemetry) -> Iterator[float]:
    """What the gauge shows, read as a collector does, by whoever asks."""
    while True:
        data = telemetry.reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for metric in resource.scope_metrics[0].metrics:
                if metric.name == "asyncio.eventloop.heartbeat.age":
                    yield metric.data.data_points[0].value  # type: ignore[union-attr]  # a gauge's


@pytest.mark.slow
def test_a_long_delay_has_the_span_that_caused_it(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start(stall_after=STALL_S)
    run_blocking(loops, blocking())

    [point] = telemetry.metrics()["asyncio.eventloop.delay"]
    context = telemetry.span("culprit").context
    assert context is not None
    [exemplar] = point.exemplars
    assert (exemplar.trace_id, exemplar.span_id) == (context.trace_id, context.span_id)
    assert exemplar.value > STALL_S


@pytest.mark.slow
def test_the_age_of_the_heartbeat_grows_while_a_loop_is_stuck(loops: Loops, telemetry: Telemetry) -> None:
    over = threading.Event()
    seen: list[float] = []

    def watch() -> None:
        deadline = time.monotonic() + 30
        for age in ages(telemetry):
            if age > (seen[-1] if seen else 0.05):
                seen.append(age)
            if len(seen) == 3 or time.monotonic() > deadline:
                break
        over.set()

    async def main() -> None:
        await asyncio.sleep(0.05)
        thread = threading.Thread(target=watch)
        thread.start()
        over.wait(60)
        thread.join()

    telemetry.start()
    loops.run(main())

    assert len(seen) == 3
    assert next(ages(telemetry)) == 0


def test_callbacks_that_wait_are_counted_by_what_they_wait_for(telemetry: Telemetry) -> None:
    counts: dict[str, int] = {}

    async def main() -> None:
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(60, print) for _ in range(3)]
        timers[0].cancel()
        for _ in range(20):
            loop.call_soon(time.monotonic)
        for point in telemetry.metrics()["asyncio.eventloop.handle.count"]:
            counts[point.attributes["asyncio.handle.state"]] = point.value
        for timer in timers:
            timer.cancel()

    telemetry.start()
    asyncio.run(main())

    assert (counts["scheduled"], counts["cancelled"]) == (3, 1)
    assert 20 <= counts["ready"] < 30


@pytest.mark.slow
@pytest.mark.parametrize(("module", "told"), [("pdb", 0), ("app", 1)])
def test_who_stops_in_a_debugger_knows(loops: Loops, module: str, told: int, telemetry: Telemetry) -> None:
    telemetry.start(stall_after=STALL_S)
    run_blocking(loops, blocking(module))

    assert [log.event_name for log in telemetry.logs] == ["asyncio.stall"] * told


@pytest.mark.slow
def test_the_same_stall_again_is_a_number_and_every_one_is_counted(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_repeats, "FIRST_S", 0.01)  # what is not kept would be new by then
    session = telemetry.start(stall_after=STALL_S, stall_error_after=0.2)
    run_blocking(loops, blocking(), times=3)
    points = telemetry.metrics()["asyncio.eventloop.stall.duration"]
    session.close(timeout=30)

    finished = telemetry.log_exporter.get_finished_logs()
    logs = [(data.log_record.event_name, dict(data.log_record.attributes or {})) for data in finished]
    told = [name for name, attributes in logs if "asyncio.repeated" not in attributes]
    more: list[Any] = [attributes.get("asyncio.repeated", 0) for _, attributes in logs]
    assert told == ["asyncio.stall", "asyncio.stall.ended"]
    assert sum(more) == 2
    assert sum(point.count for point in points) == 3
