"""The watchdog's thread: when there is one, what it leaves behind, and who is watched."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from aiotel._borrowed import Returns
from aiotel._faults import faults
from aiotel._ledger import Ledger
from aiotel._mailbox import Mailbox
from aiotel._repeats import Repeats
from aiotel._watch.pauses import Pauses
from aiotel._watch.stalls import Stalls
from aiotel._watch.watchdog import LINGER_NS, Watchdog

from ..conftest import Loops, Telemetry
from .evidence import MS


class Dog:
    """A watchdog that nobody else knows, whose time can be put forward."""

    def __init__(self) -> None:
        self.ahead_ns = 0
        self.observations: Mailbox[Any] = Mailbox(100)
        self.pauses = Pauses()
        stalls = Stalls(self.observations, Repeats(), int, self.pauses, error_after_ns=5000 * MS, frames=50)
        self.watchdog = Watchdog(
            stalls,
            Returns(),
            self.pauses,
            threshold_ns=100 * MS,
            clock=lambda: time.monotonic_ns() + self.ahead_ns,
        )

    def watch(self, loop: asyncio.AbstractEventLoop) -> Ledger:
        ledger = Ledger(loop)
        self.watchdog.watch(loop, ledger)
        return ledger


def threads() -> list[threading.Thread]:
    """Those of watchdogs."""
    return [thread for thread in threading.enumerate() if thread.name == "aiotel-watchdog"]


def gone(thread: threading.Thread) -> bool:
    """Whether it ends."""
    thread.join(10)
    return not thread.is_alive()


@pytest.fixture
def dog() -> Iterator[Dog]:
    dog = Dog()
    yield dog
    dog.watchdog.stop()
    assert all(gone(thread) for thread in threads())


@pytest.fixture
def loop(loops: Loops) -> Iterator[asyncio.AbstractEventLoop]:
    loop = loops.new()
    yield loop
    loop.close()


def test_there_is_no_thread_before_there_is_a_loop(dog: Dog) -> None:
    assert dog.watchdog.watched() == []
    assert threads() == []


def test_one_daemon_thread_watches_all_loops(dog: Dog, loops: Loops) -> None:
    opened = [loops.new() for _ in range(10)]
    for loop in opened:
        dog.watch(loop)

    assert [thread.daemon for thread in threads()] == [True]
    assert len(dog.watchdog.watched()) == 10
    for loop in opened:
        loop.close()


def test_the_thread_ends_when_no_loop_is_open_and_starts_anew(
    dog: Dog, loop: asyncio.AbstractEventLoop
) -> None:
    ledger = dog.watch(loop)
    [first] = threads()
    dog.ahead_ns += 10 * LINGER_NS
    dog.watchdog.look()
    assert first.is_alive()
    dog.watchdog.unwatch(ledger)
    dog.ahead_ns += 10 * LINGER_NS
    assert gone(first)
    used_ns = dog.watchdog.cpu_ns
    dog.watch(loop)
    [second] = threads()

    assert second is not first
    assert dog.watchdog.cpu_ns >= used_ns


def test_stopping_leaves_loops_and_the_collector_as_they_were_found(loop: asyncio.AbstractEventLoop) -> None:
    before = _attributes(loop)
    callbacks = list(gc.callbacks)
    dog = Dog()
    dog.watch(loop)
    [thread] = threads()
    dog.watchdog.stop()

    assert gone(thread)
    assert _attributes(loop) == before
    assert gc.callbacks == callbacks


def _attributes(loop: Any) -> list[dict[str, object]]:
    """What stands on the loop and on its selector."""
    selector = getattr(loop, "_selector", None)
    return [dict(vars(each)) for each in (loop, selector) if hasattr(each, "__dict__")]


def test_a_loop_is_watched_no_more_once_its_ledger_is_closed(
    dog: Dog, loop: asyncio.AbstractEventLoop
) -> None:
    before = _attributes(loop)
    ledger = dog.watch(loop)
    ledger.closed = True
    dog.watchdog.look()

    assert [watched.ledger for watched in dog.watchdog.take_gone()] == [ledger]
    assert dog.watchdog.watched() == []
    assert _attributes(loop) == before


def test_a_loop_that_was_collected_is_watched_no_more(dog: Dog, loops: Loops) -> None:
    loop = loops.new()
    dog.watch(loop)
    if loops.name == "uvloop":
        loop.close()  # or it would complain
    else:
        loop._selector.close()  # type: ignore[attr-defined]  # a stdlib loop's
        loop._ssock.close()  # type: ignore[attr-defined]  # as above
        loop._csock.close()  # type: ignore[attr-defined]  # as above
        loop._closed = True  # type: ignore[attr-defined]  # as above
    del loop
    gc.collect()
    dog.watchdog.look()

    assert len(dog.watchdog.take_gone()) == 1


def test_a_bad_look_is_counted_and_the_thread_goes_on(
    dog: Dog, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, again = threading.Event(), threading.Event()

    def fails(*args: object) -> None:
        (again if looked.is_set() else looked).set()
        raise RuntimeError("a bad look")

    dog.watch(loop)
    monkeypatch.setattr(dog.watchdog, "_look", fails)
    before = faults.count
    assert again.wait(10)
    monkeypatch.undo()
    dog.watchdog.stop()
    assert all(gone(thread) for thread in threads())

    assert faults.count - before >= 2
    faults.count = before
    faults.latest.clear()


def test_a_thread_that_cannot_be_started_is_tried_again_with_the_next_loop(
    dog: Dog, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fails)
        with pytest.raises(RuntimeError, match="can't start"):
            dog.watch(loop)
    assert threads() == []
    dog.watch(loop)

    assert len(threads()) == 1


def test_after_stopping_nothing_starts(loop: asyncio.AbstractEventLoop) -> None:
    dog = Dog()
    dog.watchdog.stop()
    dog.watch(loop)

    assert threads() == []
    dog.watchdog.stop()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_in_a_child_process_nobody_is_watched_until_a_loop_opens_there(
    loops: Loops, telemetry: Telemetry
) -> None:
    telemetry.start(stall_after=0.15)
    loop = loops.new()
    loop.run_until_complete(asyncio.sleep(0))
    assert len(threads()) == 1
    told, tells = os.pipe()
    if (pid := os.fork()) == 0:
        found = [len(threads()), len(_selectors_with_ours(loop))]
        loops.run(asyncio.sleep(0))
        found += [len(threads())]
        os.write(tells, bytes(found))
        os._exit(0)
    os.waitpid(pid, 0)
    loop.close()

    assert list(os.read(told, 10)) == [0, 0, 1]
    assert len(threads()) == 1
    os.close(told)
    os.close(tells)


def _selectors_with_ours(loop: Any) -> list[object]:
    selector = getattr(loop, "_selector", None)
    return [] if selector is None or "select" not in vars(selector) else [selector]


@pytest.mark.slow
def test_thousands_of_loops_leave_nothing(loops: Loops, telemetry: Telemetry) -> None:
    def run(count: int) -> Counter[str]:
        for _ in range(count):
            loop = loops.new()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
        assert session.flush(timeout=30)
        gc.collect()
        kinds = [type(thing) for thing in gc.get_objects()]
        return Counter(kind.__name__ for kind in kinds if kind.__module__.startswith("aiotel._watch."))

    session = telemetry.start(stall_after=0.15)
    before = run(10)
    after = run(2000)

    assert len(threads()) <= 1
    assert session._watch._watchdog.watched() == []
    assert after == before
    assert not {"Watched", "Ticks", "Pings", "Followed"} & set(after)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aiotel-pump", "aiotel-watchdog"])
def test_a_thread_that_cannot_be_started_at_first_is_started_later(
    name: str, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    refused: list[threading.Thread] = []

    def start_later(thread: threading.Thread) -> None:
        if thread.name == name and not refused:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    async def main() -> set[str]:
        names: set[str] = set()
        deadline = time.monotonic() + 30
        while not names >= {"aiotel-pump", "aiotel-watchdog"} and time.monotonic() < deadline:
            names = {thread.name for thread in threading.enumerate()}
            await asyncio.sleep(0.01)
        return names

    monkeypatch.setattr(threading.Thread, "start", start_later)
    before = faults.count
    telemetry.start()
    names = asyncio.run(main())
    counted, faults.count = faults.count - before, before
    faults.latest.clear()

    assert (len(refused), counted) == (1, 1)
    assert names >= {"aiotel-pump", "aiotel-watchdog"}
