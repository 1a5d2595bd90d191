"""Write received data as JSON, one object a line, for other programs to read."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, TextIO

from .received import (
    ReceivedEvent,
    ReceivedExemplar,
    ReceivedLink,
    ReceivedLog,
    ReceivedMetricPoint,
    ReceivedSpan,
)

if TYPE_CHECKING:
    from .store import Contents

_Received = ReceivedSpan | ReceivedLog | ReceivedMetricPoint | ReceivedEvent | ReceivedLink | ReceivedExemplar


class LineWriter:
    """Writes each span, log record and metric point at once, as it comes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, contents: Contents) -> None:
        """Write a line for each item: spans, then logs, then metric points."""
        for signal, items in (("span", contents.spans), ("log", contents.logs), ("metric", contents.metrics)):
            for item in items:
                self._stream.write(f"{line(signal, item)}\n")
        self._stream.flush()

    def next_due(self) -> float | None:
        """Nothing is ever held back."""
        return None

    def finish(self) -> None:
        """Nothing is ever held back."""


def line(signal: str, item: _Received) -> str:
    """One line of plain ASCII: `{"signal": "span", ...}` with the fields of the dataclass.

    Ids are hex, bytes base64; numbers that JSON does not have are the texts NaN, Infinity and -Infinity.
    """
    return json.dumps({"signal": signal, **_fields(item)}, allow_nan=False)


def _fields(item: _Received) -> dict[str, object]:
    return {field.name: _plain(getattr(item, field.name)) for field in fields(item)}


def _plain(value: object) -> object:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case Mapping():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case ReceivedEvent() | ReceivedLink() | ReceivedExemplar():
            return _fields(value)
        case _:
            return value
