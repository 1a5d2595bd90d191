"""A failed task that somebody holds is told after a while, as an error once it is certain, and not twice."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import aiotel
from aiotel._hooks import retrievals

from ..conftest import Loops, Telemetry

AFTER = 0.02


class BadError(Exception):
    """A failure with a module."""


BAD = f"{__name__}.BadError"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.CRITICAL, logger="asyncio")
    monkeypatch.setattr(retrievals, "PAUSE_NS", 1_000_000)
    monkeypatch.setattr(retrievals, "GRACE_NS", 20_000_000)
    yield
    gc.collect()


async def fails() -> None:
    await asyncio.sleep(0)
    raise BadError("no such order")


def told(telemetry: Telemetry) -> list[tuple[str, str, str]]:
    """Of each log: its name, its severity, and how it was counted."""
    return [
        (log.event_name, log.severity_text, log.attributes.get("asyncio.exception.source", ""))
        for log in telemetry.logs
    ]


def counted(telemetry: Telemetry) -> dict[tuple[str, str], int]:
    """What the counters of exceptions show, without the zeros."""
    metrics = telemetry.metrics()
    unhandled = {
        (point.attributes["asyncio.exception.source"], point.attributes["error.type"]): point.value
        for point in metrics["asyncio.exceptions"]
        if "error.type" in point.attributes
    }
    handled = {
        ("handled", point.attributes["error.type"]): point.value
        for point in metrics["asyncio.exceptions.handled"]
        if "error.type" in point.attributes
    }
    return unhandled | handled


async def until(seen: Callable[[], bool]) -> None:
    """Let the loop run until something is seen."""
    end = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


def start(telemetry: Telemetry, **settings: Any) -> None:
    telemetry.start(**{"unretrieved_after": AFTER, **settings})


def logs_so_far(telemetry: Telemetry) -> int:
    return len(telemetry.log_exporter.get_finished_logs())


def test_one_that_somebody_holds_is_told_after_a_while_with_the_time_of_the_failure(
    loops: Loops, telemetry: Telemetry
) -> None:
    held: list[asyncio.Task[None]] = []

    async def main() -> None:
        held.append(asyncio.create_task(fails(), name="refresh"))
        await until(lambda: logs_so_far(telemetry) == 1)
        held[0].exception()

    start(telemetry)
    loops.run(main())

    [log] = telemetry.logs
    span = telemetry.span("fails")
    attributes = dict(log.attributes)
    assert span.context is not None
    assert (log.event_name, log.severity_text, log.trace_id, log.span_id) == (
        "asyncio.task.unretrieved",
        "WARN",
        span.context.trace_id,
        span.context.span_id,
    )
    assert log.timestamp == span.end_time
    assert attributes.pop("exception.stacktrace").splitlines()[-1] == f"{BAD}: no such order"
    assert attributes == {
        "exception.type": BAD,
        "exception.message": "no such order",
        "asyncio.exception.source": "unretrieved",
        "asyncio.task.name": "refresh",
        "code.function.name": f"{__name__}.fails",
        **{key: value for key, value in (span.attributes or {}).items() if ".created." in key},
    }
    assert counted(telemetry) == {("unretrieved", BAD): 1}


def test_it_is_an_error_when_asyncio_gives_it_up_and_is_counted_once(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def main() -> None:
        held = [asyncio.create_task(fails())]
        await until(lambda: logs_so_far(telemetry) == 1)
        held.clear()
        gc.collect()
        await until(lambda: logs_so_far(telemetry) == 2)

    start(telemetry)
    loops.run(main())

    assert told(telemetry) == [
        ("asyncio.task.unretrieved", "WARN", "unretrieved"),
        ("exception", "ERROR", "task"),
    ]
    assert counted(telemetry) == {("unretrieved", BAD): 1}


def test_when_somebody_looks_after_all_it_is_an_info(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        held = asyncio.create_task(fails(), name="late")
        await until(lambda: logs_so_far(telemetry) == 1)
        with pytest.raises(BadError):
            await held
        await until(lambda: logs_so_far(telemetry) == 2)

    start(telemetry)
    loops.run(main())

    assert told(telemetry) == [
        ("asyncio.task.unretrieved", "WARN", "unretrieved"),
        ("asyncio.task.retrieved", "INFO", ""),
    ]
    assert telemetry.logs[1].attributes["asyncio.task.name"] == "late"
    assert counted(telemetry) == {("unretrieved", BAD): 1}


def test_one_that_was_looked_at_and_dropped_after_it_was_told_is_an_info_too(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def main() -> None:
        held = [asyncio.create_task(fails())]
        await until(lambda: logs_so_far(telemetry) == 1)
        held[0].exception()
        held.clear()
        gc.collect()
        await until(lambda: logs_so_far(telemetry) == 2)

    start(telemetry)
    loops.run(main())

    assert told(telemetry)[1:] == [("asyncio.task.retrieved", "INFO", "")]


def test_what_asyncio_gives_up_at_once_is_told_at_once_and_not_again(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def main() -> None:
        asyncio.create_task(fails())  # type: ignore[unused-awaitable]  # noqa: RUF006  # nobody looks at it
        await until(lambda: logs_so_far(telemetry) == 1)
        await asyncio.sleep(3 * AFTER)

    start(telemetry)
    loops.run(main())

    assert told(telemetry) == [("exception", "ERROR", "task")]
    assert counted(telemetry) == {("task", BAD): 1}


async def _awaited() -> None:
    with pytest.raises(BadError):
        await asyncio.create_task(fails())


async def _gathered() -> None:
    await asyncio.gather(fails(), fails(), return_exceptions=True)


async def _in_a_group() -> None:
    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())


async def _as_completed() -> None:
    for next_one in asyncio.as_completed([asyncio.create_task(fails())]):
        with pytest.raises(BadError):
            await next_one


async def _waited_for() -> None:
    done, _ = await asyncio.wait([asyncio.create_task(fails())])
    for task in done:
        task.exception()


async def _later() -> None:
    task = asyncio.create_task(fails())
    for _ in range(5):
        await asyncio.sleep(0)
    with pytest.raises(BadError):
        await task


async def _in_a_callback() -> None:
    task = asyncio.create_task(fails())
    task.add_done_callback(lambda done: done.exception() and None)
    await asyncio.wait([task])


@pytest.mark.parametrize(
    ("innocent", "count"),
    [
        (_awaited, 1),
        (_gathered, 2),
        (_in_a_group, 1),
        (_as_completed, 1),
        (_waited_for, 1),
        (_later, 1),
        (_in_a_callback, 1),
    ],
)
def test_failures_that_somebody_looks_at_are_counted_as_handled_and_not_told(
    loops: Loops, telemetry: Telemetry, innocent: Callable[[], Awaitable[None]], count: int
) -> None:
    async def main() -> None:
        await innocent()
        await until(lambda: counted(telemetry) == {("handled", BAD): count})

    start(telemetry, unretrieved_after=1.0)
    loops.run(main())

    assert told(telemetry) == []
    assert counted(telemetry) == {("handled", BAD): count}


def test_nothing_of_a_failed_task_is_kept_alive(loops: Loops, telemetry: Telemetry) -> None:
    class Thing:
        pass

    async def main() -> int:
        async def holds() -> None:
            thing = Thing()
            await asyncio.sleep(0)
            raise BadError(thing)

        held = [asyncio.create_task(holds())]
        await until(lambda: logs_so_far(telemetry) == 1)
        held[0].exception()
        held.clear()
        gc.collect()
        return sum(isinstance(each, Thing) for each in gc.get_objects())

    start(telemetry)

    assert loops.run(main()) == 0


def test_one_that_is_held_when_its_loop_is_closed_is_told_too(loops: Loops, telemetry: Telemetry) -> None:
    held: list[asyncio.Task[None]] = []

    async def main() -> None:
        held.append(asyncio.create_task(fails()))
        await asyncio.wait(held)

    start(telemetry)
    loops.run(main())
    end = time.monotonic() + 20
    while logs_so_far(telemetry) < 1:
        assert time.monotonic() < end
        time.sleep(0.005)  # the pump looks every tenth of a second

    held[0].exception()
    assert told(telemetry) == [("asyncio.task.unretrieved", "WARN", "unretrieved")]


def test_at_the_end_of_the_process_it_is_certain(loops: Loops, telemetry: Telemetry) -> None:
    held: list[asyncio.Task[None]] = []

    async def main() -> None:
        held.append(asyncio.create_task(fails(), name="held"))
        await asyncio.wait(held)

    start(telemetry, unretrieved_after=3600)
    loops.run(main())
    assert telemetry.session is not None
    telemetry.session.at_exit()

    span = telemetry.span("fails")
    [log] = telemetry.logs
    assert span.context is not None
    assert (log.event_name, log.severity_text, log.attributes["asyncio.task.name"]) == (
        "exception",
        "ERROR",
        "held",
    )
    assert (log.trace_id, log.span_id, log.timestamp) == (
        span.context.trace_id,
        span.context.span_id,
        span.end_time,
    )
    assert counted(telemetry) == {("task", BAD): 1}
    held[0].exception()


def test_when_only_the_session_ends_nothing_is_certain(loops: Loops, telemetry: Telemetry) -> None:
    held: list[asyncio.Task[None]] = []

    async def main() -> None:
        held.append(asyncio.create_task(fails()))
        await asyncio.wait(held)

    start(telemetry, unretrieved_after=3600)
    loops.run(main())
    aiotel.uninstrument()

    held[0].exception()
    assert told(telemetry) == []


def test_one_that_was_looked_at_in_time_and_goes_later_is_counted_once(
    loops: Loops, telemetry: Telemetry
) -> None:
    async def main() -> None:
        held = [asyncio.create_task(fails())]
        await asyncio.wait(held)
        held[0].exception()
        await until(lambda: counted(telemetry) == {("handled", BAD): 1})
        held.clear()
        gc.collect()
        ledger: Any = vars(asyncio.get_running_loop())["_aiotel_ledger"]
        await until(lambda: not (ledger.forgotten or ledger.dead))

    start(telemetry)
    loops.run(main())

    assert counted(telemetry) == {("handled", BAD): 1}
