"""One client of the socket: what it has sent, what it is still to get, and how long that may take."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

from .bounds import REQUEST_BYTES, SECONDS

__all__ = ["SILENTLY", "Client"]

SILENTLY: Final = getattr(socket, "MSG_NOSIGNAL", 0)
"""To send so raises no SIGPIPE when the other end has gone: a program may have made that deadly again."""
_CHUNK: Final = 65536


class Client:
    """A connection that never makes anybody wait: what cannot be read or written now is left for later."""

    def __init__(self, connection: socket.socket, now: float) -> None:
        connection.setblocking(False)
        if hasattr(socket, "SO_NOSIGPIPE"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_NOSIGPIPE, 1)
        self.connection = connection
        self.due = now + SECONDS
        """When it must be done with what it does: sending a request, or taking the answer."""
        self._request = b""
        self._answer = memoryview(b"")
        self.ended = False
        """It will send no more, or is not listened to any more."""

    @property
    def writes(self) -> bool:
        """Whether there is something for it to take."""
        return bool(self._answer)

    @property
    def talks_too_long(self) -> bool:
        """Whether it has sent more than any request has."""
        return len(self._request) > REQUEST_BYTES and b"\n" not in self._request[: REQUEST_BYTES + 1]

    def say(self, line: bytes, now: float) -> None:
        """Give it this line."""
        self._answer = memoryview(line)
        self.due = now + SECONDS

    def dismiss(self, line: bytes, now: float) -> None:
        """Give it this line, which is the last."""
        self._request, self.ended = b"", True
        self.say(line, now)

    def take(self) -> bytes | None:
        """The next request, where it is complete."""
        line, newline, rest = self._request.partition(b"\n")
        if not newline and not (self.ended and line):
            return None
        self._request = rest
        return line

    def receive(self) -> None:
        """Read what is there."""
        with suppress(BlockingIOError):
            data = self.connection.recv(_CHUNK)
            self._request += data
            self.ended = not data

    def send(self) -> None:
        """Write as much as it takes."""
        with suppress(BlockingIOError):
            self._answer = self._answer[self.connection.send(self._answer[:_CHUNK], SILENTLY) :]
