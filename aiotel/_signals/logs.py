"""Tell a report once to the program's own structlog, and once to OpenTelemetry."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from opentelemetry import _logs
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from .._borrowed import Borrowed
from .._complaints import complaints
from .._report import Report, Severity
from ..observations import TaskFacts
from . import names

__all__ = ["Logs"]


class Logs:
    """Both tellings of a report."""

    def __init__(self, logger: Callable[[], _logs.Logger], *, clock_ns: Callable[[], int]) -> None:
        self._logger = logger
        self._clock_ns = clock_ns

    def tell(self, report: Report) -> None:
        """Tell it to both."""
        for tell in (self._tell_structlog, self._tell_opentelemetry):
            try:
                self._within(report.context, tell, report)
            except Exception as error:  # noqa: BLE001  # a processor of the user's: the other telling still goes out
                complaints.add("log", f"{report.name} could not be logged: {error!r}")

    def _within(self, context: object, tell: Callable[[Report], None], report: Report) -> None:
        """In its own context, where the user's processors find their request id."""
        if isinstance(context, Borrowed):
            context.run(tell, report)
        else:
            tell(report)

    def _tell_structlog(self, report: Report) -> None:
        logger = structlog.get_logger("aiotel") if _configured() else _own_logger()
        getattr(logger, _METHODS[report.severity])(report.words, **_fields(report))

    def _tell_opentelemetry(self, report: Report) -> None:
        severity = _SEVERITIES[report.severity]
        attributes = dict(report.attributes)
        if report.stacktrace is not None:
            attributes[names.EXCEPTION_STACKTRACE] = report.stacktrace
        self._logger().emit(
            LogRecord(
                timestamp=report.time_ns,
                observed_timestamp=self._clock_ns(),
                context=_context_of(report.task),
                severity_number=severity,
                severity_text=severity.name,
                body=report.words,
                attributes=attributes,
                event_name=report.name,
            )
        )


_SEVERITIES: Final[Mapping[Severity, SeverityNumber]] = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warn": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "fatal": SeverityNumber.FATAL,
}
_METHODS: Final[Mapping[Severity, str]] = {
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "error": "error",
    "fatal": "critical",
}
"""What structlog calls them."""


def _fields(report: Report) -> dict[str, Any]:
    fields = dict(report.attributes)
    if report.task is not None and report.task.trace_id:
        fields["trace_id"] = format_trace_id(report.task.trace_id)
        fields["span_id"] = format_span_id(report.task.span_id)
    if report.stacktrace is not None:
        fields["exception"] = report.stacktrace
    return fields


def _context_of(task: TaskFacts | None) -> Context:
    """A context in which the failed task's span is current; never the one that happens to be."""
    if task is None or not task.trace_id:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if task.sampled else TraceFlags.DEFAULT)
    span = NonRecordingSpan(SpanContext(task.trace_id, task.span_id, False, flags))
    return set_span_in_context(span, Context())


def _configured() -> bool:
    """Whether structlog is the program's. An instrumentation that only adds itself does not count."""
    if not structlog.is_configured():
        return False
    defaults = structlog._config._BUILTIN_DEFAULT_PROCESSORS
    processors = structlog.get_config()["processors"]
    ours = [each for each in processors if not type(each).__module__.startswith("opentelemetry.")]
    return [type(each) for each in ours] != [type(each) for each in defaults]


def _own_logger() -> Any:
    """JSON lines, or a line for a person where a person reads; always on stderr."""
    terminal = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(_dumps)
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            *([_without_traceback] if terminal else []),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            renderer,
        ],
        wrapper_class=structlog.BoundLogger,
    )


def _without_traceback(logger: Any, method: str, event: Any) -> Any:
    """Asyncio's own handler has just printed it on the same terminal."""
    event.pop("exception", None)
    return event


def _dumps(event: Any, **options: Any) -> str:
    return json.dumps(event, **{"default": repr, **options})
