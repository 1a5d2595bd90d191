"""Say of a task that has ended as cancelled who or what cancelled it: seen at the time, or found out now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from .._faults import faults
from .._ledger import Ledger
from .._record import AnyRecord
from ..observations import Cancellation
from .chains import above, can_be_seen, cancelled_error
from .errors import failed_of
from .exceptions import message_of

__all__ = ["asked", "by_message", "explain", "function_of_task", "message_in", "record_of", "through"]

MESSAGE: Final = 256
"""How many characters of a cancel message are kept."""
_SCOPES: Final = ("Cancelled via cancel scope ", "Cancelled by cancel scope ")
"""How anyio's messages begin."""


def explain(ledger: Ledger, task: Any, record: Any) -> None:
    """Note on the record why its task, which has just ended as cancelled, was."""
    try:
        record.note_cancellation(_explanation(ledger, task, record))
    except Exception as error:  # noqa: BLE001  # the end itself is to be told all the same
        faults.add(error)


def _explanation(ledger: Ledger, task: Any, record: Any) -> Cancellation:
    message = message_in(cancelled_error(task))
    known: Cancellation | None = record.cancellation
    requested = getattr(task, "cancelling", int)() > 0
    if known is None or not requested:
        known = by_message(message)
    if known is None:
        known = asked(ledger, task) if requested else _AWAITED
    return known if message is None else replace(known, message=message)


def asked(ledger: Ledger, task: Any) -> Cancellation:
    """It was cancelled for the sake of a task that waits for it; else somebody called its `cancel()`."""
    first = above(task)
    if first is None:
        seen = not task.done() or can_be_seen(task.get_loop())
        return _EXPLICIT if seen else _EXPLICIT_OR_ABOVE
    record = record_of(ledger, first)
    return through(None if record is None else record.function.name, getattr(record, "cancellation", None))


def through(function: str | None, known: Cancellation | None) -> Cancellation:
    """Cancelled with the task of this function, which waits for it; why that was cancelled may be known."""
    if known is not None and known.by not in {"explicit", "parent"}:
        return replace(known, origin=known.origin or function)
    at = None if known is None else known.at
    origin = function if known is None or known.origin is None else known.origin
    words = f"{origin or 'the task'}, which waits for it, was cancelled"
    return Cancellation(by="parent", reason=words, origin=origin, at=at)


def by_message(message: str | None) -> Cancellation | None:
    """What a library's own message says: anyio's names the cancel scope, and the reason if there is one."""
    if message is None or not message.startswith(_SCOPES):
        return None
    reason = message.partition("; reason: ")[2]
    words = "a cancel scope was cancelled" + (f": {reason}" if reason else "")
    return Cancellation(by="cancel_scope", reason=words, message=message)


def message_in(error: BaseException | None) -> str | None:
    """What was given to `cancel()`, cut."""
    if error is None or not error.args:
        return None
    message = message_of(error)
    return message if len(message) <= MESSAGE else message[:MESSAGE] + "…"


def record_of(ledger: Ledger, task: Any) -> AnyRecord | None:
    """The record of a task that lives, or of one that has failed."""
    record = ledger.live.get(id(task))
    if record is not None and record.alive() is task:
        return record
    failed = failed_of(ledger, task, getattr(task, "_exception", None))
    return None if failed is None else failed.record


def function_of_task(ledger: Ledger, task: Any) -> str:
    """The function of a task, by its record."""
    record = record_of(ledger, task)
    return "a task" if record is None else record.function.name


_EXPLICIT: Final = Cancellation(by="explicit", reason="cancel() was called")
_EXPLICIT_OR_ABOVE: Final = Cancellation(
    by="explicit", reason="cancel() was called on it, or on a task that waits for it"
)
_AWAITED: Final = Cancellation(
    by="awaited", reason="nobody cancelled it: what it awaited was cancelled, or it raised CancelledError"
)
