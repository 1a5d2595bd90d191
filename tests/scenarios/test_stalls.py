"""Whatever blocks a loop is told once: the line, the cause, the culprit's span, and numbers."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Loops
from .stalling import (
    attempts,
    blocking,
    check_duration,
    points,
    run,
    said,
    span_of,
    the_stall,
)
from .wire import Program, Told

pytestmark = pytest.mark.slow


def check_all(told: Told, program: Program, cause: str, callback: str = "task") -> None:
    """Log, span event and metrics of a stall in `BLOCKS` agree, and there is one of each."""
    function = program.qualified("BLOCKS")
    log = the_stall(told)
    assert said(told, program) == ("BLOCKS", "at", cause), log.attributes["asyncio.stall.evidence"]
    check_duration(log.attributes["asyncio.stall.duration"], program)
    assert f"in {program.names['BLOCKS']}\n" in str(log.attributes["code.stacktrace"])
    assert points(told, "asyncio.eventloop.stall.duration") == {(cause, function): 1}
    assert points(told, "asyncio.slow_callbacks") == {(callback, function): 1}
    if callback != "task":
        assert (log.trace_id, log.span_id) == (None, None)
        return
    span = span_of(told, program, "CULPRIT")
    assert (log.trace_id, log.span_id) == (span.trace_id, span.span_id)
    [event] = [event for event in span.events if event.name == "asyncio.stall"]
    keys = ["asyncio.stall.cause", "asyncio.stall.duration", "asyncio.stall.evidence"]
    keys += ["code.function.name", "code.file.path", "code.line.number"]
    assert {key: log.attributes[key] for key in keys} == event.attributes


@attempts
def test_a_sleep(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    program = blocking("time.sleep(0.4)")

    told = run(program, loops, capsys)

    check_all(told, program, "sleep")


@attempts
def test_a_regular_expression_that_keeps_the_gil(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    def program() -> Program:
        return blocking("re.match(PATTERN, TEXT)", PATTERN=r"(a+)+$", TEXT="a" * 25 + "b")

    check_all(*run_until_sampled(program, loops, capsys), "cpu")


@attempts
def test_python_that_computes(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    program = blocking("while time.perf_counter() < began + 0.4: pass")

    told = run(program, loops, capsys)

    check_all(told, program, "cpu")


@attempts
def test_a_read_of_a_file(loops: Loops, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    program = blocking(
        "os.read(READS, 1)",
        prepare="WRITER.start()",
        READS=os.open(path, os.O_RDONLY | os.O_NONBLOCK),
    )
    writes = os.open(path, os.O_WRONLY)
    os.set_blocking(program.namespace["READS"], True)
    program.namespace["WRITER"] = threading.Timer(0.4, os.write, (writes, b"x"))

    told = run(program, loops, capsys)

    check_all(told, program, "io")
    os.close(writes)
    os.close(program.namespace["READS"])


@attempts
def test_an_answer_that_does_not_come_as_from_a_dns_server(
    loops: Loops, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
        asks.bind(("127.0.0.1", 0))
        asks.settimeout(0.4)
        program = blocking(
            "with contextlib.suppress(TimeoutError): ASKS.recvfrom(512)", ASKS=asks, contextlib=contextlib
        )

        told = run(program, loops, capsys)

    check_all(told, program, "io")


@attempts
def test_json_that_is_huge(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    def program() -> Program:
        return blocking("json.dumps(ROWS)", ROWS=[0.1] * 3_000_000)

    check_all(*run_until_sampled(program, loops, capsys), "cpu")


@attempts
def test_a_pause_of_the_garbage_collector(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    junk = _junk(400_000)

    def program() -> Program:
        # Who looks gets the GIL but between two collections, and asks uvloop, where it rests, twice a second.
        return blocking("while time.perf_counter() < began + 0.8: gc.collect()", JUNK=junk)

    check_all(*run_until_sampled(program, loops, capsys, "the garbage collector ran for "), "gc")
    junk.clear()


@attempts
def test_threads_that_contend_for_the_gil(loops: Loops, capsys: pytest.CaptureFixture[str]) -> None:
    go = threading.Event()
    program = blocking("while time.perf_counter() < began + 0.6: pass", prepare="START()", START=go.set)
    for _ in range(4):
        threading.Thread(target=_spin_after, args=(go, program.namespace["TOOK"])).start()

    told = run(program, loops, capsys, stall_after=0.3)

    check_all(told, program, "gil")


@attempts
def test_a_lock_that_another_thread_holds_while_it_computes(
    loops: Loops, capsys: pytest.CaptureFixture[str]
) -> None:
    program = blocking("LOCK.acquire(timeout=0.4)", prepare="START()", LOCK=threading.Lock())
    program.namespace["LOCK"].acquire()
    thread = threading.Thread(target=_spin, args=(program.namespace["TOOK"],))
    program.namespace["START"] = thread.start

    told = run(program, loops, capsys)

    check_all(told, program, "lock")


@attempts
def test_a_module_that_is_slow_to_import(
    loops: Loops,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = blocking("__import__(MODULE)")
    program.namespace["MODULE"] = f"{program.module}_slow"
    (tmp_path / f"{program.module}_slow.py").write_text("import time\n\ntime.sleep(0.4)\n")
    monkeypatch.syspath_prepend(tmp_path)

    told = run(program, loops, capsys)

    check_all(told, program, "import")


def run_until_sampled(
    new: Callable[[], Program],
    loops: Loops,
    capsys: pytest.CaptureFixture[str],
    says: str = "held the GIL all the time, in native code: no sample could be had",
) -> tuple[Told, Program]:
    """Run a program that holds the GIL, again where no look at the stack could be had; it `says` why then."""
    for _ in range(4):
        program = new()
        told = run(program, loops, capsys)
        log = the_stall(told)
        if "code.function.name" in log.attributes:
            return told, program
        evidence = str(log.attributes["asyncio.stall.evidence"])
        assert says in evidence
    raise AssertionError("no sample could be had, four times")


def _junk(count: int) -> list[Any]:
    """What takes a while to be looked through."""
    gc.disable()
    try:
        return [[[number]] for number in range(count)]
    finally:
        gc.enable()


def _spin_after(go: threading.Event, took: list[float]) -> None:
    go.wait()
    _spin(took)


def _spin(took: list[float]) -> None:
    """Compute until the program has done its worst."""
    while not took:
        pass
