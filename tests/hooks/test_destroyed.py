"""A task that goes before it has ended is told as an error, with where it was created and waited."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from ..conftest import Loops, Telemetry

# The mistakes are the point.
# mypy: disable-error-code="unused-awaitable"
# ruff: noqa: RUF006


@pytest.fixture(autouse=True)
def _silent(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level("CRITICAL", logger="asyncio")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        gc.collect()


def findings(telemetry: Telemetry) -> dict[str, int]:
    points = telemetry.metrics()["asyncio.findings"]
    return {point.attributes["asyncio.finding.kind"]: point.value for point in points if point.value}


async def waits(future: Any) -> None:
    await future


def test_a_task_that_nobody_holds_and_that_waits_for_nothing_else_is_told_with_its_span(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        asyncio.create_task(waits(loop.create_future()), name="forgotten")
        await asyncio.sleep(0)
        gc.collect()

    telemetry.start()
    loops.run(main())
    [log] = telemetry.logs
    span = telemetry.span("waits")

    assert (log.event_name, log.severity_text, log.body) == (
        "asyncio.task.destroyed_pending",
        "ERROR",
        "Task was destroyed before it had ended",
    )
    assert span.context is not None
    assert (log.trace_id, log.span_id) == (span.context.trace_id, span.context.span_id)
    assert dict(log.attributes) == {
        "asyncio.task.name": "forgotten",
        "code.function.name": f"{__name__}.waits",
        "asyncio.task.created.function": main.__qualname__,
        "asyncio.task.created.file": __file__,
        "asyncio.task.created.line": main.__code__.co_firstlineno + 2,
    }
    assert findings(telemetry) == {"destroyed_pending": 1}


def test_one_that_is_left_when_its_loop_is_closed_is_told_with_all_that_was_known(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def sleeps() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        asyncio.create_task(waits(sleeps()), name="left")
        await asyncio.sleep(0)

    telemetry.start()
    loop = loops.new()
    loop.run_until_complete(main())
    loop.close()
    del loop
    gc.collect()
    [log] = telemetry.logs
    span = telemetry.span("waits")

    assert span.context is not None
    assert (log.event_name, log.span_id) == ("asyncio.task.destroyed_pending", span.context.span_id)
    assert log.attributes["asyncio.task.created.line"] == main.__code__.co_firstlineno + 1
    assert {key: log.attributes[f"asyncio.task.suspended.{key}"] for key in ("function", "file", "line")} == {
        "function": sleeps.__qualname__,
        "file": __file__,
        "line": sleeps.__code__.co_firstlineno + 1,
    }


def test_one_that_had_not_started_is_told_once_with_its_loop_that_was_lost(
    loops: Loops, telemetry: Telemetry
) -> None:
    """Neither the coroutine that was never awaited is told besides, whichever of the two goes first."""
    telemetry.start()
    for _ in range(5):
        loop = loops.new()
        loop.create_task(waits(None))
        if hasattr(loop, "_selector"):  # asyncio closes it itself when it goes
            loop._selector.close()
        del loop
        gc.collect()

    names = {log.event_name for log in telemetry.logs}
    assert names <= {"asyncio.task.destroyed_pending", "asyncio.task.never_started"}
    assert sum(findings(telemetry).values()) == 5
    never = telemetry.metrics()["asyncio.coroutine.never_awaited"]
    assert [point.value for point in never] == [0]


def test_a_task_that_somebody_holds_is_not_meant(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(waits(future))
        await asyncio.sleep(0)
        gc.collect()
        future.set_result(None)
        await task

    telemetry.start()
    loops.run(main())

    assert telemetry.logs == []


def test_another_context_without_an_exception_is_not_meant(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_exception_handler({"message": "something else", "task": asyncio.current_task()})
        loop.call_exception_handler({"message": "Task was destroyed but it is pending!"})

    telemetry.start()
    loops.run(main())

    assert {log.event_name for log in telemetry.logs} == {"exception"}
