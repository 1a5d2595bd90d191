"""Programs that hold a lock for too long, and programs that only look so: what goes over the wire."""

from __future__ import annotations

import pytest

from aiotel import _process
from aiotel.testing import ReceivedMetricPoint

from ..conftest import Loops
from .wire import program_of, wire

AFTER_S = 0.15
LONG = "asyncio.lock.long_hold"

HELD = """
    import asyncio

    async def HOLDER(lock, letting):
        await lock.acquire()  #! acquired
        await letting.wait()
        lock.release()

    async def WAITER(lock):
        async with lock:
            pass

    async def main(seen):
        lock, letting = asyncio.Lock(), asyncio.Event()
        holder = asyncio.create_task(HOLDER(lock, letting), name="TASK")
        await asyncio.sleep(0)
        waiters = [asyncio.create_task(WAITER(lock)) for _ in range(3)]
        for _ in range(2000):
            if seen():
                break
            await asyncio.sleep(0.01)
        letting.set()
        await asyncio.gather(holder, *waiters)
    """

INNOCENT = {
    "nobody waits": """
        import asyncio

        async def main():
            async with asyncio.Lock():
                await asyncio.sleep(0.4)
        """,
    "who waits comes late": """
        import asyncio

        async def WAITER(lock):
            async with lock:
                pass

        async def main():
            async with (lock := asyncio.Lock()):
                await asyncio.sleep(0.4)
                waiter = asyncio.create_task(WAITER(lock))
                await asyncio.sleep(0)
            await waiter
        """,
    "who has waited has given up": """
        import asyncio

        async def main():
            lock = asyncio.Lock()
            await lock.acquire()
            waiter = asyncio.create_task(lock.acquire())
            await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.sleep(0.4)
            lock.release()
        """,
    "each holds it shortly": """
        import asyncio

        async def WORKER(lock):
            async with lock:
                await asyncio.sleep(0.02)

        async def main():
            lock = asyncio.Lock()
            await asyncio.gather(*(WORKER(lock) for _ in range(20)))
        """,
    "a semaphore": """
        import asyncio

        async def WORKER(semaphore):
            async with semaphore:
                await asyncio.sleep(0.4)

        async def main():
            semaphore = asyncio.Semaphore(2)
            await asyncio.gather(*(WORKER(semaphore) for _ in range(4)))
        """,
}


@pytest.mark.slow
@pytest.mark.parametrize("when", ["while it lasts", "at its end"])
def test_a_lock_that_is_held_for_long_while_others_wait_is_told_once(
    loops: Loops, capsys: pytest.CaptureFixture[str], when: str
) -> None:
    program = program_of(HELD, "HOLDER", "WAITER", "TASK")
    looks = 0

    with wire(capsys, lock_held_after=AFTER_S) as told:
        session = _process._session
        assert session is not None
        locks = session._hooks.locks
        assert locks is not None
        if when == "at its end":
            locks.look = lambda: None  # type: ignore[method-assign]  # nobody looks meanwhile

        def seen() -> bool:
            nonlocal looks
            looks += 1
            if when == "at its end":
                return looks > 40
            return any(hold.told for hold in list(locks._known.held.values()))

        loops.run(program.namespace["main"](seen))

    (log,) = [log for log in told.logs if log.event_name == LONG]
    assert log.severity_text == "WARN"
    assert log.attributes["code.function.name"] == program.qualified("HOLDER")
    assert log.attributes["code.file.path"] == program.file
    assert log.attributes["code.line.number"] == program.marked["acquired"]
    assert log.attributes["asyncio.lock.waiting.tasks"] == 3
    for duration in ("asyncio.lock.hold.duration", "asyncio.lock.wait.duration"):
        assert float(str(log.attributes[duration])) >= AFTER_S
    assert log.attributes["asyncio.task.name"] == program.names["TASK"]
    assert ("so far" in str(log.body)) is (when == "while it lasts")
    assert told.counts("asyncio.findings") == {"long_hold": 1}
    (span,) = [span for span in told.spans if span.name == program.names["HOLDER"]]
    assert log.trace_id == span.trace_id
    assert log.span_id == span.span_id


@pytest.mark.slow
@pytest.mark.parametrize("kind", INNOCENT)
def test_what_only_looks_so_is_not_told(loops: Loops, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    program = program_of(INNOCENT[kind], "WAITER", "WORKER")

    with wire(capsys, lock_held_after=AFTER_S) as told:
        loops.run(program.namespace["main"]())

    assert [log.event_name for log in told.logs if log.event_name == LONG] == []
    assert told.counts("asyncio.findings") == {}


def _count(points: list[ReceivedMetricPoint], name: str, function: str) -> tuple[int, float]:
    (point,) = [
        point
        for point in points
        if point.name == name and point.attributes.get("code.function.name") == function
    ]
    return point.count or 0, point.sum or 0


@pytest.mark.slow
def test_waits_and_holds_are_measured_by_the_function_that_acquires(
    loops: Loops, capsys: pytest.CaptureFixture[str]
) -> None:
    program = program_of(INNOCENT["each holds it shortly"], "WORKER")

    with wire(capsys, lock_metrics=True) as told:
        loops.run(program.namespace["main"]())

    waits, waited_s = _count(told.metrics, "asyncio.lock.wait.duration", program.qualified("WORKER"))
    holds, held_s = _count(told.metrics, "asyncio.lock.hold.duration", program.qualified("WORKER"))
    assert (waits, holds) == (20, 20)
    assert held_s >= 20 * 0.018
    assert waited_s >= sum(range(20)) * 0.018
