"""Run the status socket: from the first loop on, until the session ends, and anew in a forked child.

A process without loops has neither the thread nor the socket.
"""

from __future__ import annotations

import contextvars
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from opentelemetry import context as otel_context

from .._complaints import complaints
from .._faults import faults
from .answers import Answers
from .clients import SILENTLY
from .protocol import answer, refused
from .server import Server, open_socket

__all__ = ["Status"]

ERRANDS: Final = 16
"""So many may wait."""
ENDS_S: Final = 0.5
"""How long the end of the thread is waited for: it may be taking a snapshot."""


class Status:
    """The socket of one session, and its thread.

    It goes to the first of the `places` that can be used. Where no socket is wanted, `errands` has the thread
    for what is to be done otherwise.
    """

    def __init__(
        self,
        answers: Answers,
        places: Callable[[], Iterable[Path]],
        *,
        serves: bool = True,
        errands: bool = False,
    ) -> None:
        self._answers = answers
        self._places = places
        self._serves = serves and hasattr(socket, "AF_UNIX")
        self._needed = self._serves or errands
        # Two loops may be met at once: one thread. Re-entrant: the handler of a signal may close the session.
        self._starting = threading.RLock()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._errands: deque[Callable[[], None]] = deque()
        self._waker: tuple[socket.socket, socket.socket] | None = None
        """Where the thread listens, and where others call."""
        self._server: Server | None = None
        self._path: Path | None = None

    # On any thread of the program's.

    def start(self) -> None:
        """Serve, unless that is done already, or cannot be: then the next loop is to try again."""
        if self._thread is not None or not self._needed:
            return
        with self._starting, suppress(OSError, RuntimeError):  # no file descriptors, no threads
            self._start()

    def do(self, errand: Callable[[], None]) -> None:
        """Have this done on the thread, where there is one. Safe in a signal's handler: it takes no lock."""
        if len(self._errands) < ERRANDS:
            self._errands.append(errand)
        self._wake()

    def stop(self) -> None:
        """End the thread, and take the socket away."""
        with self._starting:
            self._stopped = True
        self._remove()
        self._wake()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(ENDS_S)

    def forget(self) -> None:
        """In a child process: the thread is not there, and the socket is the parent's."""
        self._close()
        self._path = self._thread = None
        self._starting = threading.RLock()
        self._errands.clear()

    def _start(self) -> None:
        if self._thread is not None or self._stopped or sys.is_finalizing():
            return
        waker = self._waker = socket.socketpair()
        for end in waker:
            end.setblocking(False)
        run = contextvars.Context().run
        thread = threading.Thread(target=run, args=(self._run,), name="aiotel-status", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._close()
            raise
        self._thread = thread

    def _wake(self) -> None:
        waker = self._waker
        if waker is not None:
            with suppress(OSError):  # it is being woken already, or has ended
                waker[1].send(b"\0", SILENTLY)

    def _remove(self) -> None:
        path, self._path = self._path, None
        if path is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _close(self) -> None:
        server, self._server = self._server, None
        waker, self._waker = self._waker, None
        if server is not None:
            server.close()
        for end in waker or ():
            end.close()

    # On our thread.

    def _run(self) -> None:
        otel_context.attach(otel_context.set_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY, True))
        waker, listener = self._waker, self._listen() if self._serves else None
        if waker is None:
            return
        server = self._server = Server(listener, self._answer)
        server.watch(waker[0])
        while not self._stopped:
            self._guarded(server.turn)
            with suppress(BlockingIOError):
                waker[0].recv(4096)
            while self._errands and not self._stopped:
                self._guarded(self._errands.popleft())
        self._remove()
        self._close()

    def _listen(self) -> socket.socket | None:
        """The socket in the first place that can be used; where none can, a line says why."""
        problems = []
        for directory in self._places():
            try:
                listener, self._path = open_socket(directory, os.getpid())
            except OSError as error:
                problems.append(error)
                continue
            return listener
        why = f": {problems[0]}" if problems else ""
        complaints.add(
            "status", f"`aiotel ps` cannot look into this process{why} (AIOTEL_STATUS=false says it need not)"
        )
        return None

    def _answer(self, line: bytes) -> bytes:
        try:
            return answer(line, self._answers.commands)
        except Exception as error:  # noqa: BLE001  # whoever asks is told, and may ask again
            faults.add(error)
            return refused(f"this could not be answered: {type(error).__name__}")

    @staticmethod
    def _guarded(step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001  # one bad client must not end it for the others
            faults.add(error)
