from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple

import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # it ships stubs, but no py.typed
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from aiotel._receiver.server import Server

from .conftest import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiotel._receiver.received import Delivery
    from aiotel.testing import Receiver

PROTOBUF = {"Content_Type": "application/x-protobuf"}
JSON = {"Content_Type": "application/json"}
TRACE_ID, SPAN_ID = bytes(range(16)), bytes(range(8))
A_SPAN = ExportTraceServiceRequest(
    resource_spans=[
        ResourceSpans(scope_spans=[ScopeSpans(spans=[Span(trace_id=TRACE_ID, span_id=SPAN_ID, name="pay")])])
    ]
).SerializeToString()


def said(body: bytes) -> str:
    status = Status()
    status.ParseFromString(body)
    return str(status.message)


@pytest.mark.parametrize(
    ("path", "response"),
    [
        ("/v1/traces", ExportTraceServiceResponse()),
        ("/v1/metrics", ExportMetricsServiceResponse()),
        ("/v1/logs", ExportLogsServiceResponse()),
    ],
)
def test_success_is_answered_with_the_signals_own_message_in_the_encoding_of_the_request(
    client: Client, path: str, response: ExportTraceServiceResponse
) -> None:
    protobuf = client.post(path, b"", **PROTOBUF)
    in_json = client.post(path, b"{}", **JSON)

    assert (200, "application/x-protobuf") == (protobuf.status, protobuf.headers["content-type"])
    assert response == type(response).FromString(protobuf.body)
    assert (200, "application/json", b"{}") == (
        in_json.status,
        in_json.headers["content-type"],
        in_json.body,
    )


def test_what_was_sent_is_there_when_the_answer_arrives(receiver: Receiver, client: Client) -> None:
    client.post("/v1/traces", A_SPAN, **PROTOBUF)

    assert ["pay"] == [span.name for span in receiver.spans]


def test_a_connection_serves_many_requests(receiver: Receiver, client: Client) -> None:
    client.post("/v1/traces", A_SPAN, **PROTOBUF)
    first = client.connection.sock
    client.post("/v1/nothing", b"not read", **PROTOBUF)
    client.post("/v1/traces", b"\xff", **PROTOBUF)
    second = client.connection.sock
    client.post("/v1/traces", A_SPAN, **PROTOBUF)

    assert first is not second  # the one with an unread body had to end
    assert client.connection.sock is second
    assert [200, 404, 400, 200] == [request.status for request in receiver.requests]


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body)[2:-4]),
        ("identity", bytes),
        ("GZIP", lambda body: gzip.compress(body[:7]) + gzip.compress(body[7:])),
    ],
    ids=["gzip", "deflate", "bare deflate", "identity", "two gzip streams"],
)
def test_compressed_bodies_are_read(
    receiver: Receiver, client: Client, coding: str, compress: object
) -> None:
    assert callable(compress)

    answer = client.post("/v1/traces", compress(A_SPAN), Content_Encoding=coding, **PROTOBUF)

    assert (200, b"") == (answer.status, answer.body)
    assert 1 == len(receiver.spans)


