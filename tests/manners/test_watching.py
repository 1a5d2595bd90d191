"""A loop that is watched does what it would do otherwise, to its selector, its clock and its stacks."""

from __future__ import annotations

import asyncio
import contextlib
import io
import selectors
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import aiotel

from ..conftest import Loops, Telemetry

Program = Callable[[list[tuple[str, float]]], Any]


class DeadlockError(Exception):
    """The loop is about to wait for ever."""


class VirtualSelector(selectors.SelectSelector):
    """Nobody waits: the time that would pass has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.timeouts: list[float | None] = []

    def select(self, timeout: float | None = None) -> Any:
        self.timeouts.append(timeout if timeout is None else round(timeout, 6))
        if timeout is None:
            raise DeadlockError
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its clock is that of its selector."""

    def __init__(self) -> None:
        self.virtual = VirtualSelector()
        super().__init__(self.virtual)

    def time(self) -> float:
        return self.virtual.now


class SlottedSelector(selectors.BaseSelector):
    """One that takes no attributes."""

    __slots__ = ("_really",)

    def __init__(self) -> None:
        self._really = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._really.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._really.unregister(fileobj)

    def select(self, timeout: float | None = None) -> Any:
        return self._really.select(timeout)

    def get_map(self) -> Any:
        return self._really.get_map()

    def close(self) -> None:
        self._really.close()


async def virtual_hours(log: list[tuple[str, float]]) -> None:
    """Sleep for hours, some of it beyond a timeout."""
    loop = asyncio.get_running_loop()

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        log.append((name, loop.time()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("a", 3600.0), ("b", 60.0), ("c", 86_400.0)):
            group.create_task(sleeper(name, seconds))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(loop.create_future(), 7200)
    log.append(("end", loop.time()))


async def deadlock(log: list[tuple[str, float]]) -> None:
    """Wait for what never comes."""
    await asyncio.sleep(1)
    log.append(("waits", asyncio.get_running_loop().time()))
    await asyncio.get_running_loop().create_future()


def seen(main: Program) -> tuple[list[tuple[str, float]], list[float | None], str]:
    """What happened, when, what the selector was asked, and how it ended."""
    log: list[tuple[str, float]] = []
    loop = VirtualLoop()
    try:
        loop.run_until_complete(main(log))
        end = "returned"
    except DeadlockError:
        end = "deadlock"
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
    loop.close()
    return log, loop.virtual.timeouts, end


@pytest.mark.parametrize("main", [virtual_hours, deadlock])
def test_a_virtual_clock_runs_as_it_would(main: Program, telemetry: Telemetry) -> None:
    expected = seen(main)
    telemetry.start(stall_after=0.05)

    assert expected == seen(main)


def test_a_total_deadlock_waits_for_ever(telemetry: Telemetry) -> None:
    telemetry.start(stall_after=0.05)

    _, timeouts, end = seen(deadlock)

    assert (1, "deadlock") == (timeouts.count(None), end)


def test_a_real_loop_with_nothing_to_do_is_not_woken(telemetry: Telemetry) -> None:
    telemetry.start(stall_after=0.02)
    timeouts: list[float | None] = []

    class Selector(selectors.SelectSelector):
        def select(self, timeout: float | None = None) -> Any:
            timeouts.append(timeout)
            return super().select(timeout)

    loop = asyncio.SelectorEventLoop(Selector())

    async def main() -> None:
        threading.Timer(0.2, loop.call_soon_threadsafe, (over.set_result, None)).start()
        await over

    over = loop.create_future()
    loop.run_until_complete(main())
    loop.close()

    # Once it waited for ever; what came then was the timer's thread.
    assert 1 == timeouts.count(None)


def test_asyncios_own_loop_for_tests_runs_as_it_would(telemetry: Telemetry) -> None:
    utils = pytest.importorskip("test.test_asyncio.utils")

    def run() -> list[float]:
        def times() -> Any:
            when = yield
            while True:
                when = yield when and 0.5

        moments: list[float] = []
        loop = utils.TestLoop(times)
        asyncio.set_event_loop(None)

        async def main() -> None:
            for _ in range(3):
                await asyncio.sleep(0.5)
                moments.append(loop.time())

        loop.run_until_complete(main())
        loop._check_on_close = False
        loop.close()
        return moments

    expected = run()
    telemetry.start(stall_after=0.05)

    assert expected == run()


@pytest.mark.slow
def test_a_selector_that_takes_no_attributes_is_left_alone_and_stalls_are_seen(telemetry: Telemetry) -> None:
    telemetry.start(stall_after=0.15)
    loop = asyncio.SelectorEventLoop(SlottedSelector())

    async def main() -> None:
        await asyncio.sleep(0.05)
        time.sleep(0.4)  # noqa: ASYNC251  # the point of it
        await asyncio.sleep(0.05)

    loop.run_until_complete(main())
    loop.close()

    assert ["asyncio.stall"] == [log.event_name for log in telemetry.logs]


def test_no_stack_of_the_programs_has_a_frame_of_ours(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start(stall_after=0.05)
    found: list[str] = []

    def look() -> None:
        found.extend(frame.filename for frame in traceback.extract_stack())

    async def fails() -> None:
        look()
        raise ValueError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(look)
        loop.call_later(0.001, look)
        await asyncio.sleep(0.01)
        task = asyncio.create_task(fails())
        try:
            await task
        except ValueError as error:
            found.extend(frame.filename for frame in traceback.extract_tb(error.__traceback__))
        printed = io.StringIO()
        waiting = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        waiting.print_stack(file=printed)
        waiting.cancel()
        found.append(printed.getvalue())

    loops.run(main())

    assert found
    assert [] == [each for each in found if "aiotel/_watch" in each]


@pytest.mark.slow
def test_what_watches_can_be_taken_off_under_load(loops: Loops) -> None:
    over = threading.Event()
    steps = [0, 0]

    async def work(number: int) -> None:
        while not over.is_set():
            await asyncio.gather(*[asyncio.sleep(0) for _ in range(20)])
            steps[number] += 1

    threads = [threading.Thread(target=loops.run, args=(work(number),)) for number in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        session = aiotel.instrument(aiotel.Config(stall_after=0.05))
        session.flush()
        aiotel.uninstrument()
        before = list(steps)
        deadline = time.monotonic() + 30
        while not all(now > then for now, then in zip(steps, before, strict=True)):
            assert time.monotonic() < deadline
            time.sleep(0.001)
    over.set()
    for thread in threads:
        thread.join(30)

    assert not any(thread.is_alive() for thread in threads)


def test_who_is_taken_off_while_it_runs_is_as_it_was(telemetry: Telemetry) -> None:
    async def main() -> set[str]:
        loop: Any = asyncio.get_running_loop()
        assert "select" in vars(loop._selector)
        aiotel.uninstrument()
        await asyncio.sleep(0.001)
        return set(vars(loop._selector))

    telemetry.start()

    assert "select" not in asyncio.run(main())
