"""A signal has a snapshot logged, and whoever handled it before still does."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import aiotel
from aiotel._complaints import complaints
from aiotel._config import Config
from aiotel._status.signals import attach
from aiotel.errors import ConfigError

from ..conftest import Loops, Telemetry

NUMBER = signal.SIGUSR1


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = signal.getsignal(NUMBER)
    yield
    signal.signal(NUMBER, before)
    complaints.clear()


def _raise() -> None:
    os.kill(os.getpid(), NUMBER)


def test_it_is_noticed_and_handed_on() -> None:
    came: list[Any] = []
    signal.signal(NUMBER, lambda number, frame: came.append(number))

    detach = attach("SIGUSR1", lambda: came.append("ours"))
    _raise()
    detach()
    _raise()

    assert came == ["ours", NUMBER, NUMBER]


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN, lambda number, frame: None])
def test_detach_puts_back_the_very_handler(before: Any) -> None:
    signal.signal(NUMBER, before)

    attach("SIGUSR1", lambda: None)()

    assert signal.getsignal(NUMBER) is before


def test_where_the_program_has_put_its_own_over_it_that_stays_and_ours_passes_through() -> None:
    came: list[str] = []
    signal.signal(NUMBER, lambda number, frame: came.append("first"))
    detach = attach("SIGUSR1", lambda: came.append("ours"))
    ours: Any = signal.getsignal(NUMBER)

    def last(number: int, frame: Any) -> None:
        came.append("last")
        ours(number, frame)

    signal.signal(NUMBER, last)
    detach()
    _raise()

    assert (came, signal.getsignal(NUMBER)) == (["last", "first"], last)


@pytest.mark.slow
def test_a_default_that_ends_the_process_does_so_once_it_is_no_longer_ours() -> None:
    program = """
        import os, signal
        from aiotel._status.signals import attach

        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        detach = attach("SIGUSR1", lambda: None)
        ours = signal.getsignal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        detach()
        ours(signal.SIGUSR1, None)
        os._exit(0)
    """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False, timeout=50)

    assert process.returncode == -NUMBER


def _in_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def test_away_from_the_main_thread_a_complaint_says_so() -> None:
    before = signal.getsignal(NUMBER)

    _in_thread(partial(attach, "SIGUSR1", lambda: None))

    assert signal.getsignal(NUMBER) is before
    assert "was not started on the main thread" in complaints._waiting["dump_signal"]


def test_detached_away_from_the_main_thread_it_passes_through() -> None:
    came: list[str] = []
    signal.signal(NUMBER, lambda number, frame: came.append("first"))
    detach = attach("SIGUSR1", lambda: came.append("ours"))

    _in_thread(detach)
    _raise()

    assert came == ["first"]


def test_a_signal_that_is_not_there_is_complained_of() -> None:
    attach("SIGNONE", lambda: None)()

    assert complaints._waiting["dump_signal"].endswith(": there is no such signal on this system")


def test_a_handler_of_the_loops_is_called_and_interrupts_no_more_than_before(loops: Loops) -> None:
    came: list[str] = []

    async def main() -> None:
        loop, here = asyncio.get_running_loop(), asyncio.Event()

        def note() -> None:
            came.append("loop's")
            here.set()

        loop.add_signal_handler(NUMBER, note)
        detach = attach("SIGUSR1", lambda: came.append("ours"))
        _raise()
        await asyncio.wait_for(here.wait(), 20)
        detach()
        here.clear()
        _raise()
        await asyncio.wait_for(here.wait(), 20)
        loop.remove_signal_handler(NUMBER)

    loops.run(main())

    assert sorted(came) == ["loop's", "loop's", "ours"]


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "usr1", "10"])
def test_only_a_few_signals_may_ask(name: str) -> None:
    with pytest.raises(ConfigError, match="dump_signal must be one of SIGUSR1, SIGUSR2, SIGQUIT, SIGHUP"):
        Config(dump_signal=name)


def _logged(telemetry: Telemetry) -> Any:
    for _ in range(1000):
        found = [log for log in telemetry.logs if log.event_name == "asyncio.snapshot"]
        if found:
            return found[0]
        threading.Event().wait(0.01)
    raise AssertionError("nothing was logged")


@pytest.mark.parametrize("status", [True, False])
def test_the_snapshot_is_logged(loops: Loops, telemetry: Telemetry, *, status: bool) -> None:
    telemetry.start(dump_signal="SIGUSR1", status=status)

    async def main() -> Any:
        lock = asyncio.Lock()

        async def wait() -> None:
            async with lock:
                raise AssertionError

        await lock.acquire()
        task = asyncio.create_task(wait(), name="patient")
        await asyncio.sleep(0)
        _raise()
        log = await asyncio.to_thread(_logged, telemetry)
        task.cancel()
        return log

    log = loops.run(main())

    attributes = dict(log.attributes)
    assert log.severity_text == "WARN"
    assert log.body.startswith(f"Snapshot: {attributes['asyncio.snapshot.count']} tasks (")
    assert "\n  'patient' (" in log.body
    assert " s for: lock at line " in log.body
    assert '"name":"patient"' in attributes["asyncio.snapshot.tasks"]
    assert attributes["asyncio.snapshot.left_out"] == 0
    aiotel.uninstrument()
    assert signal.getsignal(NUMBER) in (signal.SIG_DFL, signal.default_int_handler)


def test_a_blocked_loop_is_logged_by_name(telemetry: Telemetry) -> None:
    telemetry.start(dump_signal="SIGUSR1")
    logs: list[Any] = []

    async def block() -> None:
        _raise()
        logs.append(_logged(telemetry))

    asyncio.run(block())

    assert ".block) is running at line " in logs[0].body