def test_a_body_in_chunks_is_read(receiver: Receiver, client: Client) -> None:
    head = (
        b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunks = b"".join(b"%x;extension\r\n%b\r\n" % (1, bytes([byte])) for byte in A_SPAN)

    answer = client.raw(head + chunks + b"0\r\nTrailer: yes\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert 1 == len(receiver.spans)


def test_requests_may_follow_each_other_without_waiting(receiver: Receiver, client: Client) -> None:
    request = (
        b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n%b"
        % (len(A_SPAN), A_SPAN)
    )

    answers = client.raw(request * 3)

    assert 3 == answers.count(b"HTTP/1.1 200 ")
    assert 3 == len(receiver.spans)


def test_a_client_that_asks_first_is_told_to_go_on(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(A_SPAN)
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")

        connection.sendall(A_SPAN)

        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_headers_are_kept_for_whoever_tests_authorization(receiver: Receiver, client: Client) -> None:
    client.post("/v1/traces", A_SPAN, Authorization="Bearer s3cret", X_Tenant="shop", **PROTOBUF)

    (request,) = receiver.requests
    assert ("POST", "/v1/traces", "traces", len(A_SPAN)) == (
        request.method,
        request.path,
        request.signal,
        request.size,
    )
    assert ("Bearer s3cret", "shop") == (request.headers["authorization"], request.headers["x-tenant"])


class Wrong(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    status: int
    says: str


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong("POST", "/", PROTOBUF, 404, "OTEL_EXPORTER_OTLP_ENDPOINT is given without these"),
        Wrong("POST", "/v1/traces/v1/traces", PROTOBUF, 404, "/v1/traces/v1/traces"),
        Wrong("GET", "/", PROTOBUF, 404, "POST to /v1/traces"),
        Wrong("GET", "/v1/traces", PROTOBUF, 405, "/v1/traces takes POST, not GET"),
        Wrong("DELETE", "/v1/logs", PROTOBUF, 405, "takes POST, not DELETE"),
        Wrong("BREW", "/v1/logs", PROTOBUF, 501, "BREW"),
        Wrong("POST", "/v1/traces", {"Content_Type": "text/plain"}, 415, "application/json"),
        Wrong("POST", "/v1/traces", {}, 415, "application/json"),
        Wrong("POST", "/v1/traces", PROTOBUF | {"Content_Encoding": "zstd"}, 415, "gzip"),
        Wrong("POST", "/v1/traces", PROTOBUF | {"Content_Encoding": "gzip"}, 400, "does not decompress"),
        Wrong("POST", "/v1/traces", PROTOBUF, 400, "not a protobuf ExportTraceServiceRequest"),
        Wrong("POST", "/v1/traces", JSON, 400, "not JSON"),
        Wrong("POST", "/v1/traces", PROTOBUF | {"Content_Length": "68000000"}, 413, "smaller batches"),
        Wrong("POST", "/v1/traces", PROTOBUF | {"Content_Length": "9" * 5000}, 413, "smaller batches"),
        Wrong("POST", "/v1/traces", PROTOBUF | {"Content_Length": "-1"}, 400, "Content-Length"),
        Wrong("POST", "/v1/traces", PROTOBUF | {"Content_Length": "1_0"}, 400, "Content-Length"),
        Wrong(
            "POST", "/v1/traces", PROTOBUF | {"Transfer_Encoding": "gzip, chunked"}, 400, "exclude each other"
        ),
    ],
)
def test_a_request_that_is_wrong_is_told_what_and_recorded(
    receiver: Receiver, client: Client, wrong: Wrong
) -> None:
    headers = {"Content_Length": "9"} | wrong.headers
    answer = client.send(wrong.method, wrong.path, b"\xffnonsense", **headers)

    assert wrong.status == answer.status
    in_json = answer.headers["content-type"] == "application/json"
    text = json.loads(answer.body)["message"] if in_json else said(answer.body)
    assert wrong.says in text
    assert [(wrong.status, text)] == [(request.status, request.problem) for request in receiver.requests]


def test_a_wrong_method_is_answered_with_the_right_one(client: Client) -> None:
    assert "POST" == client.send("PUT", "/v1/traces").headers["allow"]


def test_an_unknown_compression_is_answered_with_the_known_ones(client: Client) -> None:
    answer = client.post("/v1/traces", b"", Content_Encoding="br", **PROTOBUF)

    assert "gzip, deflate, identity" == answer.headers["accept-encoding"]


def test_a_body_without_a_length_is_refused(client: Client) -> None:
    answer = client.raw(b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}")

    assert answer.startswith(b"HTTP/1.1 411 ")
    assert b"send Content-Length" in answer


@pytest.mark.slow
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_zip_bomb_is_refused_before_it_goes_off(receiver: Receiver, client: Client, coding: str) -> None:
    packer = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
    bomb = b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(65)) + packer.flush()

    answer = client.post("/v1/logs", bomb, Content_Encoding=coding, **PROTOBUF)

    assert 413 == answer.status
    assert () == receiver.logs


def test_a_body_over_the_limit_in_chunks_is_refused_where_it_passes_it(client: Client) -> None:
    answer = client.raw(
        b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"4000001\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_refused_sender_gets_its_answer_however_much_it_goes_on_to_send(client: Client) -> None:
    answer = client.post("/v1/nowhere", bytes(8 * 1024 * 1024), **PROTOBUF)

    assert (404, "close") == (answer.status, answer.headers["connection"])


def test_millions_of_empty_messages_are_refused_before_they_become_objects(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiotel._receiver.signals.MAX_ITEMS", 0)

    answer = client.post("/v1/traces", A_SPAN, **PROTOBUF)

    assert (413, "1 items in one request") == (answer.status, said(answer.body)[:22])


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        (b"\x16\x03\x01\x02\x00\x01\x00\n", "use an http:// endpoint"),
        (b"what is this\n", "Bad request version"),
        (b"GET /v1/traces\r\n\r\n", "takes POST, not GET"),
        (b"GET /v1/traces HTTP/0.9\r\n\r\n", "takes POST, not GET"),
        (b"GET " + b"/" * 70_000, "URI Too Long"),
    ],
    ids=["gRPC", "TLS", "no HTTP", "no version", "HTTP/0.9", "long"],
)
def test_who_speaks_another_protocol_is_recorded_with_a_hint(
    receiver: Receiver, client: Client, sent: bytes, says: str
) -> None:
    answer = client.raw(sent)

    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505 "))
    (request,) = receiver.requests
    assert says in str(request.problem)


@pytest.fixture
def impatient() -> Iterator[tuple[Server, list[Delivery]]]:
    deliveries: list[Delivery] = []
    server = Server(deliveries.append, request_seconds=0.1)
    server.start()
    yield server, deliveries
    server.stop()


def test_a_client_too_slow_with_its_body_is_told_so(impatient: tuple[Server, list[Delivery]]) -> None:
    server, deliveries = impatient
    head = b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head)

        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")

    assert [408] == [delivery.request.status for delivery in deliveries]


def test_a_client_cannot_win_time_by_sending_one_byte_at_a_time(
    impatient: tuple[Server, list[Delivery]],
) -> None:
    server, _ = impatient
    answered = threading.Event()

    def drip(connection: socket.socket) -> None:
        while not answered.wait(0.02):
            connection.send(b" ")

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
        )
        dripping = threading.Thread(target=drip, args=(connection,))
        dripping.start()
        started = time.monotonic()
        answer = connection.recv(1000)
        answered.set()
        dripping.join()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < 10


def test_a_sink_that_fails_gives_an_error_and_the_next_request_is_served() -> None:
    class Sink:
        broken = True

        def __call__(self, delivery: Delivery) -> None:
            if self.broken and delivery.request.status == 200:
                raise ZeroDivisionError

    sink = Sink()
    server = Server(sink)
    server.start()
    with Client(server.port) as client:
        broken = client.post("/v1/traces", A_SPAN, **PROTOBUF)
        sink.broken = False
        whole = client.post("/v1/traces", A_SPAN, **PROTOBUF)
    server.stop()

    assert (500, "a fault of the receiver: ZeroDivisionError()") == (broken.status, said(broken.body))
    assert 200 == whole.status
