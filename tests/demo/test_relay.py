from __future__ import annotations

import gzip
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from aiotel._demo.relay import Answers, Relay
from aiotel._receiver.received import Delivery, ReceivedRequest
from aiotel.testing import Receiver


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def trace_request(*, span_id: bytes = b"\1" * 8) -> bytes:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = b"\2" * 16, span_id, "pay"
    return request.SerializeToString()


def delivery(body: bytes, *, signal: str = "traces", **headers: str) -> Delivery:
    named = {"content-type": "application/x-protobuf"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(
        request=ReceivedRequest(method="POST", path=f"/v1/{signal}", signal=signal, headers=named), body=body
    )


def test_a_request_is_handed_on_byte_for_byte_with_its_own_headers(collector: Receiver) -> None:
    relay = Relay({"traces": f"{collector.endpoint}/v1/traces"}, {})
    body = gzip.compress(trace_request())

    relay.put(
        delivery(body, content_encoding="gzip", authorization="Bearer x", host="here", connection="close")
    )
    answers = relay.close(timeout=10)

    assert {"traces": Answers(taken=1)} == answers
    assert ["pay"] == [span.name for span in collector.spans]
    (request,) = collector.requests
    assert len(body) == request.size
    assert "Bearer x" == request.headers["authorization"]
    assert f"127.0.0.1:{collector.port}" == request.headers["host"]


def test_a_signal_that_goes_nowhere_is_not_sent(collector: Receiver) -> None:
    relay = Relay({"traces": f"{collector.endpoint}/v1/traces"}, {})

    relay.put(delivery(b"", signal="logs"))

    assert {} == relay.close(timeout=10)
    assert [] == list(collector.requests)


def test_refusals_are_counted_by_reason(collector: Receiver) -> None:
    relay = Relay({"traces": f"{collector.endpoint}/nowhere", "logs": f"{collector.endpoint}/v1/logs"}, {})

    relay.put(delivery(trace_request()))
    relay.put(delivery(trace_request()))
    relay.put(delivery(b"\xff", signal="logs"))

    assert {
        "traces": Answers(problems=Counter({"404 Not Found": 2})),
        "logs": Answers(problems=Counter({"400 Bad Request": 1})),
    } == relay.close(timeout=10)


def test_what_a_collector_takes_in_part_is_told_with_its_reason(collector: Receiver) -> None:
    relay = Relay({"traces": f"{collector.endpoint}/v1/traces"}, {})

    relay.put(delivery(trace_request(span_id=b"")))
    (problem,) = relay.close(timeout=10)["traces"].problems

    assert problem.startswith("1 items refused: 1 spans have no valid ids")


def test_a_collector_that_is_not_there_is_a_problem_and_no_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    relay = Relay({"traces": f"http://127.0.0.1:{port}/v1/traces"}, {})

    relay.put(delivery(trace_request()))

    assert {"traces": Answers(problems=Counter({"no connection": 1}))} == relay.close(timeout=10)


def test_a_collector_that_never_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        relay = Relay({"traces": f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"}, {})
        for _ in range(3):
            relay.put(delivery(trace_request()))

        answers = relay.close(timeout=0.1)

    assert {"traces": Answers(problems=Counter({"no answer in time": 3}))} == answers
