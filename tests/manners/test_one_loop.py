"""`instrument(loop=loop)` touches that loop alone, and not where a program would see it."""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop, BaseEventLoop
from typing import Any

import pytest

import aiotel

from ..conftest import Loops, Telemetry


async def three() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
        group.create_task(asyncio.sleep(0))


def test_other_loops_and_every_class_are_left_alone(loops: Loops, telemetry: Telemetry) -> None:
    classes = {cls: dict(vars(cls)) for cls in (AbstractEventLoop, BaseEventLoop)}
    loop, other = loops.new(), loops.new()

    telemetry.start(loop=loop)
    during = {cls: dict(vars(cls)) for cls in (AbstractEventLoop, BaseEventLoop)}
    other.run_until_complete(three())
    none = telemetry.spans
    loop.run_until_complete(three())

    assert classes == during
    assert none == []
    assert len(telemetry.spans) == 3
    loop.close()
    other.close()


def test_the_loop_is_what_it_was(loops: Loops, telemetry: Telemetry) -> None:
    loop = loops.new()
    before = dict(vars(loop))
    factory = loop.get_task_factory()

    telemetry.start(loop=loop)
    loop.run_until_complete(three())
    during = (loop.get_task_factory(), loop.get_exception_handler())
    aiotel.uninstrument()
    after = dict(vars(loop))
    loop.run_until_complete(three())

    assert during == (factory, None)
    assert before.keys() == after.keys() - {"_aiotel_ledger"}
    assert after.get("_aiotel_ledger") is None
    assert len(telemetry.spans) == 3
    loop.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_programs_factory_and_handler_go_on(loops: Loops, telemetry: Telemetry, when: str) -> None:
    loop = loops.new()
    made, handled = [], []

    def factory(loop: AbstractEventLoop, coro: Any, **options: Any) -> Any:
        made.append(coro.__qualname__)
        return asyncio.Task(coro, loop=loop, **options)

    def handler(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        handled.append(str(context["exception"]))

    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await three()

    if when == "after":
        telemetry.start(loop=loop)
    loop.set_task_factory(factory)
    loop.set_exception_handler(handler)
    if when == "before":
        telemetry.start(loop=loop)
    during = (loop.get_task_factory(), loop.get_exception_handler())
    loop.run_until_complete(main())
    spans, logs = len(telemetry.spans), len(telemetry.logs)
    aiotel.uninstrument()
    loop.run_until_complete(three())

    assert during == (factory, handler) == (loop.get_task_factory(), loop.get_exception_handler())
    assert len(made) == 6
    assert handled == ["division by zero"]
    assert (spans, logs) == (3, 1)
    loop.close()


def test_tasks_keep_the_names_that_they_would_have(loops: Loops, telemetry: Telemetry) -> None:
    async def names() -> list[str]:
        tasks = [asyncio.create_task(three()), asyncio.create_task(three(), name="named")]
        await asyncio.gather(*tasks)
        return [task.get_name().rstrip("0123456789") for task in tasks]

    plain, watched = loops.new(), loops.new()
    telemetry.start(loop=watched)

    assert plain.run_until_complete(names()) == watched.run_until_complete(names())
    plain.close()
    watched.close()


def test_somebodys_wrapper_on_the_loop_goes_on(loops: Loops, telemetry: Telemetry) -> None:
    loop: Any = loops.new()
    seen = []
    telemetry.start(loop=loop)
    ours = loop.create_task

    def create_task(coro: Any, **options: Any) -> Any:
        seen.append(coro.__qualname__)
        return ours(coro, **options)

    loop.create_task = create_task
    loop.run_until_complete(three())
    aiotel.uninstrument()
    loop.run_until_complete(three())

    assert loop.create_task is create_task
    assert len(seen) == 6
    assert len(telemetry.spans) == 3
    loop.close()


def test_a_loop_that_runs_in_another_thread_can_be_joined_and_left(
    loops: Loops, telemetry: Telemetry
) -> None:
    loop = loops.new()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    for _ in range(2):
        telemetry.start(loop=loop)
        asyncio.run_coroutine_threadsafe(three(), loop).result(10)
        aiotel.uninstrument()
        asyncio.run_coroutine_threadsafe(three(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()

    assert len(telemetry.spans) == 6


def test_closing_the_loop_settles_its_tasks(loops: Loops, telemetry: Telemetry) -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        loop.create_task(forever())._log_destroy_pending = False  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    loop = loops.new()
    telemetry.start(loop=loop)
    loop.run_until_complete(main())
    loop.close()

    outcomes = {
        span.name.rpartition(".")[2]: span.attributes["asyncio.task.outcome"]
        for span in telemetry.spans
        if span.attributes
    }
    assert outcomes == {"forever": "pending", "main": "returned"}


def test_another_loop_than_the_one_that_is_watched_is_a_warning(telemetry: Telemetry) -> None:
    loop, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    session = telemetry.start(loop=loop)

    assert aiotel.instrument(loop=loop) is session
    with pytest.warns(RuntimeWarning, match=r"loop.*uninstrument\(\)") as caught:
        again = aiotel.instrument(loop=other)
    with pytest.warns(RuntimeWarning, match=r"loop.*uninstrument\(\)"):
        aiotel.instrument()

    assert again is session
    assert caught[0].filename == __file__
    loop.close()
    other.close()


def test_a_loop_that_takes_no_attributes_is_refused() -> None:
    class Slotted:
        __slots__ = ()

        def create_task(self, coro: Any) -> None:
            raise NotImplementedError

    with pytest.raises(aiotel.UnsupportedError, match="Slotted takes no attributes"):
        aiotel.instrument(aiotel.Config(), loop=Slotted())  # type: ignore[arg-type]
