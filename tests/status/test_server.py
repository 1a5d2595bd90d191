"""One thread serves all clients: slow ones, mad ones and those that vanish hurt nobody else."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from aiotel._status.bounds import CLIENTS, REQUEST_BYTES, SECONDS
from aiotel._status.peers import is_allowed, peer_of
from aiotel._status.protocol import answer
from aiotel._status.server import CROWD, Server, open_socket

LARGE = b"7" * 3_000_000
COMMANDS = {"ps": lambda request: b'"here"', "large": lambda request: b'"%b"' % LARGE}
PS = b'{"v":1,"do":"ps"}\n'
HERE = {"v": 1, "ok": "here"}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Served:
    """A server with its thread, and clients of it."""

    def __init__(self, directory: Path, **options: Any) -> None:
        listener, self.path = open_socket(directory / "aiotel", 4242)
        self.server = Server(listener, lambda line: answer(line, COMMANDS), **options)
        self.mine, self.others = socket.socketpair()
        self.mine.setblocking(False)
        self.server.watch(self.mine)
        self.stopped = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        while not self.stopped:
            self.server.turn()
            with suppress(BlockingIOError):
                self.mine.recv(100)
        self.server.close()

    def wake(self) -> None:
        self.others.send(b"\0")

    @contextmanager
    def client(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(self.path))
            yield client

    def close(self) -> None:
        self.stopped = True
        self.wake()
        self.thread.join(20)
        self.mine.close()
        self.others.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Makes servers that end with the test."""
    made: list[Served] = []

    def make(**options: Any) -> Served:
        made.append(Served(tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def _said(client: socket.socket) -> Any:
    """The next line."""
    received = b""
    while not received.endswith(b"\n"):
        piece = client.recv(1 << 16)
        if not piece:
            return received or None
        received += piece
    return json.loads(received)


def _is_closed(client: socket.socket) -> bool:
    try:
        return client.recv(10) == b""
    except ConnectionResetError:  # something of what was sent has not been read
        return True


def test_a_request_is_answered_and_so_is_the_next(served: Callable[..., Served]) -> None:
    with served().client() as client:
        client.sendall(PS)
        first = _said(client)
        client.sendall(PS)

        assert (first, _said(client)) == (HERE, HERE)


def test_requests_in_one_piece_are_answered_one_by_one(served: Callable[..., Served]) -> None:
    with served().client() as client:
        client.sendall(PS * 3)
        client.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: client.recv(1 << 16), b""))

    assert [json.loads(line) for line in received.splitlines()] == [HERE, HERE, HERE]


def test_a_request_in_many_pieces_is_one(served: Callable[..., Served]) -> None:
    with served().client() as client:
        for byte in PS:
            client.sendall(bytes([byte]))

        assert _said(client) == HERE


def test_a_last_line_needs_no_end(served: Callable[..., Served]) -> None:
    with served().client() as client:
        client.sendall(PS.rstrip())
        client.shutdown(socket.SHUT_WR)

        assert _said(client) == HERE
        assert client.recv(10) == b""


def test_only_its_owner_can_use_the_socket(served: Callable[..., Served]) -> None:
    path = served().path

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    mine, others = socket.socketpair()
    with mine, others:
        assert peer_of(mine) == (os.getpid(), os.geteuid())


