"""What is told of an observation: the words and the data of one log, whoever renders it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .observations import ExceptionFacts, TaskFacts

__all__ = ["Report", "Severity"]

Severity = Literal["debug", "info", "warn", "error", "fatal"]
"""The severities of OpenTelemetry's logs that we use, in small letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One log, for structlog and for OpenTelemetry.

    `name` is the name of the event, `words` say it to a person, `time_ns` is when it happened, in ns since
    the epoch. The log belongs to the span of `task`.
    """

    name: str
    severity: Severity
    words: str
    time_ns: int
    attributes: Mapping[str, Any]
    task: TaskFacts | None = None
    stacktrace: str | None = None
    exception: ExceptionFacts | None = None
    """What the stacktrace is of, for those who want it as data."""
    context: object = field(default=None, repr=False, compare=False)
    """Runs a call in the context in which it happened, where that is known (`context.run(call)`)."""
