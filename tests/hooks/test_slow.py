"""Every callback that holds its loop for too long is counted, by what called it and by its function."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from aiotel._hooks import slow

from ..conftest import Loops, Telemetry
from .test_timing import exact, needs_eager

AFTER_S = 0.05
BURN_S = 0.08
QUICK_S = 0.02


def burn(*_: object) -> None:
    time.sleep(BURN_S)


def linger() -> None:
    time.sleep(QUICK_S)


def counted(telemetry: Telemetry) -> dict[tuple[str, str], int]:
    """How many slow callbacks, by type and by the end of the function's name."""
    return {
        (
            point.attributes["asyncio.callback.type"],
            point.attributes["code.function.name"].rpartition("<locals>.")[2].removeprefix(f"{__name__}."),
        ): point.value
        for point in telemetry.metrics()["asyncio.slow_callbacks"]
        if "code.function.name" in point.attributes
    }


class Lines(asyncio.Protocol):
    """Takes long over each line."""

    def __init__(self, done: Callable[[], None] = lambda: None) -> None:
        self._done = done

    def data_received(self, data: bytes) -> None:
        burn()
        self._done()


async def by_task(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    async def works() -> None:
        await asyncio.sleep(0)
        burn()

    await loop.create_task(works())
    done.set()


async def by_callback(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    loop.call_soon(burn)
    loop.call_soon(done.set)


async def by_another_thread(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    loop.call_soon_threadsafe(burn)
    loop.call_soon(done.set)


async def by_done_callback(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    future = loop.create_future()
    future.add_done_callback(burn)
    future.add_done_callback(lambda _: done.set())
    future.set_result(None)


async def by_timer(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    loop.call_later(0, burn)
    loop.call_later(0, done.set)


async def by_reader(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    here, there = socket.socketpair()

    def reads() -> None:
        burn()
        loop.remove_reader(here)  # it is cancelled while it runs
        done.set()

    loop.add_reader(here, reads)
    there.send(b"x")
    await done.wait()
    here.close()
    there.close()


async def by_writer(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    here, there = socket.socketpair()

    def writes() -> None:
        burn()
        loop.remove_writer(here)
        done.set()

    loop.add_writer(here, writes)
    await done.wait()
    here.close()
    there.close()


async def by_protocol(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    here, there = socket.socketpair()
    transport, _ = await loop.create_connection(lambda: Lines(done.set), sock=here)
    there.send(b"x")
    await done.wait()
    transport.close()
    there.close()


@exact
@pytest.mark.parametrize(
    ("program", "kind", "function"),
    [
        (by_task, "task", "works"),
        (by_callback, "callback", "burn"),
        (by_another_thread, "callback", "burn"),
        (by_done_callback, "callback", "burn"),
        (by_timer, "timer", "burn"),
        (by_reader, "reader", "reads"),
        (by_writer, "reader", "writes"),
        (by_protocol, "reader", "Lines.data_received"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_slow_is_counted_by_its_kind_and_function(
    loops: Loops, telemetry: Telemetry, program: Any, kind: str, function: str
) -> None:
    async def main() -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = AFTER_S
        await program(loop, done)
        await done.wait()
        await asyncio.sleep(0)

    telemetry.start(exact_timing=True, stall_after=None)
    loops.run(main())

    assert {(kind, function): 1} == counted(telemetry)


@exact
def test_the_loops_own_limit_is_asked_each_time(loops: Loops, telemetry: Telemetry) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        for limit_s in (10 * BURN_S, BURN_S / 2, 10 * BURN_S):
            loop.slow_callback_duration = limit_s
            loop.call_soon(burn)
            await asyncio.sleep(0)

    telemetry.start(exact_timing=True, stall_after=None)
    loops.run(main())

    assert {("callback", "burn"): 1} == counted(telemetry)


def test_what_is_over_in_a_moment_is_never_slow(telemetry: Telemetry) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.slow_callback_duration = 0
        await asyncio.gather(*[asyncio.sleep(0) for _ in range(1000)])

    telemetry.start(exact_timing=True, stall_after=None)
    Loops("asyncio", asyncio.new_event_loop).run(main())

    assert sum(counted(telemetry).values()) < 200


@needs_eager
def test_a_slow_eager_step_is_not_its_creators_as_well(telemetry: Telemetry) -> None:
    async def eager() -> None:
        burn()

    def creates() -> None:
        tasks.append(asyncio.get_running_loop().create_task(eager()))
        linger()

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.slow_callback_duration = AFTER_S
        loop.call_soon(creates)
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    telemetry.start(exact_timing=True, stall_after=None)
    Loops("eager", asyncio.new_event_loop, eager=True).run(main())

    assert {("task", "eager"): 1} == counted(telemetry)


@needs_eager
def test_quick_eager_steps_that_add_up_make_their_creator_slow(telemetry: Telemetry) -> None:
    async def eager() -> None:
        linger()

    def creates() -> None:
        tasks.extend(asyncio.get_running_loop().create_task(eager()) for _ in range(4))

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.slow_callback_duration = AFTER_S
        loop.call_soon(creates)
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    telemetry.start(exact_timing=True, stall_after=None)
    Loops("eager", asyncio.new_event_loop, eager=True).run(main())

    assert {("callback", "creates"): 1} == counted(telemetry)


def test_a_step_of_a_task_that_nobody_knows_is_named_by_its_coroutine(telemetry: Telemetry) -> None:
    async def older() -> None:
        telemetry.start(exact_timing=True, stall_after=None)
        await asyncio.sleep(0)
        burn()

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.slow_callback_duration = AFTER_S
        await loop.create_task(older())

    Loops("asyncio", asyncio.new_event_loop).run(main())

    assert {("task", "older"): 1} == counted(telemetry)


def test_more_than_can_wait_are_counted_as_lost() -> None:
    some = slow.Slow()
    for _ in range(slow.WAITING + 3):
        some.add("app.f", "task")

    assert {("app.f", "task"): slow.WAITING} == some.take()
    assert 3 == some.dropped
    assert {} == some.take()


@pytest.mark.parametrize("loop", [object(), Mock(slow_callback_duration=None)])
def test_a_loop_that_names_no_limit_has_the_usual_one(loop: object) -> None:
    some = slow.Slow()

    assert some.is_slow(loop, slow.USUAL_NS)
    assert not some.is_slow(loop, slow.USUAL_NS - 1)


def test_a_limit_of_ones_own_holds_for_all_loops() -> None:
    some = slow.Slow(after_ns=1000)

    assert some.is_slow(object(), 1000)
    assert not some.is_slow(object(), 999)
