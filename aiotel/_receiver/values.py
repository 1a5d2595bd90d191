"""Turn OTLP's attribute values and ids into plain Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

    from .received import AttributeValue

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8


def plain(value: AnyValue) -> AttributeValue:
    """The value as Python has it; None where the sender set none, or a sort that this OTLP does not know."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return attributes(value.kvlist_value.values)
        case scalar:
            found: AttributeValue = getattr(value, scalar)
            return found


def attributes(pairs: Iterable[KeyValue]) -> dict[str, AttributeValue]:
    """Attributes as a dict; of a key that came twice, the last one."""
    return {pair.key: plain(pair.value) for pair in pairs}


def trace_id(raw: bytes) -> str | None:
    """A trace id in hex; None where it is absent or not valid."""
    return _id(raw, TRACE_ID_BYTES)


def span_id(raw: bytes) -> str | None:
    """A span id in hex; None where it is absent or not valid."""
    return _id(raw, SPAN_ID_BYTES)


def _id(raw: bytes, size: int) -> str | None:
    return raw.hex() if len(raw) == size and any(raw) else None
