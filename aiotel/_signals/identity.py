"""Which span a report belongs to: its task's; or that in whose context the callback was made that failed."""

from __future__ import annotations

from opentelemetry.trace import SpanContext, TraceFlags, get_current_span

from .._borrowed import Borrowed
from .._report import Report

__all__ = ["identity_of"]


def identity_of(report: Report) -> SpanContext | None:
    """The identity of the span, where there is one. To be asked within the report's context."""
    task = report.task
    if task is not None:
        flags = TraceFlags(TraceFlags.SAMPLED if task.sampled else TraceFlags.DEFAULT)
        return SpanContext(task.trace_id, task.span_id, False, flags) if task.trace_id else None
    if not isinstance(report.context, Borrowed):  # what is current here has nothing to do with it
        return None
    found = get_current_span().get_span_context()
    return found if found.is_valid else None
