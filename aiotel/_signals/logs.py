"""Tell a report once where the program's own logs go, and once to OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from opentelemetry import _logs
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    set_span_in_context,
)

from .._borrowed import Borrowed
from .._complaints import complaints
from .._duplicates import Duplicates
from .._report import Report, Severity
from . import names
from .identity import identity_of
from .loggers import tell_loggers

__all__ = ["Logs"]


class Logs:
    """Both tellings of a report."""

    def __init__(
        self, logger: Callable[[], _logs.Logger], duplicates: Duplicates, *, clock_ns: Callable[[], int]
    ) -> None:
        self._logger = logger
        self._duplicates = duplicates
        self._clock_ns = clock_ns

    def tell(self, report: Report) -> None:
        """Tell it to both."""
        for tell in (self._tell_loggers, self._tell_opentelemetry):
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

    def _tell_loggers(self, report: Report) -> None:
        tell_loggers(report, self._duplicates)

    def _tell_opentelemetry(self, report: Report) -> None:
        severity = _SEVERITIES[report.severity]
        attributes = dict(report.attributes)
        if report.stacktrace is not None:
            attributes[names.EXCEPTION_STACKTRACE] = report.stacktrace
        self._logger().emit(
            LogRecord(
                timestamp=report.time_ns,
                observed_timestamp=self._clock_ns(),
                context=_context_of(identity_of(report)),
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


def _context_of(span: SpanContext | None) -> Context:
    """A context in which that span is current; never the one that happens to be."""
    return Context() if span is None else set_span_in_context(NonRecordingSpan(span), Context())
