"""Read from a socket until a deadline, which a client cannot put off by sending one byte at a time."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket


class DeadlineReader(io.RawIOBase):
    """The bytes of a socket; a read raises `TimeoutError` once the deadline has passed."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = 0.0

    def allow(self, seconds: float) -> None:
        """Set the deadline anew, counted from now."""
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # any buffer, in theory
        """Fill the buffer with what is there, waiting for the first byte."""
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._connection.settimeout(remaining)
        return self._connection.recv_into(buffer)
