"""Who has to wait for a loop that is blocked: looked at on the loop, and from beside it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from aiotel._hooks.ledgers import ledger_of
from aiotel._ledger import Ledger
from aiotel._record import AnyRecord
from aiotel._watch.victims import MOST, late_sleepers, ready, woken

from ..conftest import Loops, Telemetry


@pytest.fixture(autouse=True)
def _session(telemetry: Telemetry) -> None:
    telemetry.start()


def ledger() -> Ledger:
    """Of the loop that runs here."""
    found = ledger_of(asyncio.get_running_loop())
    assert found is not None
    return found


def record() -> AnyRecord:
    """Of the task that runs here."""
    task = asyncio.current_task()
    return ledger().live[id(task)]


def names(records: list[AnyRecord]) -> list[str]:
    return sorted(record.function.qualname.split(".")[-1] for record in records)


def from_beside(look: Callable[[], list[AnyRecord]]) -> list[str]:
    """What another thread sees."""
    found: list[AnyRecord] = []
    thread = threading.Thread(target=lambda: found.extend(look()))
    thread.start()
    thread.join()
    return names(found)


def ready_now(but: AnyRecord) -> list[str]:
    here = ledger()
    return from_beside(lambda: ready(here, [but]))


async def fresh() -> None:
    await asyncio.sleep(0.01)


async def waits(event: asyncio.Event) -> None:
    await event.wait()


async def awaits(other: Awaitable[object]) -> None:
    await other


async def sleeps(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def yields() -> None:
    await asyncio.sleep(0)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_ready_are_those_whose_turn_it_is(loops: Loops) -> None:
    async def main() -> list[str]:
        event, never = asyncio.Event(), asyncio.Event()
        tasks = [asyncio.create_task(each) for each in (waits(event), waits(never), sleeps(60))]
        tasks += [asyncio.create_task(awaits(tasks[1])), asyncio.create_task(awaits(tasks[0]))]
        await settle()
        tasks += [asyncio.create_task(yields())]
        event.set()
        found = ready_now(record())
        for task in tasks:
            task.cancel()
        return found

    assert loops.run(main()) == ["waits", "yields"]


def test_a_task_that_was_just_made_is_ready(loops: Loops) -> None:
    if loops.eager:
        pytest.skip("there it has begun already")

    async def main() -> list[str]:
        task = asyncio.create_task(fresh())
        found = ready_now(record())
        await task
        return found

    assert loops.run(main()) == ["fresh"]


def test_who_runs_is_not_ready_nor_who_has_started_it_eagerly(loops: Loops) -> None:
    async def inner() -> list[str]:
        here = ledger()
        return from_beside(lambda: ready(here, ()))

    async def main() -> list[str]:
        return await asyncio.create_task(inner())

    assert loops.run(main()) == []


def test_a_task_that_is_done_is_not_ready(loops: Loops) -> None:
    async def main() -> list[str]:
        task = asyncio.create_task(yields())
        await settle()
        assert task.done()
        return ready_now(record())

    assert loops.run(main()) == []


def test_no_more_are_told_than_a_hundred(loops: Loops) -> None:
    async def main() -> int:
        event = asyncio.Event()
        tasks = [asyncio.create_task(waits(event)) for _ in range(3 * MOST)]
        await settle()
        event.set()
        found = len(ready_now(record()))
        await asyncio.gather(*tasks)
        return found

    assert loops.run(main()) == MOST


def _late(loops: Loops) -> list[tuple[str, int]]:
    """Who is late after 50 ms in which the loop was blocked."""
    look = woken if loops.name == "uvloop" else late_sleepers
    found: list[tuple[str, int]] = []

    def block() -> None:
        time.sleep(0.05)

    def see() -> None:
        here = ledger()
        found.extend((record.function.qualname, waited_ns) for record, waited_ns in look(here, 50_000_000))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(sleeps(seconds)) for seconds in (0.03, 60)]
        tasks += [asyncio.create_task(waits(asyncio.Event()))]
        never = asyncio.create_task(sleeps(0.035))
        await settle()
        never.cancel()
        loop.call_soon(block)
        if loops.name == "uvloop":  # it has woken them by the time that anybody is asked
            loop.call_later(0.031, see)
        else:
            loop.call_soon(see)
        await asyncio.sleep(0.06)
        for task in tasks:
            task.cancel()

    loops.run(main())
    return found


def test_late_sleepers_are_told_by_how_much(loops: Loops) -> None:
    [(name, waited_ns)] = _late(loops)

    assert name == "sleeps"
    assert 5_000_000 < waited_ns <= 50_000_000
