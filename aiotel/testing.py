"""Look at telemetry in tests as it went over the wire: a real OTLP receiver on a local port.

    from aiotel.testing import Receiver

    def test_paying_makes_a_span_under_the_request():
        with Receiver() as receiver:
            ...  # run the program, its OTEL_EXPORTER_OTLP_ENDPOINT set to receiver.endpoint
            receiver.wait_for_spans(2)

        assert [["serve", "  pay"]] == [trace.outline() for trace in receiver.traces()]

All that is received is frozen data: ids are lowercase hex, times are nanoseconds since 1970, attributes are
plain dicts of plain values.
"""

from __future__ import annotations

from ._receiver.received import (
    Attributes,
    AttributeValue,
    ReceivedEvent,
    ReceivedExemplar,
    ReceivedLink,
    ReceivedLog,
    ReceivedMetricPoint,
    ReceivedRequest,
    ReceivedSpan,
)
from ._receiver.receiver import Receiver
from ._receiver.server import ListenError
from ._receiver.store import Counts
from ._receiver.trees import Trace, TraceNode

__all__ = [
    "AttributeValue",
    "Attributes",
    "Counts",
    "ListenError",
    "ReceivedEvent",
    "ReceivedExemplar",
    "ReceivedLink",
    "ReceivedLog",
    "ReceivedMetricPoint",
    "ReceivedRequest",
    "ReceivedSpan",
    "Receiver",
    "Trace",
    "TraceNode",
]
