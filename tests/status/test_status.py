"""The socket is there from the first loop to the end of the session, and answers whatever the loops do."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path
from typing import Any, Self

import pytest

import aiotel
from aiotel._complaints import complaints
from aiotel._faults import faults
from aiotel._snapshot import Snapshot
from aiotel._status.answers import Answers
from aiotel._status.client import ask
from aiotel._status.plain import from_plain
from aiotel._status.protocol import Request
from aiotel._status.status import Status
from aiotel.errors import AttachError

from ..conftest import Loops, Telemetry
from .snapshots import abba

OWN = os.getpid()


def _taken(*, timeout: float) -> Snapshot:
    return abba()


@pytest.fixture(autouse=True)
def _runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "aiotel"


def _asked(do: str = "ps", task: str = "", *, pid: int = OWN) -> Snapshot:
    """What the process shows, once it listens."""
    for _ in range(1000):
        try:
            reply = ask(pid, Request(do=do, task=task), os.environ)
        except AttachError as error:
            if "does not listen" not in str(error):
                raise
            threading.Event().wait(0.01)
        else:
            return from_plain(Snapshot, reply["snapshot"])
    raise AssertionError("nobody listens")


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "aiotel-status"]


class Running:
    """A loop in a thread of its own, which runs until it is left."""

    def __init__(self, loops: Loops, main: Any) -> None:
        self._done: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._main = main
        self._thread = threading.Thread(target=lambda: loops.run(self._run()), name="the-loop")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def call(self, function: Any, *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(function, *arguments)

    def __exit__(self, *_: object) -> None:
        self.call(self._done.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        tasks = await self._main()
        self._ready.set()
        await self._done.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _nothing() -> list[asyncio.Task[Any]]:
    return []


async def _deadlock() -> list[asyncio.Task[Any]]:
    first, second = asyncio.Lock(), asyncio.Lock()

    async def take(one: asyncio.Lock, other: asyncio.Lock) -> None:
        async with one:
            await asyncio.sleep(0)
            async with other:
                raise AssertionError

    tasks = [
        asyncio.create_task(take(first, second), name="left"),
        asyncio.create_task(take(second, first), name="right"),
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


def test_a_deadlock_is_seen(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start()
    with Running(loops, _deadlock):
        taken = {view.task.name: view for view in _asked().tasks}

    left, right = taken["left"], taken["right"]
    assert [left.state, right.state] == ["waiting", "waiting"]
    assert left.waiting is not None
    assert right.waiting is not None
    assert [left.waiting.primitive, right.waiting.primitive] == [
        right.holds[0].primitive,
        left.holds[0].primitive,
    ]


def test_a_blocked_loop_is_seen_at_the_line_where_it_is(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start()
    gate, blocked = threading.Event(), threading.Event()

    async def wait_blindly() -> None:
        await asyncio.sleep(0)
        blocked.set()
        gate.wait(20)

    async def main() -> list[asyncio.Task[Any]]:
        return [asyncio.create_task(asyncio.sleep(1000), name="patient")]

    with Running(loops, main) as running:
        running.call(lambda: asyncio.ensure_future(wait_blindly()).set_name("blind"))
        assert blocked.wait(20)
        taken = {view.task.name: view for view in _asked("where", "blind").tasks}
        gate.set()

    assert taken["blind"].state == "running"
    assert any(each.function.endswith("wait_blindly") for each in taken["blind"].stack)
    assert taken["patient"].state == "waiting"


def test_there_is_none_without_a_loop(telemetry: Telemetry, _runtime_directory: Path) -> None:  # noqa: PT019
    telemetry.start()

    assert (_threads(), _runtime_directory.exists()) == ([], False)


def test_there_is_none_where_it_is_not_wanted(
    loops: Loops,
    telemetry: Telemetry,
    _runtime_directory: Path,  # noqa: PT019
) -> None:
    telemetry.start(status=False)
    with Running(loops, _nothing):
        threads = _threads()

    assert (threads, _runtime_directory.exists()) == ([], False)


def test_it_ends_with_the_session(loops: Loops, telemetry: Telemetry, _runtime_directory: Path) -> None:  # noqa: PT019
    telemetry.start()
    with Running(loops, _nothing):
        _asked()
        before = [path.name for path in _runtime_directory.iterdir()]
        aiotel.uninstrument()
        after = list(_runtime_directory.iterdir())

    assert (before, after, _threads()) == ([f"{OWN}.sock"], [], [])


def test_the_next_session_has_its_own(loops: Loops, telemetry: Telemetry) -> None:
    for _ in range(2):
        telemetry.start()
        with Running(loops, _deadlock):
            assert {"left", "right"} <= {view.task.name for view in _asked().tasks}
        aiotel.uninstrument()


def test_two_loops_have_one_thread(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start()
    with Running(loops, _deadlock), Running(loops, _nothing):
        taken = _asked()
        threads = _threads()

    assert (len(taken.loops), threads) == (2, ["aiotel-status"])


def _in_child(step: Any) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if step() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_its_own_and_leaves_its_parents(loops: Loops, telemetry: Telemetry) -> None:
    telemetry.start()

    def look() -> bool:
        if _threads():
            return False
        with Running(loops, _deadlock):
            names = {view.task.name for view in _asked(pid=os.getpid()).tasks}
        aiotel.uninstrument()
        return {"left", "right"} <= names

    with Running(loops, _nothing):
        _asked()
        code = _in_child(look)
        again = _asked()

    assert (code, len(again.loops)) == (0, 1)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_does_not_keep_the_socket_open(
    loops: Loops,
    telemetry: Telemetry,
    _runtime_directory: Path,  # noqa: PT019
) -> None:
    telemetry.start()
    path = _runtime_directory / f"{OWN}.sock"
    mine, childs = socket.socketpair()
    with Running(loops, _nothing):
        _asked()
        pid = os.fork()
        if pid == 0:
            childs.send(b"here")
            childs.recv(1)
            os._exit(0)
        assert mine.recv(4) == b"here"
        kept = path.with_suffix(".kept")
        path.rename(kept)  # or there would be nothing to knock at
        aiotel.uninstrument()
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
            client.connect(str(kept))
    mine.send(b"-")
    mine.close()
    childs.close()
    assert os.waitpid(pid, 0)[1] == 0


def test_where_no_directory_can_be_used_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    places = [tmp_path / "file" / "aiotel", tmp_path / "file"]
    status = Status(Answers(_taken, version="0"), lambda: places, errands=True)
    done = threading.Event()

    status.start()
    status.do(done.set)
    assert done.wait(20)
    waiting = dict(complaints._waiting)
    status.stop()
    complaints.clear()

    assert list(waiting) == ["status"]
    assert waiting["status"].startswith("`aiotel ps` cannot look into this process: ")


def test_a_directory_that_cannot_be_used_gives_way_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "aiotel").mkdir()  # open to others
    (tmp_path / "aiotel").chmod(0o777)
    environ = {"XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": str(tmp_path)}
    second = tmp_path / f"aiotel-{os.geteuid()}"
    status = Status(Answers(_taken, version="0"), lambda: [tmp_path / "aiotel", second], errands=True)
    done = threading.Event()

    status.start()
    status.do(done.set)
    assert done.wait(20)
    reply = ask(OWN, Request(do="ps"), environ)
    status.stop()

    assert from_plain(Snapshot, reply["snapshot"]) == abba()


def test_what_goes_wrong_is_told_to_whoever_asks_and_counted(tmp_path: Path) -> None:
    def fails(*, timeout: float) -> Snapshot:
        raise LookupError("secret")

    status = Status(Answers(fails, version="0"), list)
    before = faults.count

    reply = status._answer(b'{"v":1,"do":"ps"}')

    assert reply == b'{"v": 1, "error": "this could not be answered: LookupError"}\n'
    faults.count = before
    faults.latest.clear()
