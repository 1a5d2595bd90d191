"""What came over the wire, as plain frozen data: spans, logs, metric points, and their requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

AttributeValue: TypeAlias = (
    "str | bool | int | float | bytes | list[AttributeValue] | dict[str, AttributeValue] | None"
)
Attributes: TypeAlias = Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent:
    """An event of a span: its name, its time in nanoseconds since 1970, its attributes."""

    name: str
    time_ns: int = 0
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedLink:
    """A link from a span to another: ids in hex (32 and 16 digits), and the link's attributes."""

    trace_id: str
    span_id: str
    trace_state: str = ""
    flags: int = 0
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSpan:
    """A finished span.

    Ids are lowercase hex, 32 digits for a trace and 16 for a span; `parent_span_id` is None for a root.
    Times are nanoseconds since 1970. `kind` is one of UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER,
    CONSUMER; `status` is UNSET, OK or ERROR. `scope` is the name of the instrumentation that made the span.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    name: str = ""
    kind: str = "INTERNAL"
    start_ns: int = 0
    end_ns: int = 0
    attributes: Attributes = field(default_factory=dict)
    events: tuple[ReceivedEvent, ...] = ()
    links: tuple[ReceivedLink, ...] = ()
    status: str = "UNSET"
    status_message: str = ""
    trace_state: str = ""
    flags: int = 0
    dropped_attributes: int = 0
    dropped_events: int = 0
    dropped_links: int = 0
    scope: str = ""
    scope_version: str = ""
    resource: Attributes = field(default_factory=dict)

    @property
    def duration_ns(self) -> int:
        """The time between start and end in nanoseconds, never negative."""
        return max(0, self.end_ns - self.start_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedLog:
    """A log record.

    `severity_number` is OpenTelemetry's (9 is INFO, 13 WARN, 17 ERROR, 21 FATAL; 0 where the sender gave
    none). Ids are hex, or None where the record belongs to no trace. Times are nanoseconds since 1970, 0 if
    unknown.
    """

    event_name: str = ""
    severity_number: int = 0
    severity_text: str = ""
    body: AttributeValue = None
    attributes: Attributes = field(default_factory=dict)
    trace_id: str | None = None
    span_id: str | None = None
    flags: int = 0
    time_ns: int = 0
    observed_time_ns: int = 0
    dropped_attributes: int = 0
    scope: str = ""
    scope_version: str = ""
    resource: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedExemplar:
    """One measurement kept as an example, with the ids (hex) of the span that it was made in, if any."""

    value: int | float | None = None
    time_ns: int = 0
    trace_id: str | None = None
    span_id: str | None = None
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMetricPoint:
    """One data point of one metric.

    `kind` is gauge, sum, histogram, exponential_histogram or summary. `temporality` is DELTA, CUMULATIVE,
    UNSPECIFIED, or None for kinds that have none. Gauges and sums have a `value`; the others a `count`
    and a `sum`. Of both sorts of histogram `bucket_counts` has one number more than `bounds`: bucket `i`
    counts what is above `bounds[i - 1]` and not above `bounds[i]`; `scale` is that of an exponential one. A
    summary has `quantiles`, pairs of quantile and value. The point speaks of the time from `start_ns` to
    `time_ns`.
    """

    name: str
    kind: str
    description: str = ""
    unit: str = ""
    temporality: str | None = None
    monotonic: bool = False
    attributes: Attributes = field(default_factory=dict)
    start_ns: int = 0
    time_ns: int = 0
    value: int | float | None = None
    count: int = 0
    sum: float | None = None
    min: float | None = None
    max: float | None = None
    bounds: tuple[float, ...] = ()
    bucket_counts: tuple[int, ...] = ()
    scale: int | None = None
    quantiles: tuple[tuple[float, float], ...] = ()
    exemplars: tuple[ReceivedExemplar, ...] = ()
    flags: int = 0
    scope: str = ""
    scope_version: str = ""
    resource: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """One HTTP request, accepted or not.

    `signal` is traces, metrics or logs, None for any other path. `headers` have lowercase names. `size` is
    that of the body in bytes as sent, still compressed. `problem` says why it was refused, or that parts of
    it were; None where all is well.
    """

    method: str
    path: str
    signal: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    status: int = 200
    problem: str | None = None
    time_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A request with everything that it brought; `body` is its body as sent, for whoever hands it on."""

    request: ReceivedRequest
    body: bytes = b""
    spans: tuple[ReceivedSpan, ...] = ()
    logs: tuple[ReceivedLog, ...] = ()
    metrics: tuple[ReceivedMetricPoint, ...] = ()
