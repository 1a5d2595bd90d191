from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from aiotel._inspect.deadlines import Clock
from aiotel._inspect.suspects import is_suspect
from aiotel._inspect.waits import Look, look_at
from aiotel._inspect.walks import Walk

from ..conftest import Loops
from .tasks import look_of, settle


async def _gathers() -> None:
    await asyncio.gather(asyncio.Event().wait(), asyncio.Event().wait())


async def _groups() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.Event().wait())


async def _groups_anyios() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 100)


async def _awaits_a_task() -> None:
    await asyncio.ensure_future(asyncio.Event().wait())


async def _waits() -> None:
    await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())])


async def _waits_for_a_lock() -> None:
    lock = asyncio.Lock()
    await lock.acquire()
    await lock.acquire()


async def _waits_for_a_semaphore() -> None:
    semaphore = asyncio.BoundedSemaphore(1)
    await semaphore.acquire()
    await semaphore.acquire()


async def _waits_on_a_barrier() -> None:
    await asyncio.Barrier(2).wait()


async def _puts() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(1)
    await queue.put(1)
    await queue.put(2)


async def _joins() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    queue.put_nowait(1)
    await queue.join()


async def _reads() -> None:
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)
    try:
        await reader.readline()
    finally:
        writer.close()
        there.close()


async def _calls_a_thread() -> None:
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.05)


Make = Callable[[], Coroutine[Any, Any, Any]]


async def _waits_for_an_event() -> None:
    await asyncio.Event().wait()


async def _gets() -> None:
    await asyncio.Queue[int]().get()


async def _sleeps() -> None:
    await asyncio.sleep(50)


KINDS: list[tuple[Make, tuple[str, int, bool], bool]] = [
    (_gathers, ("gather", 2, True), True),
    (_groups, ("task group", 1, True), True),
    (_groups_anyios, ("task group", 1, True), True),
    (_awaits_a_task, ("task", 1, True), True),
    (_waits, ("wait", 1, True), True),
    (_waits_for_a_lock, ("lock", 0, True), True),
    (_waits_for_a_semaphore, ("semaphore", 0, True), True),
    (_waits_on_a_barrier, ("barrier", 0, False), False),
    (_puts, ("queue", 0, False), False),
    (_joins, ("event", 0, False), False),
    (_waits_for_an_event, ("event", 0, False), False),
    (_gets, ("queue", 0, False), False),
    (_sleeps, ("sleep", 0, False), False),
    (_calls_a_thread, ("executor", 0, False), False),
]


@pytest.mark.parametrize(("make", "told", "suspect"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_a_task_waits_for_is_told(
    loops: Loops, make: Make, told: tuple[str, int, bool], *, suspect: bool
) -> None:
    async def main() -> tuple[Look, bool]:
        task = asyncio.ensure_future(make())
        await settle()
        doubted = is_suspect(task)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return await look_of(make()), doubted

    look, doubted = loops.run(main())

    assert look.waiting is not None
    assert told == (look.waiting.kind, len(look.waiting.tasks), look.waiting.complete)
    assert suspect == doubted


def test_a_task_that_reads_waits_for_io(loops: Loops) -> None:
    async def main() -> Look:
        task = asyncio.ensure_future(_reads())
        while True:
            await asyncio.sleep(0.001)
            look = look_at(Walk(task), clock=Clock(0, 0), since_ns=0)
            if look.waiting is not None and look.waiting.what == "StreamReader.readline":
                break
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return look

    look = loops.run(main())

    assert look.waiting is not None
    assert look.waiting.at is not None
    assert ("io", f"{__name__}._reads") == (look.waiting.kind, look.waiting.at.function)


async def _within_a_timeout() -> None:
    async with asyncio.timeout(50):
        await asyncio.Event().wait()


async def _within_wait_for() -> None:
    await asyncio.wait_for(asyncio.Event().wait(), 50)


async def _within_anyios() -> None:
    with anyio.fail_after(50):
        await asyncio.Event().wait()


async def _within_an_outer_one() -> None:
    async with asyncio.timeout(50):
        async with asyncio.timeout(None):
            await _without()


async def _without() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "make",
    [_within_a_timeout, _within_wait_for, _within_anyios, _within_an_outer_one, _sleeps],
)
def test_the_deadline_is_that_of_the_timeout_around(loops: Loops, make: Make) -> None:
    look = loops.run(look_of(make()))

    assert look.waiting is not None
    assert look.waiting.deadline_ns is not None
    assert 45 < look.waiting.deadline_ns / 1e9 < 50.1


def test_without_a_timeout_there_is_no_deadline(loops: Loops) -> None:
    look = loops.run(look_of(_without()))

    assert look.waiting is not None
    assert (None, 7, "Event.wait") == (look.waiting.deadline_ns, look.waiting.since_ns, look.waiting.what)


def test_a_task_that_could_go_on_is_ready(loops: Loops) -> None:
    async def spins() -> None:
        for _ in range(1000):
            await asyncio.sleep(0)

    assert ("ready", None) == loops.run(look_of(spins()))[:2]


def test_a_lock_of_a_class_with_rules_of_its_own_is_not_judged(loops: Loops) -> None:
    class Odd(asyncio.Lock):
        def release(self) -> None:
            super().release()

    async def main() -> None:
        lock = Odd()
        await lock.acquire()
        await lock.acquire()

    look = loops.run(look_of(main()))

    assert look.waiting is not None
    assert not look.waiting.complete
