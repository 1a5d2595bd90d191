"""Hand on to a collector what was received, byte for byte, and keep what it answered.

Between the shop and its collector, because what a collector has received nobody else can see. The shop
itself is always answered with yes: it would rightly stop sending a signal that the collector does not take.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

import requests
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from .._receiver.received import Delivery

__all__ = ["Answers", "Relay"]

_TIMEOUTS = (2.0, 5.0)  # to connect, and to answer
_MAX_WAITING = 1000
_TOO_LATE = "no answer in time"
# Of one connection only, by HTTP's own rules, or made anew with the request.
_NOT_HANDED_ON = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What became of one signal's requests: how many were taken, and of the others how many why not."""

    taken: int = 0
    problems: Counter[str] = field(default_factory=Counter)


class Relay:
    """Sends requests on, on a thread of its own, in the order they came."""

    def __init__(self, urls: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self._urls = urls
        self._session = _session(environ)
        self._waiting: queue.Queue[Delivery | None] = queue.Queue(_MAX_WAITING)
        # Guards the counters: the relay's thread writes, and those of the receiver's connections do.
        self._lock = threading.Lock()
        self._given: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self._problems: dict[str, Counter[str]] = {signal: Counter() for signal in urls}
        self._thread = threading.Thread(name="aiotel-relay", target=self._send_all, daemon=True)
        self._thread.start()

    def put(self, delivery: Delivery) -> None:
        """Take a request to send on, if its signal goes anywhere; any thread may call this."""
        signal = delivery.request.signal or ""
        if signal not in self._urls or delivery.request.status != HTTPStatus.OK:
            return
        with self._lock:
            self._given[signal] += 1
        with suppress(queue.Full):  # given and never answered, as it will say
            self._waiting.put_nowait(delivery)

    def close(self, *, timeout: float) -> dict[str, Answers]:
        """What the collector answered, by signal; waits for what is under way, at most so many seconds."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=timeout)
            self._thread.join(timeout)
        with self._lock:
            return {signal: self._answers(signal) for signal in self._urls if self._given[signal]}

    def _answers(self, signal: str) -> Answers:
        taken, problems = self._taken[signal], self._problems[signal].copy()
        problems[_TOO_LATE] += self._given[signal] - taken - problems.total()
        return Answers(taken=taken, problems=+problems)

    def _send_all(self) -> None:
        while delivery := self._waiting.get():
            self._note(str(delivery.request.signal), self._send(delivery))

    def _send(self, delivery: Delivery) -> str | None:
        """Send a request; what is wrong with the answer, if anything."""
        request = delivery.request
        headers = {name: value for name, value in request.headers.items() if name not in _NOT_HANDED_ON}
        url = self._urls[str(request.signal)]
        try:
            answer = self._session.post(url, data=delivery.body, headers=headers, timeout=_TIMEOUTS)
        except requests.RequestException as error:
            return _reason(error)
        return _complaint(answer.content) if answer.ok else _status(answer.status_code)

    def _note(self, signal: str, problem: str | None) -> None:
        with self._lock:
            if problem is None:
                self._taken[signal] += 1
            else:
                self._problems[signal][problem] += 1


def _session(environ: Mapping[str, str]) -> requests.Session:
    """As OpenTelemetry's own exporter would have it."""
    session = requests.Session()
    session.verify = environ.get("OTEL_EXPORTER_OTLP_CERTIFICATE") or True
    certificate = environ.get("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE")
    key = environ.get("OTEL_EXPORTER_OTLP_CLIENT_KEY")
    session.cert = (certificate, key) if certificate and key else certificate
    return session


def _complaint(body: bytes) -> str | None:
    """What a collector says of a request that it has taken in part."""
    answer = ExportTraceServiceResponse()  # those to metrics and logs have the same fields
    try:
        answer.ParseFromString(body)
    except DecodeError:  # not a collector's answer, but it was a yes
        return None
    part = answer.partial_success
    if not part.rejected_spans:
        return None
    return f"{part.rejected_spans} items refused" + (f": {part.error_message}" if part.error_message else "")


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return _TOO_LATE
    if isinstance(error, requests.exceptions.SSLError):
        return "no TLS connection"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__
