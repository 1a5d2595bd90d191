"""Tell a failure once to the program's own structlog, and once to OpenTelemetry."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

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
from ..observations import Failure, TaskFacts
from . import names

__all__ = ["Logs"]


class Logs:
    """Both tellings of a failure."""

    def __init__(self, logger: Callable[[], _logs.Logger], *, clock_ns: Callable[[], int]) -> None:
        self._logger = logger
        self._clock_ns = clock_ns

    def exception(self, failure: Failure, stacktrace: str) -> None:
        """Tell the failure; `stacktrace` is its traceback in words."""
        for tell in (self._tell_structlog, self._tell_opentelemetry):
            try:
                self._within(failure.context, tell, failure, stacktrace)
            except Exception as error:  # noqa: BLE001  # a processor of the user's: the other telling still goes out
                complaints.add("log", f"a failure could not be logged: {error!r}")

    def _within(self, context: object, tell: Callable[[Failure, str], None], *facts: Any) -> None:
        """In the failure's own context, where the user's processors find their request id."""
        if isinstance(context, Borrowed):
            context.run(tell, *facts)
        else:
            tell(*facts)

    def _tell_structlog(self, failure: Failure, stacktrace: str) -> None:
        logger = structlog.get_logger("aiotel") if _configured() else _own_logger()
        log = logger.critical if failure.fatal else logger.error
        log(failure.message, **_fields(failure), exception=stacktrace)

    def _tell_opentelemetry(self, failure: Failure, stacktrace: str) -> None:
        severity = SeverityNumber.FATAL if failure.fatal else SeverityNumber.ERROR
        self._logger().emit(
            LogRecord(
                timestamp=failure.time_ns,
                observed_timestamp=self._clock_ns(),
                context=_context_of(failure.task),
                severity_number=severity,
                severity_text=severity.name,
                body=failure.message,
                attributes={**_attributes(failure), names.EXCEPTION_STACKTRACE: stacktrace},
                event_name=names.EXCEPTION,
            )
        )


def _attributes(failure: Failure) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        names.EXCEPTION_TYPE: failure.exception.type,
        names.EXCEPTION_MESSAGE: failure.exception.message,
        names.EXCEPTION_SOURCE: failure.source,
    }
    task = failure.task
    if task is not None:
        attributes[names.TASK_NAME] = task.name
        attributes[names.CODE_FUNCTION_NAME] = task.function
    if task is not None and task.created_file is not None:
        attributes[names.TASK_CREATED_FUNCTION] = task.created_function
        attributes[names.TASK_CREATED_FILE] = task.created_file
        attributes[names.TASK_CREATED_LINE] = task.created_line
    return attributes


def _fields(failure: Failure) -> dict[str, Any]:
    fields = _attributes(failure)
    if failure.task is not None and failure.task.trace_id:
        fields["trace_id"] = format_trace_id(failure.task.trace_id)
        fields["span_id"] = format_span_id(failure.task.span_id)
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
