"""Say on the span of a task what it raised: the older convention, for backends that have not moved on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._signals import names
from .redaction import Redact, redacted
from .tracebacks import traceback_of

__all__ = ["note_raised"]


def note_raised(record: Any, wall_ns: Callable[[int], int], redact: Redact | None) -> None:
    """Note the span event `exception`, where the record has what its task raised."""
    if record.raised is None:
        return
    exception = redacted(record.raised, redact)
    attributes = {
        names.EXCEPTION_TYPE: exception.type,
        names.EXCEPTION_MESSAGE: exception.message,
        names.EXCEPTION_STACKTRACE: traceback_of(exception),
    }
    record.note(names.EXCEPTION, attributes, time_ns=wall_ns(record.end_ns))
