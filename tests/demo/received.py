"""Received telemetry that is quick to write."""

from __future__ import annotations

from aiotel._receiver.received import AttributeValue, ReceivedLog, ReceivedMetricPoint, ReceivedSpan

MS = 1_000_000
SECOND = 1000 * MS


def span(
    name: str,
    parent: str | None = None,
    *,
    task: str = "Task-1",
    outcome: str = "returned",
    ms: int = 1,
    trace: str = "t",
) -> ReceivedSpan:
    """A task's span, whose id is its name and that of its trace."""
    return ReceivedSpan(
        trace_id=trace,
        span_id=f"{trace}.{name}",
        parent_span_id=parent and f"{trace}.{parent}",
        name=name,
        end_ns=ms * MS,
        attributes={"asyncio.task.name": task, "asyncio.task.outcome": outcome},
        status="ERROR" if outcome == "raised" else "UNSET",
        resource={"service.name": "shop"},
    )


def log(event: str, *, severity: int = 17, trace: str = "t", at: int = 0, **attributes: str) -> ReceivedLog:
    """A log record; an underscore in an attribute's name stands for a dot."""
    named: dict[str, AttributeValue] = {key.replace("_", "."): value for key, value in attributes.items()}
    return ReceivedLog(
        event_name=event, severity_number=severity, trace_id=trace, time_ns=at, attributes=named
    )


def duration(
    function: str, *, longest: float, count: int = 1, outcome: str = "returned"
) -> ReceivedMetricPoint:
    """A point of the duration of a function's tasks, which all took equally long."""
    return ReceivedMetricPoint(
        name="asyncio.task.duration",
        kind="histogram",
        unit="s",
        temporality="CUMULATIVE",
        attributes={"code.function.name": function, "asyncio.task.outcome": outcome},
        count=count,
        sum=count * longest,
        max=longest,
    )


def counter(
    name: str, value: int, *, temporality: str = "CUMULATIVE", **attributes: str
) -> ReceivedMetricPoint:
    """A point of a counter."""
    return ReceivedMetricPoint(
        name=name, kind="sum", temporality=temporality, monotonic=True, attributes=attributes, value=value
    )
