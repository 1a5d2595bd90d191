"""Whatever is thrown at the receiver, it answers, and goes on to serve the next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from .conftest import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiotel.testing import Receiver

pytestmark = pytest.mark.slow

paths = st.sampled_from(["/v1/traces", "/v1/metrics", "/v1/logs"])
types = st.sampled_from(["application/x-protobuf", "application/json"])
codings = st.sampled_from(["", "gzip", "deflate"])

# The names that OTLP knows, so that the nonsense gets past the first look.
names = st.sampled_from(
    [
        "resourceSpans",
        "scopeSpans",
        "spans",
        "traceId",
        "spanId",
        "name",
        "kind",
        "startTimeUnixNano",
        "attributes",
        "key",
        "value",
        "stringValue",
        "arrayValue",
        "values",
        "kvlistValue",
        "bytesValue",
        "intValue",
        "doubleValue",
        "status",
        "code",
        "links",
        "events",
        "resourceLogs",
        "scopeLogs",
        "logRecords",
        "body",
        "severityNumber",
        "resourceMetrics",
        "scopeMetrics",
        "metrics",
        "sum",
        "gauge",
        "histogram",
        "exponentialHistogram",
        "summary",
        "dataPoints",
        "positive",
        "negative",
        "offset",
        "scale",
        "bucketCounts",
        "explicitBounds",
        "asInt",
        "asDouble",
        "exemplars",
        "flags",
        "resource",
        "scope",
        "partialSuccess",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
nonsense = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=25,
)
# The same, but where OTLP expects a list of messages there is one.
roots = st.sampled_from(
    [
        ("/v1/traces", "resourceSpans", "scopeSpans", "spans"),
        ("/v1/logs", "resourceLogs", "scopeLogs", "logRecords"),
        ("/v1/metrics", "resourceMetrics", "scopeMetrics", "metrics"),
    ]
)

relaxed = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def serving(receiver: Receiver) -> Iterator[Client]:
    with Client(receiver.port) as client:
        yield client


@relaxed
@given(path=paths, content_type=types, coding=codings, body=st.binary(max_size=300))
def test_random_bytes_are_always_answered(
    serving: Client, path: str, content_type: str, coding: str, body: bytes
) -> None:
    answer = serving.post(path, body, Content_Type=content_type, Content_Encoding=coding)

    assert answer.status in {200, 400}
    assert content_type == answer.headers["content-type"]


@relaxed
@given(path=paths, fields=nonsense)
def test_random_json_is_always_answered(serving: Client, path: str, fields: object) -> None:
    answer = serving.post(path, json.dumps(fields).encode(), Content_Type="application/json")

    assert answer.status in {200, 400}
    assert isinstance(json.loads(answer.body), dict)


@relaxed
@given(root=roots, items=st.lists(st.dictionaries(names, nonsense, max_size=6), max_size=3))
@example(
    root=("/v1/metrics", "resourceMetrics", "scopeMetrics", "metrics"),
    items=[
        {
            "exponentialHistogram": {
                "dataPoints": [
                    {
                        "scale": -(2**31),
                        "positive": {"offset": 2**31 - 1, "bucketCounts": [1, 2]},
                        "negative": {"offset": -(2**31), "bucketCounts": ["18446744073709551615"]},
                    }
                ]
            }
        }
    ],
)
def test_nearly_right_json_is_always_answered(
    serving: Client, root: tuple[str, str, str, str], items: object
) -> None:
    path, of_resource, of_scope, of_items = root
    body = json.dumps({of_resource: [{of_scope: [{of_items: items}]}]}).encode()

    assert serving.post(path, body, Content_Type="application/json").status in {200, 400}


@relaxed
@given(
    sent=st.binary(max_size=200)
    | st.builds(
        lambda start, rest: start + rest,
        st.sampled_from(
            [
                b"POST /v1/traces HTTP/1.1\r\n",
                b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\n",
                b"POST /v1/logs HTTP/1.1\r\nTransfer-Encoding:chunked\r\nContent-Type:text/json\r\n\r\n",
                b"POST /v1/logs HTTP/1.1\r\nContent-Length: 5\r\n",
                b"POST ",
                b"GET /v1/traces",
                b"\r\n\r\n",
            ]
        ),
        st.binary(max_size=200),
    )
)
def test_random_bytes_instead_of_http_harm_nobody_else(serving: Client, sent: bytes) -> None:
    answer = serving.raw(sent)

    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert 200 == serving.post("/v1/traces", b"{}", Content_Type="application/json").status
