"""Choose of all that was received what tells a newcomer most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from .._receiver.received import ReceivedLog, ReceivedMetricPoint
from .._receiver.series import SeriesBook
from .._receiver.trees import Trace
from .._signals import names

__all__ = ["bad_news", "headlines", "is_ours", "metrics_that_matter", "telling_traces"]

_WARN = 13
_FUNCTIONS = 6
_BY_THE_WAY = ("Traceback ", "future: ", "handle: ", "RuntimeWarning: Enable tracemalloc")

# In a later version there may be more to be received than in this one.
_METRICS = frozenset(
    {
        names.TASK_STARTED,
        names.TASK_DURATION,
        names.TASK_SCHEDULE_DURATION,
        names.EXCEPTIONS,
        names.DROPPED,
        names.OVERHEAD_TIME,
        names.NEVER_AWAITED,
        names.FINDINGS,
        "asyncio.eventloop.delay",
        "asyncio.eventloop.stall.duration",
    }
)


def telling_traces(traces: Sequence[Trace], logs: Iterable[ReceivedLog]) -> list[Trace]:
    """Two traces at most: that of the worst news, else the most varied; and one of another kind."""
    ranked = sorted(traces, key=_variety, reverse=True)
    by_id = {trace.trace_id: trace for trace in traces}
    failed = [by_id[log.trace_id] for log in bad_news(logs) if log.trace_id in by_id]
    first = next(iter([*failed, *ranked]), None)
    if first is None:
        return []
    second = next((trace for trace in ranked if _root(trace) != _root(first)), None)
    return [first, second] if second else [first]


def bad_news(logs: Iterable[ReceivedLog]) -> list[ReceivedLog]:
    """The logs of what went wrong, by severity, then by time."""
    bad = [log for log in logs if log.severity_number >= _WARN]
    return sorted(bad, key=lambda log: (-log.severity_number, log.time_ns or log.observed_time_ns))


def metrics_that_matter(points: Iterable[ReceivedMetricPoint]) -> list[ReceivedMetricPoint]:
    """The last state of a few series: of functions the few that say most, their names in short."""
    book = SeriesBook()
    book.add(point for point in points if point.name in _METRICS)
    latest = book.latest()
    durations = sorted(
        (point for point in latest if point.name == names.TASK_DURATION),
        key=_weight,
        reverse=True,
    )
    others = [point for point in latest if point.name != names.TASK_DURATION]
    return [_in_short(point) for point in (*others, *durations[:_FUNCTIONS])]


def headlines(stderr: Iterable[str]) -> Iterator[str]:
    """The lines that say something: no tracebacks, no source, none of aiotel's own log."""
    for line in stderr:
        if line.strip() and not line[0].isspace() and not line.startswith(_BY_THE_WAY) and not is_ours(line):
            yield line


def is_ours(line: str) -> bool:
    """Whether a line of stderr is aiotel's own log: it writes JSON, and the shop does not."""
    return line.startswith("{")


def _variety(trace: Trace) -> int:
    return len({(depth, node.span.name) for depth, node in trace.walk()})


def _weight(point: ReceivedMetricPoint) -> tuple[bool, bool, float]:
    """Failures first, then the longest of what there is several of; what was cancelled says little."""
    outcome = point.attributes.get(names.TASK_OUTCOME)
    return (outcome == "raised", outcome == "returned" and point.count > 1, point.max or 0.0)


def _root(trace: Trace) -> str:
    return trace.roots[0].span.name


def _in_short(point: ReceivedMetricPoint) -> ReceivedMetricPoint:
    """`shop.orders.Orders.pay` as `Orders.pay`."""
    function = point.attributes.get(names.CODE_FUNCTION_NAME)
    if not isinstance(function, str):
        return point
    short = ".".join(function.split(".")[-2:])
    return replace(point, attributes={**point.attributes, names.CODE_FUNCTION_NAME: short})
