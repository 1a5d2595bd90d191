"""One connection: HTTP requests in, OTLP's answers out."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from . import bodies, signals, wire
from .deadline import DeadlineReader
from .received import Delivery, ReceivedRequest
from .refusal import RefusalError

# Takes what a request brought before that is answered: when a sender's flush returns, its data is here.
Sink = Callable[[Delivery], None]

# How long an idle connection is kept: metrics come every 60 s by default.
_IDLE_SECONDS = 90.0
_ANSWER_SECONDS = 10.0
_LINGER_SECONDS = 2.0


class Conversation(BaseHTTPRequestHandler):
    """Reads requests from a connection until either side has had enough, and hands each to the sink."""

    protocol_version = "HTTP/1.1"
    raw_requestline: bytes
    default_request_version = "HTTP/1.0"
    server_version = "aiotel"
    sys_version = ""

    # The base class does all its work inside its constructor.
    def __init__(self, connection: socket.socket, sink: Sink, *, request_seconds: float) -> None:
        self.connection = connection
        self.client_address = ("", 0)
        self._sink = sink
        self._request_seconds = request_seconds
        self._unread = False

    def hold(self) -> None:
        """Go on until the connection ends, then close it."""
        with self.connection, suppress(OSError):  # the other side left: its right
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._reader = DeadlineReader(self.connection)
            self.rfile = io.BufferedReader(self._reader, 64 * 1024)
            # Buffered, so that head and body leave in one packet; else one waits for the other's receipt.
            with self.connection.makefile("wb", 64 * 1024) as self.wfile:
                self.handle()

    def handle_one_request(self) -> None:
        """Wait for a request and answer it."""
        self._reader.allow(_IDLE_SECONDS)
        self.command, self.path, self.headers = "", "", self.MessageClass()
        self._unread = True
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Read the rest of the request's head; from here on the client has to hurry."""
        self._reader.allow(self._request_seconds)
        understood = super().parse_request()
        if not self.headers:  # Python 3.14 gives a request without a version a plain dict
            self.headers = self.MessageClass()
        if self.request_version == "HTTP/0.9":  # which would get an answer without a status line
            self.request_version = "HTTP/1.0"
        return understood

    def handle_expect_100(self) -> bool:
        """Say that the body may come, at once."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def do_POST(self) -> None:
        """Take a request, or refuse it with a reason."""
        try:
            self._take()
        except RefusalError as refusal:
            self._refuse(refusal)
        except OSError:
            raise
        # Whatever a sender managed to break: it is told, and the connection lives on.
        except Exception as error:  # noqa: BLE001
            self._refuse(
                RefusalError(HTTPStatus.INTERNAL_SERVER_ERROR, f"a fault of the receiver: {error!r}")
            )

    def do_GET(self) -> None:
        """Refuse: there is nothing to be got."""
        self._refuse(self._not_a_post())

    do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815  # named for the methods

    def send_error(
        self,
        code: int,
        message: str | None = None,
        explain: str | None = None,  # the base class's, for its page of HTML
    ) -> None:
        """Answer what the base class refuses in our own way."""
        self._refuse(RefusalError(code, _hint(self.raw_requestline) or message or HTTPStatus(code).phrase))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name for it
        """Write nothing to stderr: the sink is told."""

    def _take(self) -> None:
        signal, encoding = self._signal(), self._encoding()
        sent = self._body()
        body = bodies.decompress(sent, self.headers.get("Content-Encoding", ""))
        try:
            payload = signal.open(body, encoding)
        except wire.MalformedError as error:
            raise RefusalError(HTTPStatus.BAD_REQUEST, str(error)) from None
        except signals.TooManyItemsError as error:
            raise RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from None
        request = self._request(
            signal=signal.name, size=len(sent), status=HTTPStatus.OK, problem=payload.problem
        )
        self._sink(
            Delivery(
                request=request,
                body=sent,
                spans=payload.spans,
                logs=payload.logs,
                metrics=payload.metrics,
            )
        )
        self._answer(HTTPStatus.OK, wire.serialise(payload.answer, encoding), encoding, {})

    def _signal(self) -> signals.Signal:
        signal = signals.BY_PATH.get(self._path())
        if signal is None:
            raise RefusalError(
                HTTPStatus.NOT_FOUND,
                f"nothing is at {self._path()[:200]}: OTLP/HTTP is POST to {', '.join(signals.BY_PATH)}"
                " (OTEL_EXPORTER_OTLP_ENDPOINT is given without these, and the exporter appends them)",
            )
        return signal

    def _encoding(self) -> str:
        named = self.headers.get_content_type() if "Content-Type" in self.headers else ""
        encoding = wire.ENCODINGS.get(named)
        if encoding is None:
            raise RefusalError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"Content-Type {named[:64]!r} is not OTLP/HTTP: send {wire.PROTOBUF} or {wire.JSON}",
            )
        return encoding

    def _body(self) -> bytes:
        try:
            body = bodies.read(self.rfile, self.headers)
        except TimeoutError:
            raise RefusalError(
                HTTPStatus.REQUEST_TIMEOUT, f"the request was not complete within {self._request_seconds:g} s"
            ) from None
        self._unread = False
        return body

    def _not_a_post(self) -> RefusalError:
        if self._path() in signals.BY_PATH:
            return RefusalError(
                HTTPStatus.METHOD_NOT_ALLOWED, f"{self._path()} takes POST, not {self.command}", Allow="POST"
            )
        return RefusalError(HTTPStatus.NOT_FOUND, f"OTLP/HTTP is POST to {', '.join(signals.BY_PATH)}")

    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _request(self, *, signal: str | None, size: int, status: int, problem: str | None) -> ReceivedRequest:
        headers = {name.lower(): ", ".join(self.headers.get_all(name, [])) for name in self.headers}
        return ReceivedRequest(
            method=self.command or "",  # the base class sets None before it reads it
            path=self.path,
            signal=signal,
            headers=headers,
            size=size,
            status=status,
            problem=problem,
            time_ns=time.time_ns(),
        )

    def _refuse(self, refusal: RefusalError) -> None:
        signal = signals.BY_PATH.get(self._path())
        name = signal.name if signal else None
        self._sink(
            Delivery(
                request=self._request(signal=name, size=0, status=refusal.status, problem=refusal.message)
            )
        )
        encoding = wire.ENCODINGS.get(self.headers.get_content_type(), wire.JSON)
        self._answer(refusal.status, wire.problem(refusal.message, encoding), encoding, refusal.headers)
        if self._unread:
            self._linger()

    def _answer(self, status: int, body: bytes, content_type: str, headers: dict[str, str]) -> None:
        self.connection.settimeout(_ANSWER_SECONDS)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        if self._unread:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _linger(self) -> None:
        """Read on and throw away: to close with bytes unread is a reset, and may take the answer along."""
        self.connection.shutdown(socket.SHUT_WR)
        self._reader.allow(_LINGER_SECONDS)
        while self.rfile.read1(64 * 1024):
            pass


def _hint(first_line: bytes) -> str | None:
    """What somebody gets wrong who does not speak HTTP/1 at all."""
    if first_line.startswith(b"PRI * HTTP/2"):
        return "this is HTTP/2, as gRPC speaks: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
    if first_line.startswith(b"\x16\x03"):
        return "this looks like TLS: use an http:// endpoint, not https://"
    return None
