"""A failure is told where the program's own logs go, with its request ids and its sort of traceback."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.instrumentation.structlog import StructlogInstrumentor, StructlogProcessor

from aiotel._complaints import complaints

from ..conftest import Loops, Telemetry

EVENT = "Task exception was never retrieved"
LINE = f"{EVENT}: {__name__}.BadError: no such order"
"""What it says in a line, for those who show no fields."""
REQUEST_ID = contextvars.ContextVar("request_id", default="none")


class BadError(Exception):
    """A failure with a module."""


async def fails() -> None:
    structlog.contextvars.bind_contextvars(request_id="r-1")
    REQUEST_ID.set("r-1")
    raise BadError("no such order")


async def main() -> None:
    asyncio.create_task(fails())  # type: ignore[unused-awaitable]  # noqa: RUF006  # nobody looks at it
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()


class Lines(logging.Handler):
    """A handler as programs have it: keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "aiotel":
            record.request_id = REQUEST_ID.get()
            self.records.append(record)


@pytest.fixture(autouse=True)
def _as_it_was(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What a test sets up is its own; asyncio need not print."""
    caplog.set_level(logging.CRITICAL, logger="asyncio")
    factory = logging.getLogRecordFactory()
    yield
    structlog.reset_defaults()
    logging.setLogRecordFactory(factory)


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Standard logging as a program sets it up."""
    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def _told_to_structlog(telemetry: Telemetry, *processors: Any, **settings: Any) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []

    def keep(logger: Any, method: str, event: Any) -> Any:
        told.append({**event, "method": method})
        raise structlog.DropEvent

    structlog.configure(processors=[*processors, keep], **settings)
    telemetry.start()
    asyncio.run(main())
    assert telemetry.session is not None
    assert telemetry.session.flush(timeout=30)
    return told


def _own_lines(telemetry: Telemetry, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    telemetry.start()
    asyncio.run(main())
    assert telemetry.session is not None
    assert telemetry.session.flush(timeout=30)
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


# The program's structlog.


def test_the_programs_structlog_finds_its_request_id(loops: Loops, telemetry: Telemetry) -> None:
    told: list[Any] = []

    def keep(logger: Any, method: str, event: Any) -> Any:
        told.append((event["event"], event.get("request_id"), method))
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, keep])
    telemetry.start()
    loops.run(main())

    # Before 3.12 nobody can ask a task for its context.
    request_id = "r-1" if sys.version_info >= (3, 12) else None
    assert telemetry.session is not None
    assert telemetry.session.flush(timeout=30)
    assert told == [(EVENT, request_id, "error")]


def test_the_programs_structlog_gets_the_traceback_as_text(telemetry: Telemetry) -> None:
    [event] = _told_to_structlog(telemetry)

    assert event["exception"].splitlines()[-1] == f"{__name__}.BadError: no such order"


def test_where_the_program_has_its_tracebacks_as_data_it_gets_ours_so(telemetry: Telemetry) -> None:
    [event] = _told_to_structlog(telemetry, structlog.processors.dict_tracebacks)

    [stack] = event["exception"]
    assert (stack["exc_type"], stack["exc_value"]) == ("BadError", "no such order")
    assert [frame["name"] for frame in stack["frames"]] == ["fails"]


