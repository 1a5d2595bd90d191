"""Loops that are blocked by other things than a task's function: callbacks, crowds, eager steps, for ever."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from opentelemetry.sdk._logs import LogRecordProcessor

from ..conftest import Loops, Telemetry
from .stalling import AFTER_S, attempts, calling, check_duration, points, run, said, span_of, the_stall
from .wire import Program, Told, wire

pytestmark = pytest.mark.slow

_BLOCKS = """
def BLOCKS(*ignored):
    began = time.perf_counter()
    time.sleep(0.4)  #! at
    TOOK.append(time.perf_counter() - began)
"""


def check(told: Told, program: Program, callback: str) -> None:
    """The one stall was that of `BLOCKS`, and no task's."""
    function = program.qualified("BLOCKS")
    assert said(told, program) == ("BLOCKS", "at", "sleep")
    log = the_stall(told)
    assert (log.trace_id, log.span_id) == (None, None)
    check_duration(log.attributes["asyncio.stall.duration"], program)
    assert points(told, "asyncio.eventloop.stall.duration") == {("sleep", function): 1}
    assert points(told, "asyncio.slow_callbacks") == {(callback, function): 1}


@attempts
def test_a_protocol_that_is_slow_to_take_data(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    program = calling(
        _BLOCKS
        + """
class PROTOCOL(asyncio.Protocol):
    def data_received(self, data):
        BLOCKS()
        OVER.set()

async def main():
    global OVER
    OVER = asyncio.Event()
    server = await asyncio.get_running_loop().create_server(PROTOCOL, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"x")
    await OVER.wait()
    writer.close()
    server.close()
    await asyncio.sleep(0.05)
""",
        *("BLOCKS", "PROTOCOL"),
    )

    told = run(program, loops, capsys)

    check(told, program, "callback" if loops.name == "uvloop" else "reader")


@attempts
def test_a_slow_done_callback(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    program = calling(
        _BLOCKS
        + """
async def WORK():
    await asyncio.sleep(0.05)

async def main():
    task = asyncio.create_task(WORK())
    task.add_done_callback(BLOCKS)
    await task
    await asyncio.sleep(0.05)
""",
        *("BLOCKS", "WORK"),
    )

    told = run(program, loops, capsys)

    check(told, program, "callback")


@attempts
def test_a_slow_timer(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    program = calling(
        _BLOCKS
        + """
async def main():
    asyncio.get_running_loop().call_later(0.03, BLOCKS)
    await asyncio.sleep(0.1)
    await asyncio.sleep(0.05)
""",
        "BLOCKS",
    )

    told = run(program, loops, capsys)

    check(told, program, "callback")


@attempts
def test_a_slow_first_step_of_an_eager_task(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    if not loops.eager and sys.version_info < (3, 14):
        pytest.skip("before 3.14, only a task factory makes tasks start eagerly")
    program = calling(
        _BLOCKS
        + """
async def CULPRIT():
    BLOCKS()
    await asyncio.sleep(0.01)

async def CREATOR():
    await asyncio.sleep(0.05)
    await asyncio.create_task(CULPRIT(), **EAGERLY)

async def main():
    await asyncio.create_task(CREATOR())
    await asyncio.sleep(0.05)
""",
        *("BLOCKS", "CULPRIT", "CREATOR"),
        EAGERLY={} if loops.eager else {"eager_start": True},
    )

    told = run(program, loops, capsys)

    assert said(told, program) == ("BLOCKS", "at", "sleep")
    culprit, log = span_of(told, program, "CULPRIT"), the_stall(told)
    assert (log.trace_id, log.span_id) == (culprit.trace_id, culprit.span_id)
    assert [event.name for event in culprit.events] == ["asyncio.stall"]
    assert span_of(told, program, "CREATOR").events == ()


_CROWDS = {
    "callbacks": "for _ in range(5000): asyncio.get_running_loop().call_soon(TINY)",
    "tasks": "tasks = [asyncio.create_task(TINY_TASK()) for _ in range(5000)]",
}


@pytest.mark.parametrize("crowd", _CROWDS)
@attempts
def test_a_crowd_of_tiny_callbacks(loops: Loops, crowd: str, capsys: pytest.CaptureFixture[str]) -> None:
    if loops.name == "uvloop" and crowd == "callbacks":
        pytest.skip("uvloop does not show its callbacks")
    program = calling(
        f"""
def TINY():
    end = time.perf_counter() + 0.0001
    while time.perf_counter() < end: pass  #! at

async def TINY_TASK():
    await asyncio.sleep(0)
    TINY()

async def CULPRIT():
    {_CROWDS[crowd]}
    await asyncio.sleep(0)
    await asyncio.sleep(0)

async def main():
    await asyncio.sleep(0.05)
    await asyncio.create_task(CULPRIT())
    await asyncio.sleep(0.05)
""",
        *("TINY_TASK", "TINY", "CULPRIT"),
    )

    told = run(program, loops, capsys, stall_after=0.3)

    assert said(told, program) == ("TINY", "at", "crowded")
    assert points(told, "asyncio.eventloop.stall.duration") == {("crowded", program.qualified("TINY")): 1}
    assert not points(told, "asyncio.slow_callbacks")
    assert "asyncio.stall" not in [event.name for span in told.spans for event in span.events]


@attempts
def test_the_loop_of_a_second_thread(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    program = calling(
        _BLOCKS
        + """
async def CULPRIT():
    await asyncio.sleep(0.05)
    BLOCKS()

async def main():
    await asyncio.to_thread(OTHER, CULPRIT())
""",
        *("BLOCKS", "CULPRIT"),
    )
    program.namespace["OTHER"] = loops.run

    told = run(program, loops, capsys)

    assert said(told, program) == ("BLOCKS", "at", "sleep")
    assert [event.name for event in span_of(told, program, "CULPRIT").events] == ["asyncio.stall"]
    assert span_of(told, program, "main").events == ()


_LONG = """
async def CULPRIT():
    began = time.perf_counter()
    LET_GO.wait()  #! at
    TOOK.append(time.perf_counter() - began)

async def main():
    await asyncio.sleep(0.05)
    await asyncio.create_task(CULPRIT())
"""


@attempts
def test_a_long_stall_is_an_error_and_told_again_when_it_ends(
    loops: Loops, capsys: pytest.CaptureFixture[str]
) -> None:
    program = calling(_LONG, "CULPRIT")
    program.namespace["LET_GO"] = let_go = threading.Event()

    with wire(capsys, stall_after=AFTER_S, stall_error_after=0.3) as told:
        threading.Timer(1.0, let_go.set).start()
        loops.run(program.namespace["main"]())

    assert [("asyncio.stall", "ERROR"), ("asyncio.stall.ended", "INFO")] == told.events
    begun, ended = (log.attributes for log in told.logs)
    culprit = span_of(told, program, "CULPRIT")
    assert {culprit.span_id} == {log.span_id for log in told.logs}
    assert ["asyncio.stall"] == [event.name for event in culprit.events]
    for attributes in (begun, ended):
        assert (program.qualified("CULPRIT"), program.marked["at"], "lock") == (
            attributes["code.function.name"],
            attributes["code.line.number"],
            attributes["asyncio.stall.cause"],
        )
    assert begun["asyncio.stall.duration"] < ended["asyncio.stall.duration"]  # type: ignore[operator]  # floats
    check_duration(ended["asyncio.stall.duration"], program)
    assert points(told, "asyncio.eventloop.stall.duration") == {("lock", program.qualified("CULPRIT")): 1}


@attempts
def test_a_stall_is_told_while_it_lasts(loops: Loops, telemetry: Telemetry) -> None:
    program = calling(_LONG, "CULPRIT")
    program.namespace["LET_GO"] = let_go = threading.Event()
    telemetry.logger_provider.add_log_record_processor(_Until("asyncio.stall", let_go))
    telemetry.start(stall_after=AFTER_S, stall_error_after=0.3)

    loops.run(program.namespace["main"]())

    assert ["asyncio.stall", "asyncio.stall.ended"] == [log.event_name for log in telemetry.logs]


class _Until(LogRecordProcessor):
    """Lets go once a log of this name has been told."""

    def __init__(self, name: str, let_go: threading.Event) -> None:
        self._name = name
        self._let_go = let_go

    def on_emit(self, log_record: Any) -> None:
        if log_record.log_record.event_name == self._name:
            self._let_go.set()

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True
