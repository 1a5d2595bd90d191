"""Exact timing over the wire: whose time it was and what was slow, of programs that nobody has seen."""

from __future__ import annotations

import pytest

from aiotel.testing import ReceivedSpan

from ..conftest import Loops
from ..hooks.test_timing import exact
from .wire import Told, program_of, wire

PROGRAM = """
    import asyncio
    import socket
    import time

    def GRINDS():
        time.sleep(0.06)

    async def COMPUTES():
        GRINDS()
        await asyncio.sleep(0)
        GRINDS()

    async def SUFFERS():
        await asyncio.sleep(0.01)

    async def DEPENDS():
        await asyncio.sleep(0.2)

    class Lines(asyncio.Protocol):
        def data_received(self, data):
            GRINDS()
            self.got.set_result(None)

    async def RECEIVES():
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        transport, protocol = await loop.create_connection(Lines, sock=here)
        protocol.got = loop.create_future()
        there.send(b"x")
        await protocol.got
        transport.close()
        there.close()

    async def main():
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.05
        await asyncio.gather(SUFFERS(), DEPENDS(), COMPUTES())
        loop.call_soon(GRINDS)
        loop.call_later(0.001, GRINDS)
        await asyncio.sleep(0.2)
        await RECEIVES()
"""
FUNCTIONS = ("GRINDS", "COMPUTES", "SUFFERS", "DEPENDS", "RECEIVES")


def _span(told: Told, name: str) -> ReceivedSpan:
    return next(span for span in told.spans if span.name == name)


def _part(told: Told, name: str, part: str) -> float:
    value = _span(told, name).attributes[f"asyncio.task.{part}"]
    assert isinstance(value, float | int)
    return value


@exact
@pytest.mark.slow
def test_it_is_told_who_ran_who_was_ready_and_who_waited(
    loops: Loops, capsys: pytest.CaptureFixture[str]
) -> None:
    program = program_of(PROGRAM, *FUNCTIONS)
    names = program.names
    with wire(capsys, exact_timing=True) as told:
        loops.run(program.namespace["main"]())

    assert _part(told, names["COMPUTES"], "run.duration") >= 0.12
    assert 0.06 <= _part(told, names["COMPUTES"], "step.longest") < 0.12
    assert 2 == _part(told, names["COMPUTES"], "steps")
    assert _part(told, names["SUFFERS"], "scheduled.duration") >= 0.05
    assert _part(told, names["DEPENDS"], "waiting.duration") >= 0.19
    assert _part(told, names["DEPENDS"], "run.duration") < 0.05
    sums = {
        point.attributes["code.function.name"]: point.sum
        for point in told.metrics
        if point.name == "asyncio.task.run.duration"
    }
    assert (sums[program.qualified("COMPUTES")] or 0) >= 0.12


@exact
@pytest.mark.slow
def test_every_slow_callback_is_counted_once_beside_the_watchdog(
    loops: Loops, capsys: pytest.CaptureFixture[str]
) -> None:
    program = program_of(PROGRAM, *FUNCTIONS)
    with wire(capsys, exact_timing=True, stall_after=None) as told:
        loops.run(program.namespace["main"]())

    counted = {
        (
            str(point.attributes["asyncio.callback.type"]),
            str(point.attributes["code.function.name"]),
        ): point.value
        for point in told.metrics
        if point.name == "asyncio.slow_callbacks" and "code.function.name" in point.attributes
    }
    assert {
        ("task", program.qualified("COMPUTES")): 2,
        ("callback", program.qualified("GRINDS")): 1,
        ("timer", program.qualified("GRINDS")): 1,
        ("reader", f"{program.module}.Lines.data_received"): 1,
    } == counted


@pytest.mark.slow
def test_uvloop_is_refused_and_what_is_seen_there_is_still_told(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    uvloop = pytest.importorskip("uvloop")
    program = program_of(PROGRAM, *FUNCTIONS)
    with wire(capsys, exact_timing=True) as told:
        Loops("uvloop", uvloop.new_event_loop).run(program.namespace["main"]())

    assert 1 == sum("exact_timing does not reach uvloop.Loop" in message for message in caplog.messages)
    assert {"returned"} == {span.attributes["asyncio.task.outcome"] for span in told.spans}
    assert not [span for span in told.spans if "asyncio.task.run.duration" in span.attributes]
