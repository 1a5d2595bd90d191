"""anyio's worker threads are looked at, and a limiter whose threads are all stuck is told."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio._backends import _asyncio

import aiotel
from aiotel._hooks.anyios import AnyioThreads
from aiotel._hooks.pools import View

from ..conftest import Loops, Telemetry
from .failing import until
from .test_executors import ACTIVE, COUNT, LIMIT, QUEUE, by_type, waits


def of_this_loop() -> AnyioThreads:
    return AnyioThreads(weakref.ref(asyncio.get_running_loop()))


async def call(function: Callable[[], object]) -> None:
    await anyio.to_thread.run_sync(function)


def test_who_works_and_who_waits_is_read_off_the_loop(loops: Loops, telemetry: Telemetry) -> None:
    letting = threading.Event()
    told: list[dict[str, float]] = []

    async def main() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 3
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(call, letting.wait)
            await until(lambda: by_type(telemetry, ACTIVE) == {"anyio": 3})
            told.extend(by_type(telemetry, name) for name in (COUNT, LIMIT, QUEUE))
            letting.set()
        told.extend(by_type(telemetry, name) for name in (ACTIVE, COUNT, QUEUE))

    telemetry.start()
    loops.run(main())

    assert told == [{"anyio": 3}, {"anyio": 3}, {"anyio": 2}, {}, {"anyio": 3}, {}]


def test_a_limiter_without_a_limit_has_none(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = float("inf")
        await anyio.to_thread.run_sync(time.monotonic)
        await asyncio.to_thread(telemetry.metrics)  # what is looked at is a matter of the pump's next turn
        assert by_type(telemetry, COUNT) == {"default": 1, "anyio": 1}
        assert "anyio" not in by_type(telemetry, LIMIT)

    telemetry.start()
    loops.run(main())


def test_that_nothing_has_ended_is_known_by_tasks_and_threads(loops: Loops) -> None:
    letting, again = threading.Event(), threading.Event()

    async def main() -> list[int]:
        threads = of_this_loop()
        assert threads.view(0) is None
        async with anyio.create_task_group() as group:
            group.start_soon(call, letting.wait)
            await until(lambda: busy(threads.view(1)))
            told = [since(threads.view(2)), since(threads.view(3))]
            anyio.to_thread.current_default_thread_limiter().total_tokens = 1
            look = partial(threads.view, 4)
            told.append(since(await anyio.to_thread.run_sync(look, limiter=anyio.CapacityLimiter(1))))
            group.start_soon(call, again.wait)
            await asyncio.sleep(0)
            letting.set()
            await until(lambda: since(threads.view(5)) == 5)
            again.set()
        return told

    def busy(view: View | None) -> bool:
        return view is not None and bool(view.busy)

    def since(view: View | None) -> int:
        assert view is not None
        return view.since_ns

    assert loops.run(main()) == [1, 1, 1]


def test_a_thread_has_ended_its_call_though_the_loop_has_yet_to_hear_of_it(loops: Loops) -> None:
    started, letting = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        letting.wait()

    def count(threads: AnyioThreads) -> int:
        view = threads.view(0)
        assert view is not None
        return len(view.busy)

    async def main() -> None:
        threads = of_this_loop()
        async with anyio.create_task_group() as group:
            group.start_soon(call, work)
            await until(started.is_set)
            assert count(threads) == 1
            letting.set()
            deadline = time.monotonic() + 10  # the loop is blocked meanwhile
            while count(threads) and time.monotonic() < deadline:
                time.sleep(0.001)  # noqa: ASYNC251  # as it says
            assert count(threads) == 0

    loops.run(main())


def test_how_long_calls_wait_for_a_thread_is_told(loops: Loops, telemetry: Telemetry) -> None:
    letting = threading.Event()

    waited: list[float] = []

    async def main() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        async with anyio.create_task_group() as group:
            group.start_soon(call, letting.wait)
            group.start_soon(call, time.monotonic)
            group.start_soon(cancelled)
            await until(lambda: by_type(telemetry, QUEUE) == {"anyio": 2})
            started = time.monotonic()
            await asyncio.sleep(0.05)
            letting.set()
            waited.append(time.monotonic() - started)

    async def cancelled() -> None:
        with anyio.move_on_after(0.01):
            await call(time.monotonic)

    telemetry.start()
    loops.run(main())

    assert waits(telemetry) == {"anyio": 2}
    [point] = telemetry.metrics()["asyncio.executor.queue.duration"]
    assert point.min < waited[0] <= point.max


def test_of_one_loop_alone_nothing_else_counts(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        await call(time.monotonic)

    loop = loops.new()
    telemetry.start(loop=loop)
    loop.run_until_complete(main())
    loops.run(main())
    loop.close()

    assert waits(telemetry) == {"anyio": 1}


def test_a_task_that_waits_shows_no_frame_of_ours(loops: Loops, telemetry: Telemetry) -> None:
    letting = threading.Event()

    async def main() -> list[str]:
        task = asyncio.create_task(call(letting.wait))
        await until(lambda: by_type(telemetry, ACTIVE) == {"anyio": 1})
        coroutine: Any = task.get_coro()
        names = []
        while hasattr(coroutine, "cr_frame"):
            names.append(coroutine.__qualname__)
            coroutine = coroutine.cr_await
        letting.set()
        await task
        return names

    telemetry.start()

    assert loops.run(main()) == ["call", "run_sync", "AsyncIOBackend.run_sync_in_worker_thread"]


def test_anyio_is_what_it_was(telemetry: Telemetry) -> None:
    before = dict(vars(_asyncio)), dict(vars(_asyncio.AsyncIOBackend))

    telemetry.start()
    during = dict(vars(_asyncio)), dict(vars(_asyncio.AsyncIOBackend))
    aiotel.uninstrument()

    assert before != during
    assert before == (dict(vars(_asyncio)), dict(vars(_asyncio.AsyncIOBackend)))


def test_an_anyio_that_does_it_otherwise_is_left_alone(
    loops: Loops, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_asyncio, "find_root_task", partial(_asyncio.find_root_task))
    monkeypatch.setattr(_asyncio, "_threadpool_workers", None)
    before = dict(vars(_asyncio.AsyncIOBackend))

    telemetry.start()
    monkeypatch.undo()
    loops.run(call(time.monotonic))

    assert before == dict(vars(_asyncio.AsyncIOBackend))
    assert waits(telemetry) == {}


def test_a_loop_that_is_gone_has_no_threads() -> None:
    class Loop:
        pass

    assert AnyioThreads(weakref.ref(Loop())).view(0) is None


@pytest.mark.slow
def test_threads_that_are_all_stuck_while_calls_wait_are_told(loops: Loops, telemetry: Telemetry) -> None:
    letting = threading.Event()

    def slow() -> None:
        letting.wait()

    async def main() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 2
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call, slow)
            try:
                # What another limiter lets through is not this one's.
                await anyio.to_thread.run_sync(until_told, limiter=anyio.CapacityLimiter(1))
            finally:
                letting.set()

    def until_told() -> None:
        deadline = time.monotonic() + 30
        while not telemetry.logs and time.monotonic() < deadline:
            time.sleep(0.01)

    telemetry.start(starved_after=0.2)
    loops.run(main())

    [starved] = [log for log in telemetry.logs if log.event_name == "asyncio.executor.starved"]
    assert starved.attributes["asyncio.executor.type"] == "anyio"
    assert starved.attributes["asyncio.executor.queue.size"] == 1
    assert starved.attributes["code.function.name"].endswith("slow")


@pytest.mark.slow
def test_threads_that_were_given_a_builtin_are_at_work(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 2
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call, partial(time.sleep, 1))

    telemetry.start(starved_after=0.2)
    loops.run(main())

    [starved] = [log for log in telemetry.logs if log.event_name == "asyncio.executor.starved"]
    assert starved.attributes["code.function.name"] == "anyio.to_thread.run_sync"


@pytest.mark.slow
def test_builtins_that_flow_are_not_told(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 2
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(call, partial(time.sleep, 0.02))

    telemetry.start(starved_after=0.2)
    loops.run(main())

    assert telemetry.logs == []
