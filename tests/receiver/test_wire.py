"""OTLP/JSON, whose ids are hex and whose 64-bit numbers are text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from aiotel._receiver import wire

if TYPE_CHECKING:
    from aiotel.testing import Receiver

    from .conftest import Client

TRACE_ID, SPAN_ID, PARENT_ID = "5B8EFFF798038103D269B633813FC60C", "EEE19B7EC3C1B174", "eee19b7ec3c1b173"


def sent(client: Client, path: str, fields: object) -> int:
    return client.post(
        path, json.dumps(fields).encode(), Content_Type="application/json; charset=utf-8"
    ).status


def a_trace(**span: object) -> dict[str, object]:
    ids = {"traceId": TRACE_ID, "spanId": SPAN_ID}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [ids | span]}]}]}


def test_a_span_in_json_is_read_by_otlps_rules(receiver: Receiver, client: Client) -> None:
    status = sent(
        client,
        "/v1/traces",
        {
            "resourceSpans": [
                {
                    "resource": {
                        "attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}],
                        "unknownField": {"x": 1},
                    },
                    "scopeSpans": [
                        {
                            "scope": {"name": "my.library", "version": "1.0.0"},
                            "spans": [
                                {
                                    "traceId": TRACE_ID,
                                    "spanId": SPAN_ID,
                                    "parentSpanId": PARENT_ID,
                                    "name": "pay",
                                    "kind": 2,
                                    "startTimeUnixNano": "1544712660000000000",
                                    "endTimeUnixNano": 1544712661000000000,
                                    "attributes": [
                                        {"key": "n", "value": {"intValue": "9007199254740993"}},
                                        {"key": "raw", "value": {"bytesValue": "+/8="}},
                                        {
                                            "key": "list",
                                            "value": {"arrayValue": {"values": [{"doubleValue": 0.5}, {}]}},
                                        },
                                        {
                                            "key": "map",
                                            "value": {
                                                "kvlistValue": {
                                                    "values": [
                                                        {"key": "traceId", "value": {"boolValue": True}}
                                                    ]
                                                }
                                            },
                                        },
                                    ],
                                    "links": [
                                        {"traceId": TRACE_ID, "spanId": PARENT_ID, "traceState": "vendor=1"}
                                    ],
                                    "status": {"code": 2, "message": "no funds"},
                                    "newInOtlp2": [1, 2, 3],
                                }
                            ],
                        }
                    ],
                }
            ]
        },
    )

    assert 200 == status
    (span,) = receiver.spans
    assert (TRACE_ID.lower(), SPAN_ID.lower(), PARENT_ID) == (
        span.trace_id,
        span.span_id,
        span.parent_span_id,
    )
    assert ("pay", "SERVER", "ERROR", "no funds") == (span.name, span.kind, span.status, span.status_message)
    assert (1544712660000000000, 10**9) == (span.start_ns, span.duration_ns)
    assert {
        "n": 9007199254740993,
        "raw": b"\xfb\xff",
        "list": [0.5, None],
        "map": {"traceId": True},
    } == span.attributes
    (link,) = span.links
    assert (TRACE_ID.lower(), PARENT_ID, "vendor=1") == (link.trace_id, link.span_id, link.trace_state)
    assert ("my.library", {"service.name": "shop"}) == (span.scope, span.resource)


@pytest.mark.parametrize(
    ("kind", "name"), [(3, "CLIENT"), ("SPAN_KIND_CLIENT", "CLIENT"), (99, "UNSPECIFIED")]
)
def test_enums_may_be_numbers_or_names(receiver: Receiver, client: Client, kind: object, name: str) -> None:
    assert 200 == sent(client, "/v1/traces", a_trace(kind=kind))
    assert [name] == [span.kind for span in receiver.spans]


def test_logs_and_metrics_in_json_are_read(receiver: Receiver, client: Client) -> None:
    log = {"timeUnixNano": "7", "severityNumber": 17, "body": {"stringValue": "hi"}, "eventName": "greeted"}
    log |= {"traceId": TRACE_ID, "spanId": SPAN_ID}
    quantile = {"quantile": 0.5, "value": 2}
    summary = {"timeUnixNano": "9", "count": "3", "sum": 6.5, "quantileValues": [quantile]}
    metric = {"name": "wait", "unit": "s", "summary": {"dataPoints": [summary]}}
    number = {"name": "n", "gauge": {"dataPoints": [{"asInt": "-5"}, {"asDouble": "Infinity"}, {"flags": 1}]}}

    assert 200 == sent(client, "/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]})
    assert 200 == sent(
        client, "/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric, number]}]}]}
    )

    (received,) = receiver.logs
    assert ("greeted", "hi", 17, 7) == (
        received.event_name,
        received.body,
        received.severity_number,
        received.time_ns,
    )
    assert (TRACE_ID.lower(), SPAN_ID.lower()) == (received.trace_id, received.span_id)
    point, *numbers = receiver.metrics
    assert ("wait", "summary", 3, 6.5, ((0.5, 2.0),)) == (
        point.name,
        point.kind,
        point.count,
        point.sum,
        point.quantiles,
    )
    assert [-5, float("inf"), None] == [each.value for each in numbers]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ([], "not a JSON object but list"),
        (None, "not a JSON object but NoneType"),
        ({"resourceSpans": 7}, "resourceSpans"),
        (a_trace(startTimeUnixNano="soon"), "startTimeUnixNano"),
        (a_trace(name="\ud800"), "name"),
        (a_trace(traceId="W47/95gDgQPSabYzgT/GDA=="), "no base64 ids"),
    ],
)
def test_json_that_is_no_otlp_is_refused_with_the_reason(
    receiver: Receiver, client: Client, fields: object, says: str
) -> None:
    assert 400 == sent(client, "/v1/traces", fields)
    (request,) = receiver.requests
    assert says in str(request.problem)


def test_spans_without_valid_ids_are_refused_and_the_others_kept(receiver: Receiver, client: Client) -> None:
    spans = [
        {"traceId": TRACE_ID, "spanId": SPAN_ID, "name": "good"},
        {"traceId": TRACE_ID, "name": "no id"},
        {"traceId": "0" * 32, "spanId": SPAN_ID, "name": "zero"},
        {"traceId": TRACE_ID, "spanId": SPAN_ID + "00", "name": "long"},
    ]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()

    answer = client.post("/v1/traces", body, Content_Type="application/json")

    assert ["good"] == [span.name for span in receiver.spans]
    partial = json.loads(answer.body)["partialSuccess"]
    assert (200, "3") == (answer.status, partial["rejectedSpans"])
    assert partial["errorMessage"] == receiver.requests[0].problem


@pytest.mark.parametrize("depth", [90, 500, 100_000])
def test_json_however_deep_is_answered(client: Client, depth: int) -> None:
    value = '{"arrayValue":{"values":[' * depth + "]}}" * depth
    body = json.dumps(a_trace(attributes=[{"key": "deep", "value": "?"}])).replace('"?"', value).encode()

    assert client.post("/v1/traces", body, Content_Type="application/json").status in {200, 400}


def test_protobuf_that_is_cut_short_is_refused() -> None:
    whole = ExportTraceServiceRequest(resource_spans=[ResourceSpans(schema_url="x" * 50)]).SerializeToString()

    with pytest.raises(wire.MalformedError, match="not a protobuf ExportTraceServiceRequest"):
        wire.parse(whole[:-1], ExportTraceServiceRequest(), wire.PROTOBUF)
