"""Serve a unix socket from one thread, which waits for nobody: neither for slow clients nor for the loops.

It is made where it runs: opening the socket is input and output, which the thread of a loop is not for.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .bounds import CLIENTS, REQUEST_BYTES
from .clients import Client
from .peers import is_allowed, peer_of
from .places import is_answered, prepare, sweep
from .protocol import refused

__all__ = ["Server", "open_socket"]

WAITING: Final = 16
"""So many may wait for their connection to be accepted."""
CROWD: Final = 4 * CLIENTS
"""So many are told that there are too many; who comes then is told nothing."""
NO_ROOM_S: Final = 0.1


def open_socket(directory: Path, pid: int) -> tuple[socket.socket, Path]:
    """A socket that listens in the directory, and its path. Raises OSError where that cannot be."""
    prepare(directory)
    sweep(directory)
    path = directory / f"{pid}.sock"
    if path.is_symlink() or path.exists():
        # Of an earlier process with this number, unless it is one of a container that shares the directory.
        if is_answered(path):
            raise FileExistsError(f"{path} is in use by another process, perhaps of another container")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(WAITING)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener, path


class Server:
    """A listening socket, its clients, and what wakes the thread that serves them."""

    def __init__(
        self,
        listener: socket.socket | None,
        answer: Callable[[bytes], bytes],
        *,
        clock: Callable[[], float] = time.monotonic,
        peer_of: Callable[[socket.socket], tuple[int, int]] = peer_of,
    ) -> None:
        self._answer = answer
        self._clock = clock
        self._peer_of = peer_of
        # Not epoll, which a forked child would share: what the child does to it is done to the parent.
        self._selector = selectors.PollSelector()
        self._listener = listener
        self._clients: list[Client] = []
        if listener is not None:
            self._selector.register(listener, selectors.EVENT_READ)

    def watch(self, waker: socket.socket) -> None:
        """End a turn, too, when there is something to be read here."""
        self._selector.register(waker, selectors.EVENT_READ)

    def turn(self) -> None:
        """Wait for something to do, and do it. Comes back after each."""
        due = min((client.due for client in self._clients), default=None)
        for key, _ in self._selector.select(None if due is None else max(0.0, due - self._clock())):
            if self._listener is not None and key.fileobj is self._listener:
                self._accept(self._listener)
            elif isinstance(key.data, Client) and key.data in self._clients:
                self._serve(key.data)
        now = self._clock()
        for client in [client for client in self._clients if client.due <= now]:
            self._drop(client)

    def close(self) -> None:
        """Let go of the socket and of everybody; also in a forked child, of whose copies nobody knows."""
        for client in self._clients:
            client.connection.close()
        self._clients = []
        self._selector.close()
        if self._listener is not None:
            self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:  # it has gone already
            return
        except OSError:  # there is no file descriptor left, and may be none for long
            time.sleep(NO_ROOM_S)
            return
        if len(self._clients) >= CROWD:
            connection.close()
            return
        client = Client(connection, self._clock())
        self._clients.append(client)
        self._selector.register(connection, selectors.EVENT_READ, client)
        self._admit(client)

    def _admit(self, client: Client) -> None:
        try:
            allowed = is_allowed(self._peer_of(client.connection)[1])
        except OSError:  # whoever cannot be known is a stranger
            allowed = False
        if not allowed:
            self._dismiss(client, "this process belongs to another user")
        elif len(self._clients) > CLIENTS:
            self._dismiss(client, f"{CLIENTS} others are asking just now; try again")

    def _serve(self, client: Client) -> None:
        try:
            if client.writes:
                client.send()
            else:
                client.receive()
        except OSError:  # it has gone
            self._drop(client)
            return
        if client.talks_too_long:
            self._dismiss(client, f"a request has at most {REQUEST_BYTES} bytes")
        elif not client.writes:
            self._go_on(client)

    def _go_on(self, client: Client) -> None:
        """Answer the next request, where there is one."""
        request = client.take()
        if request is not None:
            before = self._clock()
            line = self._answer(request)
            for other in self._clients:  # they had to wait, and not by their own fault
                other.due += self._clock() - before
            client.say(line, self._clock())
        elif client.ended:
            self._drop(client)
            return
        self._listen_to(client)

    def _dismiss(self, client: Client, why: str) -> None:
        client.dismiss(refused(why), self._clock())
        self._listen_to(client)

    def _listen_to(self, client: Client) -> None:
        """Wait for it to take what it gets, or to say something."""
        awaited = selectors.EVENT_WRITE if client.writes else selectors.EVENT_READ
        self._selector.modify(client.connection, awaited, client)

    def _drop(self, client: Client) -> None:
        self._clients.remove(client)
        self._selector.unregister(client.connection)
        client.connection.close()
