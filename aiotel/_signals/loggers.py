"""Tell a report where the program's own logs go: its structlog, else its standard logging, else stderr.

Whoever exports, or raises an alarm for, what the program logs has the failure from us or from asyncio
already: OpenTelemetry's processor, its logging handlers and Sentry do not get this.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

import structlog
from opentelemetry.trace import format_span_id, format_trace_id

from .._duplicates import Duplicates, is_opentelemetrys
from .._report import Report, Severity
from . import names
from .identity import identity_of
from .sentry import unseen_by_sentry
from .structured import structured

__all__ = ["tell_loggers"]

NAME: Final = "aiotel"
_METHODS: Final[Mapping[Severity, str]] = {
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "error": "error",
    "fatal": "critical",
}
"""What structlog calls them."""
_NO_OUTPUT: Final = ("_pytest.", "sentry_sdk.")
"""Whose handlers are no sign that the program logs somewhere: they look on."""


def tell_loggers(report: Report, duplicates: Duplicates) -> None:
    """Tell it to whichever is there."""
    words = report.words
    if _structlog_is_set_up():
        logger, fields = _structlog_logger(), _fields(report, structure=_wants_structure())
    elif _logging_is_set_up():
        logger, fields, words = _standard_logger(), _fields(report, structure=False), _in_a_line(report)
    elif report.severity == "debug":
        return
    else:
        logger, fields = _own_logger(), _own_fields(report)
    with duplicates.telling(), unseen_by_sentry():
        getattr(logger, _METHODS[report.severity])(words, **fields)


def _fields(report: Report, *, structure: bool) -> dict[str, Any]:
    fields = dict(report.attributes)
    span = identity_of(report)
    if span is not None:
        fields["trace_id"] = format_trace_id(span.trace_id)
        fields["span_id"] = format_span_id(span.span_id)
    if structure and report.exception is not None:
        fields["exception"] = structured(report.exception)
    elif report.stacktrace is not None:
        fields["exception"] = report.stacktrace
    return fields


# The program's structlog.


def _structlog_is_set_up() -> bool:
    """Whether structlog is the program's. An instrumentation that only adds itself does not count."""
    if not structlog.is_configured():
        return False
    settings, processors = structlog.get_config(), _processors()
    defaults = structlog._config
    return len(processors) == len(settings["processors"]) or (
        processors,
        settings["wrapper_class"],
        settings["context_class"],
        settings["logger_factory"],
    ) != (
        list(defaults._BUILTIN_DEFAULT_PROCESSORS),
        defaults._BUILTIN_DEFAULT_WRAPPER_CLASS,
        defaults._BUILTIN_DEFAULT_CONTEXT_CLASS,
        defaults._BUILTIN_DEFAULT_LOGGER_FACTORY,
    )


def _processors() -> list[Any]:
    """The program's processors, less OpenTelemetry's, which export what they see."""
    processors = structlog.get_config()["processors"]
    return [each for each in processors if not type(each).__module__.startswith("opentelemetry.")]


def _structlog_logger() -> Any:
    """The program's in all else; in place of one whose methods are coroutines, the one that it wraps."""
    wrapper: Any = structlog.get_config()["wrapper_class"]
    if isinstance(wrapper, type) and issubclass(wrapper, structlog.stdlib.AsyncBoundLogger):
        wrapper = structlog.stdlib.BoundLogger
    return structlog.wrap_logger(
        None, processors=_processors(), wrapper_class=wrapper, logger_factory_args=(NAME,)
    )


def _wants_structure() -> bool:
    """Whether the program has its own tracebacks rendered as data."""
    return any(
        isinstance(each, structlog.processors.ExceptionRenderer)
        and isinstance(each.format_exception, structlog.tracebacks.ExceptionDictTransformer)
        for each in _processors()
    )


# The program's standard logging.


def _logging_is_set_up() -> bool:
    """Whether what our logger is told comes out somewhere, other than through OpenTelemetry."""
    ours = logging.getLogger(NAME)
    if ours.disabled:  # by `dictConfig`, which disables whatever was there before, and means nobody
        return False
    logger: logging.Logger | None = ours
    while logger is not None:
        if any(_is_output(handler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _is_output(handler: logging.Handler) -> bool:
    return not (
        isinstance(handler, logging.NullHandler)
        or is_opentelemetrys(handler)
        or type(handler).__module__.startswith(_NO_OUTPUT)
    )


def _standard_logger() -> Any:
    return structlog.wrap_logger(
        logging.getLogger(NAME),
        processors=[_without_clashes, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    )


def _in_a_line(report: Report) -> str:
    """What it was and where: most programs' format of a line shows no fields."""
    if report.exception is not None:
        message = f": {report.exception.message}" if report.exception.message else ""
        return f"{report.words}: {report.exception.type}{message}"
    function = report.attributes.get(names.CODE_FUNCTION_NAME)
    if function is None or function in report.words:
        return report.words
    file, line = (report.attributes.get(name) for name in (names.CODE_FILE_PATH, names.CODE_LINE_NUMBER))
    return f"{report.words}: {function}" + ("" if line is None else f" ({file}:{line})")


def _without_clashes(logger: Any, method: str, event: Any) -> Any:
    """Logging raises where a field is called like one of the record's own, or like one the program adds."""
    record = logging.getLogRecordFactory()(NAME, logging.INFO, "", 0, "", (), None)
    taken = {*vars(record), "message", "asctime"}
    return {name: value for name, value in event.items() if name not in taken}


# Ours, where the program has none.


def _own_logger() -> Any:
    """JSON lines, or a line for a person where a person reads; always on stderr."""
    renderer: Any = structlog.processors.JSONRenderer(_dumps)
    return structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else renderer,
        ],
        wrapper_class=structlog.BoundLogger,
        context_class=dict,
    )


def _own_fields(report: Report) -> dict[str, Any]:
    terminal = sys.stderr.isatty()
    fields = _fields(report, structure=not terminal)
    if terminal and report.name == names.EXCEPTION:  # asyncio's own handler has just printed it there
        fields.pop("exception", None)
    return fields


def _dumps(event: Any, **options: Any) -> str:
    return json.dumps(event, **{"default": repr, **options})
