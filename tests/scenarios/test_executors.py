"""Programs whose threads are stuck, and programs whose threads are only busy: what goes over the wire."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import pytest

from aiotel.testing import ReceivedLog

from ..conftest import Loops
from .wire import Program, program_of, wire

AFTER_S = 0.3
STARVED = "asyncio.executor.starved"
RECOVERED = "asyncio.executor.recovered"

STUCK = """
    import asyncio, time
    from concurrent.futures import ThreadPoolExecutor

    def QUERY(number, letting):
        letting.wait()  #! query
        return number

    class REPORT:
        def RENDER(self, letting):
            self.wait(letting)

        def wait(self, letting):
            letting.wait()  #! render

    async def main(letting, watch):
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(4) as pool:
            calls = [loop.run_in_executor(pool, QUERY, number, letting) for number in range(3)]
            calls += [loop.run_in_executor(pool, REPORT().RENDER, letting)]
            calls += [loop.run_in_executor(pool, QUERY, number, letting) for number in range(6)]
            await asyncio.to_thread(watch)
            letting.set()
            return await asyncio.gather(*calls)
    """

BUSY = """
    import asyncio, time
    from concurrent.futures import ThreadPoolExecutor

    def WORK(number):
        time.sleep(0.02)
        return number

    async def main():
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(2) as pool:
            return await asyncio.gather(*[loop.run_in_executor(pool, WORK, number) for number in range(100)])
    """

LONG = """
    import asyncio, time

    def WORK(number):
        time.sleep(1)
        return number

    async def main():
        return await asyncio.gather(*[asyncio.to_thread(WORK, number) for number in range(3)])
    """


def until_told(capsys: pytest.CaptureFixture[str], event: str) -> str:
    """Wait, on any thread, until a line says so."""
    text, deadline = "", time.monotonic() + 30
    while event not in text and time.monotonic() < deadline:
        time.sleep(0.01)
        text += capsys.readouterr().err
    return text


def of(logs: list[ReceivedLog], name: str) -> list[ReceivedLog]:
    return [log for log in logs if log.event_name == name]


@pytest.mark.slow
def test_a_pool_that_is_stuck_is_told_with_the_functions_its_threads_are_in(
    loops: Loops, capsys: pytest.CaptureFixture[str]
) -> None:
    program = program_of(STUCK, "QUERY", "REPORT", "RENDER")

    with wire(capsys, starved_after=AFTER_S) as told:
        loops.run(program.namespace["main"](threading.Event(), partial(until_told, capsys, "Starved")))

    [starved] = of(told.logs, STARVED)
    assert starved.severity_text == "WARN"
    beginning = "Starved: 6 calls wait for an executor, where nothing has started for "
    end = f"4 threads are at work, 3 of them in {program.qualified('QUERY')}, line {program.marked['query']}"
    assert str(starved.body).startswith(beginning)
    assert str(starved.body).endswith(end)
    attributes: dict[str, Any] = dict(starved.attributes)
    assert attributes.pop("asyncio.executor.starved.duration") >= AFTER_S
    stacks: Any = attributes.pop("asyncio.executor.stacks")
    assert attributes == {
        "asyncio.executor.type": "user",
        "asyncio.executor.thread.count": 4,
        "asyncio.executor.thread.limit": 4,
        "asyncio.executor.queue.size": 6,
        "code.function.name": program.qualified("QUERY"),
        "code.file.path": program.file,
        "code.line.number": program.marked["query"],
    }
    assert [stack.splitlines()[0] for stack in stacks] == [
        f"3 threads in {program.qualified('QUERY')}",
        f"1 thread in {_method(program, 'wait')}",
    ]
    assert stacks[1].splitlines()[1].endswith(f"in {_method(program, program.names['RENDER'])}")
    [recovered] = of(told.logs, RECOVERED)
    assert recovered.severity_text == "INFO"
    assert recovered.attributes["code.function.name"] == program.qualified("QUERY")
    assert told.counts("asyncio.findings") == {"starved": 1}


BUILTINS = """
    import asyncio, queue, socket, threading, time
    from concurrent.futures import ThreadPoolExecutor
    from functools import partial

    async def main(builtin, through, watch):
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        lock, things, event = threading.Lock(), queue.SimpleQueue(), threading.Event()
        lock.acquire()
        given, release = {
            "sleep": (partial(time.sleep, 1.5), event.set),
            "lock": (partial(lock.acquire, True, 1.5), event.set),
            "queue": (things.get, partial(things.put, None)),
            "socket": (partial(ours.recv, 1), partial(theirs.send, b"x")),
            "event": (event.wait, event.set),
        }[builtin]
        with ThreadPoolExecutor(2) as pool:
            loop.set_default_executor(pool)
            if through == "to_thread":
                calls = [asyncio.create_task(asyncio.to_thread(given)) for _ in range(3)]
            else:
                calls = [loop.run_in_executor(pool, given) for _ in range(3)]
            with ThreadPoolExecutor(1) as other:
                await loop.run_in_executor(other, watch)
            for _ in calls:
                release()
            await asyncio.gather(*calls)
        ours.close()
        theirs.close()
    """

NAMED = {
    "sleep": "time.sleep",
    "lock": f"_thread.{type(threading.Lock()).__name__}.acquire",
    "queue": "_queue.SimpleQueue.get",
    "socket": "socket.socket.recv",
}

FLOWING = """
    import asyncio, time
    from concurrent.futures import ThreadPoolExecutor

    async def main():
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(2) as pool:
            loop.set_default_executor(pool)
            await asyncio.gather(*[asyncio.to_thread(time.sleep, 0.02) for _ in range(100)])
    """


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builtin", "through"), [*[(builtin, "to_thread") for builtin in NAMED], ("queue", "run_in_executor")]
)
def test_threads_that_were_given_a_builtin_are_at_work_and_named_by_it(
    loops: Loops, capsys: pytest.CaptureFixture[str], builtin: str, through: str
) -> None:
    program = program_of(BUILTINS)

    with wire(capsys, starved_after=AFTER_S) as told:
        loops.run(program.namespace["main"](builtin, through, partial(until_told, capsys, "Starved")))

    [starved] = of(told.logs, STARVED)
    assert str(starved.body).endswith(f"all 2 threads are at work, in {NAMED[builtin]}")
    assert starved.attributes["code.function.name"] == NAMED[builtin]
    assert "code.file.path" not in starved.attributes
    assert starved.attributes["asyncio.executor.stacks"] == [
        f"2 threads in {NAMED[builtin]}\n  {NAMED[builtin]}, a builtin"
    ]


@pytest.mark.slow
def test_threads_that_were_given_a_function_of_threading_are_at_work(
    loops: Loops, capsys: pytest.CaptureFixture[str]
) -> None:
    program = program_of(BUILTINS)

    with wire(capsys, starved_after=AFTER_S) as told:
        loops.run(program.namespace["main"]("event", "to_thread", partial(until_told, capsys, "Starved")))

    [starved] = of(told.logs, STARVED)
    assert starved.attributes["code.function.name"] == "threading.Event.wait"


@pytest.mark.slow
def test_builtins_that_flow_are_not_told(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    with wire(capsys, starved_after=AFTER_S) as told:
        loops.run(program_of(FLOWING).namespace["main"]())

    assert of(told.logs, STARVED) == []


@pytest.mark.slow
@pytest.mark.parametrize(("text", "calls"), [(BUSY, 100), (LONG, 3)], ids=["busy", "long"])
def test_threads_that_work_are_not_told(
    loops: Loops, capsys: pytest.CaptureFixture[str], text: str, calls: int
) -> None:
    program = program_of(text, "WORK")

    with wire(capsys, starved_after=AFTER_S) as told:
        assert loops.run(program.namespace["main"]()) == list(range(calls))

    assert of(told.logs, STARVED) == []
    assert told.counts("asyncio.findings") == {}
    waits = [point for point in told.metrics if point.name == "asyncio.executor.queue.duration"]
    assert [point.count for point in waits][-1] == calls


def _method(program: Program, name: str) -> str:
    return f"{program.module}.{program.names['REPORT']}.{name}"
