"""Loops that only seem to be blocked give no stall: no log, no event, no number."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from aiotel.testing import Receiver

from ..conftest import Loops, Telemetry
from .stalling import AFTER_S

pytestmark = pytest.mark.slow

HUGE = bytes(40_000_000)
NUMBERS = [0.1] * 2_000_000


def stalls(telemetry: Telemetry) -> list[object]:
    """Everything that tells of one."""
    found: list[object] = [log.body for log in telemetry.logs]
    found += [event.name for span in telemetry.spans for event in span.events]
    for name in ("asyncio.eventloop.stall.duration", "asyncio.slow_callbacks"):
        found += [dict(point.attributes) for point in telemetry.metrics().get(name, ()) if point.attributes]
    return found


async def idle() -> None:
    await asyncio.sleep(0.5)


async def a_long_await() -> None:
    nobody = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(nobody, 0.5)


async def an_executor_that_sleeps() -> None:
    await asyncio.to_thread(time.sleep, 0.5)


async def an_executor_that_computes() -> None:
    await asyncio.gather(*[asyncio.to_thread(hashlib.sha256, HUGE) for _ in range(4)])


def _hold_the_gil_later() -> None:
    time.sleep(0.05)
    json.dumps(NUMBERS)


async def an_executor_that_holds_the_gil_while_the_loop_rests() -> None:
    await asyncio.to_thread(_hold_the_gil_later)


async def many_short_steps() -> None:
    for _ in range(20_000):
        await asyncio.sleep(0)


INNOCENT: list[Callable[[], Awaitable[None]]] = [
    idle,
    a_long_await,
    an_executor_that_sleeps,
    an_executor_that_computes,
    an_executor_that_holds_the_gil_while_the_loop_rests,
    many_short_steps,
]


@pytest.mark.parametrize("work", INNOCENT, ids=lambda work: work.__name__)
def test_a_loop_that_is_not_blocked(
    loops: Loops, work: Callable[[], Awaitable[None]], telemetry: Telemetry
) -> None:
    if loops.name == "uvloop" and work is an_executor_that_holds_the_gil_while_the_loop_rests:
        pytest.skip("such a loop has to be asked, and cannot answer meanwhile")

    async def main() -> None:
        await work()

    telemetry.start(stall_after=AFTER_S)

    loops.run(main())

    assert [] == stalls(telemetry)


def test_a_loop_that_was_stopped_and_runs_again_later(loops: Loops, telemetry: Telemetry) -> None:
    async def step() -> None:
        await asyncio.sleep(0.01)

    telemetry.start(stall_after=AFTER_S)
    loop = loops.new()
    for _ in range(2):
        loop.run_until_complete(step())
        time.sleep(0.4)
    assert telemetry.session is not None
    telemetry.session.flush()
    time.sleep(0.2)
    loop.close()

    assert [] == stalls(telemetry)


def test_a_loop_that_has_ended(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start(stall_after=AFTER_S)

    loops.run(asyncio.sleep(0.01))
    time.sleep(0.4)

    assert [] == stalls(telemetry)


def test_many_looks_at_once(loops: Loops, telemetry: Telemetry) -> None:
    session = telemetry.start(stall_after=AFTER_S)
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.001):
            session.flush()

    async def main() -> None:
        for _ in range(50):
            await asyncio.gather(*[asyncio.sleep(0.001) for _ in range(20)])

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    loops.run(main())
    over.set()
    for thread in threads:
        thread.join()

    assert [] == stalls(telemetry)


STOPPED = """
import asyncio, sys
import aiotel

async def main():
    for _ in range(3):
        print("runs", flush=True)
        for _ in range(20):
            await asyncio.sleep(0.01)

def loop_factory():
    if sys.argv[1] == "uvloop":
        import uvloop
        return uvloop.new_event_loop()
    return asyncio.new_event_loop()

aiotel.instrument(aiotel.Config(export=True, stall_after=0.15))
with asyncio.Runner(loop_factory=loop_factory) as runner:
    runner.run(main())
aiotel.uninstrument()
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_process_that_was_stopped(loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    with Receiver() as receiver:
        environ = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
        with subprocess.Popen(
            [sys.executable, "-c", STOPPED, loop], env=environ, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            for _ in range(2):
                process.stdout.readline()
                process.send_signal(signal.SIGSTOP)
                time.sleep(0.6)
                process.send_signal(signal.SIGCONT)
            process.stdout.read()
        assert 0 == process.returncode
        receiver.wait_for_spans(1)

    assert [] == [log.body for log in receiver.logs]
    names = {point.name for point in receiver.metrics}
    assert "asyncio.eventloop.delay" in names
    assert "asyncio.eventloop.stall.duration" not in names
