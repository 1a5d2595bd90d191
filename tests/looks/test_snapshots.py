from __future__ import annotations

import asyncio
import threading
import time

import pytest

from aiotel._snapshot import Snapshot

from ..conftest import Loops, Telemetry


async def _waits(event: asyncio.Event) -> None:
    await event.wait()


def _states(snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    return {
        view.task.function.rpartition(".")[2]: (view.state, "" if view.waiting is None else view.waiting.kind)
        for view in snapshot.tasks
    }


def test_a_loop_that_answers_is_shown(loops: Loops, telemetry: Telemetry) -> None:
    session = telemetry.start()

    async def main() -> Snapshot:
        event = asyncio.Event()
        task = asyncio.create_task(_waits(event))
        await asyncio.sleep(0)
        snapshot = await asyncio.get_running_loop().run_in_executor(None, session.snapshot)
        event.set()
        await task
        return snapshot

    snapshot = loops.run(main())

    assert {"main": ("waiting", "executor"), "_waits": ("waiting", "event")} == _states(snapshot)
    assert [(True, 2)] == [(loop.running, loop.tasks) for loop in snapshot.loops]
    assert 0 == snapshot.left_out


@pytest.mark.slow
def test_a_loop_that_is_blocked_is_shown(loops: Loops, telemetry: Telemetry) -> None:
    session = telemetry.start()
    blocked, taken = threading.Event(), threading.Event()
    found: list[Snapshot] = []

    def take() -> None:
        blocked.wait(20)
        found.append(session.snapshot())
        taken.set()

    async def blocks() -> None:
        await asyncio.sleep(0)  # an eager task is known once it has first let go
        blocked.set()
        taken.wait(20)

    async def main() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(_waits(event))
        await asyncio.sleep(0)
        await asyncio.create_task(blocks())
        event.set()
        await task

    thread = threading.Thread(target=take)
    thread.start()
    loops.run(main())
    thread.join()

    states = _states(found[0])
    assert {"blocks": ("running", ""), "_waits": ("waiting", "event")} == {
        name: states[name] for name in ("blocks", "_waits")
    }
    running = next(view for view in found[0].tasks if view.state == "running")
    assert any("blocks" in frame.function for frame in running.stack)


def test_a_snapshot_keeps_no_task_alive(loops: Loops, telemetry: Telemetry) -> None:
    session = telemetry.start()

    async def main() -> int:
        event = asyncio.Event()
        tasks = [asyncio.create_task(_waits(event)) for _ in range(10)]
        await asyncio.sleep(0)
        snapshot = await asyncio.get_running_loop().run_in_executor(None, session.snapshot)
        event.set()
        await asyncio.gather(*tasks)
        tasks.clear()
        for _ in range(3):
            await asyncio.sleep(0)
        return len(snapshot.tasks)

    assert 11 == loops.run(main())
    assert 0 == len(session.snapshot().tasks)


@pytest.mark.slow
def test_there_is_no_time_for_all_of_many(loops: Loops, telemetry: Telemetry) -> None:
    session = telemetry.start()

    async def main() -> tuple[Snapshot, float]:
        event = asyncio.Event()
        tasks = [asyncio.create_task(_waits(event)) for _ in range(5_000)]
        await asyncio.sleep(0)
        began = time.monotonic()
        snapshot = await asyncio.get_running_loop().run_in_executor(
            None, lambda: session.snapshot(timeout=0.02)
        )
        took = time.monotonic() - began
        event.set()
        await asyncio.gather(*tasks)
        return snapshot, took

    snapshot, took = loops.run(main())

    assert 5_001 == len(snapshot.tasks) + snapshot.left_out
    assert snapshot.left_out > 0
    assert took < 5