def test_a_program_that_has_set_but_a_level_has_set_up_its_structlog(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    assert _own_lines(telemetry, capsys) == []


def test_a_logger_with_coroutines_for_methods_is_told_without_one(telemetry: Telemetry) -> None:
    settings = {
        "wrapper_class": structlog.stdlib.AsyncBoundLogger,
        "logger_factory": structlog.stdlib.LoggerFactory(),
    }
    [event] = _told_to_structlog(telemetry, structlog.stdlib.add_logger_name, **settings)

    assert (event["event"], event["logger"]) == (EVENT, "aiotel")


@pytest.mark.parametrize("order", ["before", "after"])
def test_opentelemetrys_processor_in_the_programs_chain_is_passed_by(
    telemetry: Telemetry, order: str
) -> None:
    instrumentor = StructlogInstrumentor()
    if order == "before":
        instrumentor.instrument(logger_provider=telemetry.logger_provider)
    told: list[str] = []

    def keep(logger: Any, method: str, event: Any) -> Any:
        told.append(event["event"])
        return event

    structlog.configure(processors=[keep, structlog.processors.JSONRenderer()])
    if order == "after":
        instrumentor.instrument(logger_provider=telemetry.logger_provider)
    try:
        processors = structlog.get_config()["processors"]
        telemetry.start()
        asyncio.run(main())
        logs = telemetry.logs
    finally:
        instrumentor.uninstrument()

    assert any(isinstance(each, StructlogProcessor) for each in processors)
    assert told == [EVENT]
    assert [log.event_name for log in logs] == ["exception"]


def test_an_instrumentation_alone_does_not_make_structlog_the_programs(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    StructlogInstrumentor().instrument(logger_provider=telemetry.logger_provider)
    try:
        lines = _own_lines(telemetry, capsys)
    finally:
        StructlogInstrumentor().uninstrument()

    assert [line["event"] for line in lines] == [EVENT]


# The program's standard logging.


def test_a_program_with_standard_logging_gets_a_record_with_fields(
    loops: Loops, telemetry: Telemetry, lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.start()
    loops.run(main())

    span = telemetry.span("fails")
    [record] = lines.records
    fields = vars(record)
    assert span.context is not None
    assert (record.getMessage(), record.levelname) == (LINE, "ERROR")
    assert fields["exception.type"] == f"{__name__}.BadError"
    assert fields["trace_id"] == f"{span.context.trace_id:032x}"
    assert fields["exception"].splitlines()[-1] == f"{__name__}.BadError: no such order"
    assert fields["request_id"] == ("r-1" if sys.version_info >= (3, 12) else "none")
    assert capsys.readouterr().err == ""


def test_what_the_program_puts_into_every_record_stays_its_own(telemetry: Telemetry, lines: Lines) -> None:
    factory = logging.getLogRecordFactory()

    def with_trace_id(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        record.trace_id = "the program's"
        return record

    logging.setLogRecordFactory(with_trace_id)
    telemetry.start()
    asyncio.run(main())
    telemetry.logs  # noqa: B018  # it waits

    [record] = lines.records
    assert vars(record)["trace_id"] == "the program's"
    assert vars(record)["exception.message"] == "no such order"


@pytest.mark.parametrize("where", ["aiotel", ""])
def test_a_handler_that_prints_nothing_is_no_logging(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    handler = logging.NullHandler()
    logging.getLogger(where).addHandler(handler)
    try:
        told = _own_lines(telemetry, capsys)
    finally:
        logging.getLogger(where).removeHandler(handler)

    assert [line["event"] for line in told] == [EVENT]


def test_a_handler_of_our_logger_alone_is_enough(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    handler, logger = Lines(), logging.getLogger("aiotel")
    logger.addHandler(handler)
    try:
        told = _own_lines(telemetry, capsys)
    finally:
        logger.removeHandler(handler)

    assert told == []
    assert [record.getMessage() for record in handler.records] == [LINE]


def test_a_logger_that_the_programs_configuration_has_disabled_in_passing_loses_nothing(
    telemetry: Telemetry, lines: Lines, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("aiotel"), "disabled", True)
    told = _own_lines(telemetry, capsys)

    assert [line["event"] for line in told] == [EVENT]
    assert lines.records == []


def test_complaints_are_another_logger_than_reports(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="aiotel")
    complaints.add("export", "nobody listens")
    complaints.say()

    assert [record.name for record in caplog.records] == ["aiotel.complaints"]


# Ours.


def test_our_own_lines_have_the_traceback_as_data(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    [line] = _own_lines(telemetry, capsys)

    [stack] = line["exception"]
    assert (stack["exc_type"], stack["exc_value"]) == ("BadError", "no such order")
    assert [(frame["filename"], frame["name"]) for frame in stack["frames"]] == [(__file__, "fails")]


def _on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]  # that is all there is to one
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_on_a_terminal_a_failure_is_a_line_below_what_asyncio_has_printed(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = _on_a_terminal(monkeypatch)
    telemetry.start()
    asyncio.run(main())
    telemetry.logs  # noqa: B018  # it waits

    told = terminal.getvalue()
    assert EVENT in told
    assert "{" not in told
    assert "Traceback" not in told


def test_on_a_terminal_what_nobody_else_has_printed_has_its_traceback(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hold() -> None:
        task = asyncio.create_task(fails())
        while "Traceback" not in terminal.getvalue():  # noqa: ASYNC110  # it comes from another thread
            await asyncio.sleep(0.01)
        with pytest.raises(BadError):
            await task

    terminal = _on_a_terminal(monkeypatch)
    telemetry.start(unretrieved_after=0.05)
    asyncio.run(hold())

    assert "BadError: no such order" in terminal.getvalue()


@pytest.mark.parametrize(("severity", "lines"), [("debug", 0), ("info", 1)])
def test_what_is_only_for_debugging_is_not_printed(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str], severity: str, lines: int
) -> None:
    telemetry.start(severity=lambda failure: severity)
    asyncio.run(main())

    assert [log.severity_text for log in telemetry.logs] == [severity.upper()]
    assert len([line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]) == lines


def test_a_line_of_ours_is_written_in_one_piece(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Written:
        def __init__(self) -> None:
            self.pieces: list[str] = []

        def write(self, text: str) -> None:
            self.pieces.append(text)

        def flush(self) -> None:
            pass

        def isatty(self) -> bool:
            return False

    written = Written()
    telemetry.start()
    asyncio.run(main())
    monkeypatch.setattr(sys, "stderr", written)
    telemetry.logs  # noqa: B018  # it waits

    assert [piece[:1] + piece[-2:] for piece in written.pieces] == ["{}\n"]
