"""Say of a task in plain data what its record knows: its function, its place, the ids of its span."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .._record import DEFERRED, FOREIGN, RECORDED, SAMPLED, AnyRecord, Record, created_by, has_span, line_of
from ..observations import TaskFacts

__all__ = ["facts_of_record", "identified"]


def facts_of_record(name: str, record: AnyRecord) -> TaskFacts:
    """What the record says of the task with this name."""
    span = record if has_span(record) else None
    code = None if span is None else created_by(span)
    trace_id, span_id, sampled = _identity_of(record)
    return TaskFacts(
        name=name,
        function=record.function.name,
        trace_id=trace_id,
        span_id=span_id,
        sampled=sampled,
        created_file=None if code is None else code.co_filename,
        created_line=None if code is None or span is None else line_of(code, span.site_instruction),
        created_function=None if code is None else code.co_qualname,
        undecided=record if record.flags & DEFERRED and not trace_id else None,
    )


def identified(task: TaskFacts) -> TaskFacts:
    """The same with its ids, once it is decided whether the task has a span."""
    record: Any = task.undecided
    trace_id, span_id, sampled = _identity_of(record)
    return replace(task, trace_id=trace_id, span_id=span_id, sampled=sampled, undecided=None)


def _identity_of(record: AnyRecord) -> tuple[int, int, bool]:
    """Trace id, span id and sampled flag of the task's span; or of the user's span around it or inside it."""
    origin, flags = record.origin, record.flags
    if isinstance(record, Record) and flags & RECORDED:
        return origin.trace_id, record.span_id, bool(flags & SAMPLED)
    if flags & FOREIGN:
        return origin.trace_id, origin.span_id, False
    # A connection's task has the identity of the root span that it carries, which was sampled.
    return (origin.trace_id, origin.root_id, origin.trace_id != 0) if flags & DEFERRED else (0, 0, False)
