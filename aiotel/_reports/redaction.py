"""Take out of the messages of exceptions what is not to leave the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .._complaints import complaints
from ..observations import Cancellation, ExceptionFacts

__all__ = ["Redact", "redacted", "redacted_cancellation", "redacted_text"]

Redact = Callable[[str], str]
"""The program's: gives a message without what is nobody's business."""

WITHHELD = "[withheld: redact failed]"


def redacted(exception: ExceptionFacts, redact: Redact | None) -> ExceptionFacts:
    """The exception, its causes and its leaves with their messages redacted."""
    if redact is None:
        return exception
    return replace(
        exception,
        message=redacted_text(exception.message, redact),
        cause=None if exception.cause is None else redacted(exception.cause, redact),
        leaves=tuple(redacted(leaf, redact) for leaf in exception.leaves),
    )


def redacted_cancellation(cancellation: Cancellation, redact: Redact | None) -> Cancellation:
    """The cancellation with its message redacted, and with what a cancel scope gave as its reason."""
    if redact is None:
        return cancellation
    message, reason = cancellation.message, cancellation.reason
    return replace(
        cancellation,
        message=None if message is None else redacted_text(message, redact),
        reason=redacted_text(reason, redact) if cancellation.by == "cancel_scope" else reason,
    )


def redacted_text(text: str, redact: Redact) -> str:
    """The text, redacted; nothing of it where that fails."""
    try:
        return str(redact(text)) if text else text
    except Exception as error:  # noqa: BLE001  # the program's: what it wants to hide is not to be told by its mistake
        complaints.add(
            "redact", f"redact failed, and messages of exceptions are withheld: {type(error).__name__}"
        )
        return WITHHELD
