"""Listen for OTLP/HTTP on a socket, in threads of its own."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
import time
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING

from ..errors import AiotelError
from .conversation import Conversation, Sink

if TYPE_CHECKING:
    from collections.abc import Callable

# Nobody sends telemetry by so many connections; somebody who opens more is not sending telemetry.
_MAX_CONNECTIONS = 256
_STOP_SECONDS = 5.0
_BREATH_SECONDS = 0.1
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class ListenError(AiotelError, OSError):
    """The receiver cannot listen on that address; the message says what to do."""


class Server:
    """An OTLP/HTTP server: `POST /v1/traces`, `/v1/metrics` and `/v1/logs`, protobuf or JSON, gzip or not.

    Each request is handed to the sink, on a thread of this server, before it is answered. Port 0 is any free
    one.
    """

    def __init__(
        self, sink: Sink, *, host: str = "127.0.0.1", port: int = 0, request_seconds: float = 30.0
    ) -> None:
        self._sink = sink
        self._host = host
        self._port = port
        self._request_seconds = request_seconds
        # Guards the open connections: the accepting thread adds, each connection's own removes, stop() looks.
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._acceptor: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """What to set as OTEL_EXPORTER_OTLP_ENDPOINT."""
        host = _LOOPBACK.get(self._host, self._host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def port(self) -> int:
        """The port, known once it listens."""
        return self._port

    def start(self) -> None:
        """Listen; raises `ListenError`. A second call does nothing."""
        if self._acceptor is not None:
            return
        self._socket = _listen(self._host, self._port)
        self._port = self._socket.getsockname()[1]
        self._bell, self._ear = socket.socketpair()
        self._acceptor = _thread("aiotel-receiver", self._accept_until_stopped)
        self._acceptor.start()

    def stop(self) -> None:
        """Finish the requests under way, end all connections, free the port. A second call does nothing."""
        if self._acceptor is None:
            return
        self._bell.send(b"x")
        self._acceptor.join()
        self._acceptor = None
        self._end_connections()
        for each in (self._socket, self._bell, self._ear):
            each.close()

    def _accept_until_stopped(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._ear, selectors.EVENT_READ)
            while self._ear not in [key.fileobj for key, _ in selector.select()]:
                try:
                    self._converse(self._socket.accept()[0])
                except BlockingIOError:  # the client has gone already
                    continue
                except (OSError, RuntimeError):  # no descriptors or no threads for now
                    time.sleep(_BREATH_SECONDS)

    def _converse(self, connection: socket.socket) -> None:
        conversation = Conversation(connection, self._sink, request_seconds=self._request_seconds)
        thread = _thread("aiotel-receiver-connection", lambda: self._hold(conversation))
        with self._lock:
            crowded = len(self._open) >= _MAX_CONNECTIONS
            if not crowded:
                self._open[thread] = connection
        if crowded:
            _turn_away(connection)
            return
        try:
            thread.start()
        except RuntimeError:
            self._forget(thread)
            connection.close()
            raise

    def _hold(self, conversation: Conversation) -> None:
        try:
            conversation.hold()
        finally:
            self._forget(threading.current_thread())

    def _forget(self, thread: threading.Thread) -> None:
        with self._lock:
            del self._open[thread]

    def _end_connections(self) -> None:
        """Idle ones end at once and a request that is all there is answered; after a while, all end."""
        deadline = time.monotonic() + _STOP_SECONDS
        for how in (socket.SHUT_RD, socket.SHUT_RDWR):
            with self._lock:
                still_open = dict(self._open)
            for connection in still_open.values():
                with suppress(OSError):
                    connection.shutdown(how)
            for thread in still_open:
                thread.join(max(0.0, deadline - time.monotonic()))
            deadline += _STOP_SECONDS


def _thread(name: str, target: Callable[[], None]) -> threading.Thread:
    """A thread that inherits nobody's context: no span of the program under test is current in it."""
    return threading.Thread(name=name, target=Context().run, args=(target,), daemon=True)


def _turn_away(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        connection.settimeout(_BREATH_SECONDS)
        connection.sendall(_BUSY)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on host {host!r}: {error}; 127.0.0.1 is this machine") from error
    try:
        if os.name == "posix":  # on Windows it would let two programs have the same port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ListenError(_advice(error, host, port)) from error
    listening.setblocking(False)
    return listening


def _advice(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} on {host} is taken, perhaps by a collector or by another receiver:"
                " stop that one, or choose another port (0 is any free one)"
            )
        case errno.EACCES:
            return f"port {port} on {host} is not for this user: choose one from 1024 (0 is any free one)"
        case errno.EADDRNOTAVAIL:
            return (
                f"{host} is not an address of this machine: 127.0.0.1 is, and 0.0.0.0 stands for all it has"
            )
        case _:
            return f"cannot listen on {host} port {port}: {error}"


# Who listens on every address is reached on this one.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # read, not bound to
