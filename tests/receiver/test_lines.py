from __future__ import annotations

import io
import json

from aiotel._receiver.lines import LineWriter
from aiotel._receiver.received import (
    ReceivedEvent,
    ReceivedExemplar,
    ReceivedLink,
    ReceivedLog,
    ReceivedMetricPoint,
    ReceivedSpan,
)
from aiotel._receiver.store import Contents


def written(contents: Contents) -> list[dict[str, object]]:
    stream = io.StringIO()
    writer = LineWriter(stream)
    writer.show(contents)
    writer.finish()
    assert writer.next_due() is None
    assert stream.getvalue().isascii()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_the_signal_and_every_field() -> None:
    span = ReceivedSpan(
        trace_id="a" * 32,
        span_id="b" * 16,
        name="é\x1b\n",
        attributes={"list": ["x", 1], "map": {"raw": b"\x00"}},
        events=(ReceivedEvent(name="retried", time_ns=5),),
        links=(ReceivedLink(trace_id="c" * 32, span_id="d" * 16),),
    )

    (line,) = written(Contents(spans=[span]))

    assert ("span", "a" * 32, "é\x1b\n", None) == (
        line["signal"],
        line["trace_id"],
        line["name"],
        line["parent_span_id"],
    )
    assert {"list": ["x", 1], "map": {"raw": "AA=="}} == line["attributes"]
    assert [{"name": "retried", "time_ns": 5, "attributes": {}}] == line["events"]
    assert {"signal", *ReceivedSpan.__slots__} == set(line)


def test_spans_logs_and_metric_points_have_a_line_each() -> None:
    contents = Contents(
        spans=[ReceivedSpan(trace_id="a", span_id="b")] * 2,
        logs=[ReceivedLog(body="hi")],
        metrics=[ReceivedMetricPoint(name="n", kind="sum", exemplars=(ReceivedExemplar(value=1),))],
    )

    assert ["span", "span", "log", "metric"] == [line["signal"] for line in written(contents)]


def test_numbers_that_json_does_not_have_are_texts() -> None:
    points = [
        ReceivedMetricPoint(name="n", kind="gauge", value=value)
        for value in (float("nan"), float("inf"), float("-inf"), 0.5)
    ]

    assert ["NaN", "Infinity", "-Infinity", 0.5] == [
        line["value"] for line in written(Contents(metrics=points))
    ]