def test_its_own_user_and_root_are_allowed() -> None:
    assert [is_allowed(uid) for uid in (0, os.geteuid(), 4_000_000_000, os.geteuid() + 1)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_stranger_is_told_so_and_nothing_else(served: Callable[..., Served]) -> None:
    with served(peer_of=lambda connection: (1, os.geteuid() + 1)).client() as client:
        said = _said(client)
        left = client.recv(10)

    assert (said, left) == ({"v": 1, "error": "this process belongs to another user"}, b"")


def test_whoever_cannot_be_known_is_a_stranger(served: Callable[..., Served]) -> None:
    def unknown(connection: socket.socket) -> tuple[int, int]:
        raise OSError

    with served(peer_of=unknown).client() as client:
        assert _said(client) == {"v": 1, "error": "this process belongs to another user"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_another_user_cannot_even_connect(served: Callable[..., Served]) -> None:
    path = served().path
    pid = os.fork()
    if pid == 0:  # exec or exit only: this is a copy of the tests
        code = 1
        try:
            os.setuid(12345)
            socket.socket(socket.AF_UNIX).connect(str(path))
        except PermissionError:
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_line_without_end_is_refused(served: Callable[..., Served]) -> None:
    with served().client() as client:
        client.sendall(b"x" * (REQUEST_BYTES + 1))

        assert _said(client) == {"v": 1, "error": "a request has at most 4096 bytes"}


def test_clients_that_vanish_hurt_nobody(served: Callable[..., Served]) -> None:
    server = served()
    for request in (b"", b'{"v"', PS, b'{"v":1,"do":"large"}\n'):
        with server.client() as client:
            client.sendall(request)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with server.client() as client:
        client.sendall(PS)
        assert _said(client) == HERE


def test_one_that_does_not_read_makes_nobody_wait(served: Callable[..., Served]) -> None:
    server = served()
    with server.client() as lazy, server.client() as other:
        lazy.sendall(b'{"v":1,"do":"large"}\n')
        other.sendall(PS)
        said = _said(other)

        assert said == HERE
        assert _said(lazy) == {"v": 1, "ok": LARGE.decode()}


def test_only_a_few_are_served_at_once(served: Callable[..., Served]) -> None:
    server = served()
    held = [server.client() for _ in range(CLIENTS)]
    for each in held:
        client = each.__enter__()
        client.sendall(PS)
        assert _said(client) == HERE
    with server.client() as one_more:
        said = _said(one_more)
    held.pop().__exit__(None, None, None)

    assert said == {"v": 1, "error": "4 others are asking just now; try again"}
    for each in held:
        each.__exit__(None, None, None)


def test_a_crowd_is_sent_away(served: Callable[..., Served]) -> None:
    server = served(clock=Clock())
    clients = []
    for _ in range(3 * CROWD):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(server.path))  # it waits where there is no room, which a timeout would forbid
        client.settimeout(20)
        clients.append(client)
    said = _said(clients[-1])
    for client in clients:
        client.close()

    assert said in (None, {"v": 1, "error": "4 others are asking just now; try again"})


def test_whoever_takes_too_long_to_ask_is_sent_away(served: Callable[..., Served]) -> None:
    clock = Clock()
    server = served(clock=clock)
    with server.client() as slow:
        slow.sendall(PS)
        assert _said(slow) == HERE
        slow.sendall(b'{"v":1,')
        clock.now += SECONDS - 0.1
        slow.sendall(b'"do":')
        clock.now += 0.2
        server.wake()

        assert _is_closed(slow)


def test_the_time_that_others_take_is_nobodys_fault(
    served: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    def long(request: object) -> bytes:
        clock.now += 2 * SECONDS
        return b'"long"'

    monkeypatch.setitem(COMMANDS, "long", long)
    server = served(clock=clock)
    with server.client() as other, server.client() as asks:
        other.sendall(PS)
        assert _said(other) == HERE
        other.sendall(PS[:5])
        asks.sendall(b'{"v":1,"do":"long"}\n')
        assert _said(asks) == {"v": 1, "ok": "long"}
        other.sendall(PS[5:])

        assert _said(other) == HERE


def test_whoever_does_not_read_is_sent_away(served: Callable[..., Served]) -> None:
    clock = Clock()
    server = served(clock=clock)
    with server.client() as lazy:
        lazy.sendall(b'{"v":1,"do":"large"}\n')
        assert lazy.recv(1) == b"{"
        clock.now += SECONDS + 1
        server.wake()
        received = b"".join(iter(lambda: lazy.recv(1 << 16), b""))

    assert len(received) < len(LARGE)


def test_a_socket_that_a_dead_process_left_is_taken(tmp_path: Path) -> None:
    first, path = open_socket(tmp_path / "aiotel", 4242)
    first.close()

    second, again = open_socket(tmp_path / "aiotel", 4242)
    second.close()

    assert path == again


def test_a_socket_that_answers_is_not_taken(tmp_path: Path) -> None:
    first, _ = open_socket(tmp_path / "aiotel", 4242)

    with first, pytest.raises(FileExistsError, match="another container"):
        open_socket(tmp_path / "aiotel", 4242)


def test_a_link_in_its_place_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "aiotel").mkdir(mode=0o700)
    (tmp_path / "treasure").write_text("gold")
    (tmp_path / "aiotel" / "4242.sock").symlink_to(tmp_path / "treasure")

    listener, path = open_socket(tmp_path / "aiotel", 4242)
    listener.close()

    assert (path.is_symlink(), (tmp_path / "treasure").read_text()) == (False, "gold")
