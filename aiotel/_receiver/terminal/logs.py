"""Show a log record: how bad, what, and where the program failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ..._signals import names
from ..tracebacks import Folded, Frame, short_path, shorten
from . import text as words
from .traces import SERVICE_NAME, exception

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..received import ReceivedLog
    from .text import Glyphs

CODE_STACKTRACE = "code.stacktrace"

_BODY_LIMIT = 500
_STACK_LINES = 40
_FOREIGN_LINES = 12
_SEVERITIES = (
    (21, "FATAL", "bold red reverse"),
    (17, "ERROR", "bold red"),
    (13, "WARN", "yellow"),
    (9, "INFO", "green"),
    (5, "DEBUG", "dim"),
    (1, "TRACE", "dim"),
    (0, "LOG", ""),
)
# Places: function, file and line. What a log is about is told by its line, where that is another function's.
_DROPPED = (names.COROUTINE_DROPPED_FUNCTION, names.CODE_FILE_PATH, names.CODE_LINE_NUMBER)
_PLACES = {
    "defined": ("", names.COROUTINE_DEFINED_FILE, names.COROUTINE_DEFINED_LINE),
    "created": (names.TASK_CREATED_FUNCTION, names.TASK_CREATED_FILE, names.TASK_CREATED_LINE),
    "suspended": (names.TASK_SUSPENDED_FUNCTION, names.TASK_SUSPENDED_FILE, names.TASK_SUSPENDED_LINE),
}
# Told in words of their own.
_TOLD = {
    names.EXCEPTION_TYPE,
    names.EXCEPTION_MESSAGE,
    names.EXCEPTION_STACKTRACE,
    *(name for place in _PLACES.values() for name in place),
    CODE_STACKTRACE,
    names.DEADLOCK_GRAPH,
    names.DEADLOCK_TASKS,
    names.DEADLOCK_VICTIMS,
}


def lines(log: ReceivedLog, *, glyphs: Glyphs = words.UNICODE) -> Iterator[tuple[int, Text]]:
    """The lines of a log record, each with the columns to indent it by: they may need to be wrapped."""
    yield 0, _headline(log)
    yield from _below(log)
    error = exception(log.attributes)
    if error and error != words.value(log.body):
        yield 4, Text(error, "red")
    yield from [*_stack(log, glyphs)][-_STACK_LINES:]
    for told in (_attributes(log), *_places(log), _where(log)):
        if told:
            yield 4, Text(told, "dim")


def _headline(log: ReceivedLog) -> Text:
    label, style = next(
        (label, style) for least, label, style in _SEVERITIES if log.severity_number >= least or not least
    )
    if not log.severity_number and log.severity_text:
        label = words.neutral(log.severity_text, limit=8)
    text = Text.assemble(
        (words.time_of_day(log.time_ns or log.observed_time_ns), "dim"), " ", (f"{label:<5} ", style)
    )
    service = log.resource.get(SERVICE_NAME)
    text.append(f"{words.value(service, limit=40)}  " if service else "", "cyan")
    text.append(f"{words.neutral(log.event_name, limit=100)}  " if log.event_name else "", "bold")
    body = _body(log)[0]
    return text.append(words.value(body, limit=_BODY_LIMIT) if body is not None else "")


def _body(log: ReceivedLog) -> tuple[Any, list[str]]:
    """The first line of what it says, and the others."""
    if not isinstance(log.body, str) or "\n" not in log.body:
        return log.body, []
    first, *others = log.body.splitlines()
    return first, others[:_STACK_LINES]


def _below(log: ReceivedLog) -> Iterator[tuple[int, Text]]:
    for line in _body(log)[1]:
        text = line.strip()
        if text:
            yield 2 + len(line) - len(line.lstrip()), Text(words.neutral(text, limit=_BODY_LIMIT))


def _stack(log: ReceivedLog, glyphs: Glyphs) -> Iterator[tuple[int, Text]]:
    stack = log.attributes.get(names.EXCEPTION_STACKTRACE) or log.attributes.get(CODE_STACKTRACE) or ""
    here = str(Path.cwd())
    for part in _without_the_exception(shorten(str(stack)), log):
        match part:
            case Frame():
                place = f"{short_path(part.file, here=here)}:{part.line}"
                yield 6, Text(words.neutral(f"{place} in {part.function}" if part.function else place))
                if part.source:
                    yield 8, Text(words.neutral(part.source, limit=200), "dim")
            case Folded():
                of = f" in {words.neutral(', '.join(part.packages))}" if part.packages else ""
                yield 6, Text(f"{glyphs.more} {words.count(part.count, 'frame')}{of}", "dim")
            case other:
                yield 6, Text(words.neutral(other, limit=300), "italic")


def _without_the_exception(parts: list[Frame | Folded | str], log: ReceivedLog) -> list[Frame | Folded | str]:
    """The traceback without the exception itself, in however many lines: it has been told above.

    Python ends with it; most other languages, whose lines we do not understand, begin with it.
    """
    kind = str(log.attributes.get(names.EXCEPTION_TYPE) or "")
    told = {kind, kind.rpartition(".")[2]} - {""}
    if all(isinstance(part, str) for part in parts):
        starts = parts and str(parts[0]).partition(":")[0] in told
        return parts[1 if starts else 0 : _FOREIGN_LINES]
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if not isinstance(part, str):
            break
        if part.partition(":")[0] in told:
            return parts[:index]
    return parts


def _attributes(log: ReceivedLog) -> str:
    dropped = _DROPPED if names.COROUTINE_DROPPED_FUNCTION in log.attributes else ()
    return "  ".join(
        f"{words.neutral(key, limit=100)}={words.value(value, limit=200)}"
        for key, value in log.attributes.items()
        if key not in _TOLD and key not in dropped
    )


def _places(log: ReceivedLog) -> Iterator[str]:
    """Where the coroutine or the task of this record was dropped, defined, created, suspended."""
    if names.COROUTINE_DROPPED_FUNCTION in log.attributes:
        yield _place(log, "dropped", _DROPPED)
    for verb, place in _PLACES.items():
        yield _place(log, verb, place)


def _place(log: ReceivedLog, verb: str, place: tuple[str, str, str]) -> str:
    function, file, line = (words.value(log.attributes.get(name, ""), limit=300) for name in place)
    at = f"{short_path(file, here=str(Path.cwd()))}:{line}" if file else ""
    told = f"{verb} in {function}  {at}" if function else f"{verb} at {at}" if at else ""
    return told.rstrip()


def _where(log: ReceivedLog) -> str:
    if log.trace_id is None:
        return ""
    return f"trace {log.trace_id}" + (f"  span {log.span_id}" if log.span_id else "")
