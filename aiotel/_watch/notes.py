"""Note a stall on the span of the task that was at fault, and on those of the tasks that had to wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._record import AnyRecord, note_on
from .._signals import names
from ..observations import Stall
from .victims import MOST

__all__ = ["note_stall", "note_waited"]


def note_stall(stall: Stall, record: AnyRecord) -> None:
    """On the span of the task at fault: why, for how long, and on which line."""
    attributes: dict[str, Any] = {
        names.STALL_CAUSE: stall.cause,
        names.STALL_DURATION: stall.duration_ns / 1e9,
        names.STALL_EVIDENCE: stall.evidence,
    }
    if stall.function is not None and stall.at is not None:
        attributes[names.CODE_FUNCTION_NAME] = stall.function
        attributes[names.CODE_FILE_PATH] = stall.at.file
        attributes[names.CODE_LINE_NUMBER] = stall.at.line
    note_on(record, names.STALL, attributes, time_ns=stall.time_ns)


def note_waited(stall: Stall, ready: Iterable[AnyRecord], waited: Iterable[tuple[AnyRecord, int]]) -> None:
    """On the span of each once: of who was ready, and of who slept too long, and by how much (ns)."""
    found: dict[int, tuple[AnyRecord, int | None]] = {id(record): (record, None) for record in ready}
    for record, waited_ns in waited:
        found.setdefault(id(record), (record, waited_ns))
    for record, late_ns in list(found.values())[:MOST]:
        attributes: dict[str, Any] = {
            names.CODE_FUNCTION_NAME: stall.function or names.OTHER,
            names.STALL_CAUSE: stall.cause,
            names.STALL_DURATION: stall.duration_ns / 1e9,
        }
        if late_ns is not None:
            attributes[names.STALL_WAITED_DURATION] = late_ns / 1e9
        if stall.task is not None:
            attributes[names.STALL_TASK_NAME] = stall.task.name
        note_on(record, names.STALL_WAITED, attributes, time_ns=stall.time_ns)
