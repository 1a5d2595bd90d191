"""Who had to wait because a loop was blocked is told so, on its own span, and nobody else."""

from __future__ import annotations

import pytest

from ..conftest import Loops
from .stalling import attempts, calling, check_duration, run, said, span_of, the_stall, waited

pytestmark = pytest.mark.slow

_TEXT = """
async def CULPRIT():
    await asyncio.sleep(0)
    LET_GO.set()
    began = time.perf_counter()
    time.sleep(0.4)  #! at
    TOOK.append(time.perf_counter() - began)

async def SLEEPS():
    await asyncio.sleep(0.15)

async def READY():
    await LET_GO.wait()

async def WAITS():
    await asyncio.create_task(CULPRIT())

async def IDLE():
    await asyncio.sleep(3600)

async def main():
    global LET_GO
    LET_GO = asyncio.Event()
    idle = asyncio.create_task(IDLE())
    others = [asyncio.create_task(each()) for each in (SLEEPS, READY)]
    await asyncio.sleep(0.05)
    await asyncio.create_task(WAITS())
    await asyncio.gather(*others)
    idle.cancel()
"""
_NAMES = ("CULPRIT", "SLEEPS", "READY", "WAITS", "IDLE", "LET_GO")


@attempts
def test_who_was_ready_and_whose_sleep_fell_due(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    program = calling(_TEXT, *_NAMES)

    told = run(program, loops, capsys)

    assert said(told, program) == ("CULPRIT", "at", "sleep")
    assert ["READY", "SLEEPS"] == waited(told, program)


@attempts
def test_a_victim_is_told_by_whom_and_how_long(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    program = calling(_TEXT, *_NAMES)

    told = run(program, loops, capsys)

    log = the_stall(told)
    assert 2 == log.attributes["asyncio.stall.waited.tasks"]
    for name in ("READY", "SLEEPS"):
        [event] = span_of(told, program, name).events
        assert (program.qualified("CULPRIT"), "sleep") == (
            event.attributes["code.function.name"],
            event.attributes["asyncio.stall.cause"],
        )
        check_duration(event.attributes["asyncio.stall.duration"], program)
        assert log.attributes["asyncio.task.name"] == event.attributes["asyncio.stall.task.name"]
    [event] = span_of(told, program, "SLEEPS").events
    late = event.attributes["asyncio.stall.waited.duration"]
    assert isinstance(late, float)
    assert 0.5 * (0.45 - 0.15) <= late <= sum(program.namespace["TOOK"])
