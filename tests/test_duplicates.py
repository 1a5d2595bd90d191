"""OpenTelemetry's logging handlers do not export what aiotel tells itself, and export all else."""

from __future__ import annotations

import asyncio
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider

import aiotel
from aiotel._duplicates import Duplicates

from .conftest import Loops, Telemetry


class BadError(Exception):
    """A failure with a module."""


class ChildHandler(LoggingHandler):
    """As programs make them, to add something."""


def _sdk_handler(provider: LoggerProvider) -> logging.Handler:
    from opentelemetry.sdk._logs import LoggingHandler as Deprecated

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Deprecated(logger_provider=provider)


HANDLERS: list[Callable[[LoggerProvider], logging.Handler]] = [
    lambda provider: LoggingHandler(logger_provider=provider),
    lambda provider: ChildHandler(logger_provider=provider),
    _sdk_handler,
]


@pytest.fixture(params=HANDLERS, ids=["contrib's", "a child of it", "the SDK's"])
def handler(request: pytest.FixtureRequest, telemetry: Telemetry) -> Iterator[logging.Handler]:
    """Each handler of OpenTelemetry's, which nobody has added yet."""
    made: logging.Handler = request.param(telemetry.logger_provider)
    yield made
    for logger in (logging.getLogger(), logging.getLogger("asyncio")):
        logger.removeHandler(made)


def _fails() -> None:
    raise BadError


async def fail_in_a_callback() -> None:
    asyncio.get_running_loop().call_soon(_fails)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def _exported(telemetry: Telemetry) -> list[str]:
    return [log.event_name or str(log.body).partition("\n")[0] for log in telemetry.logs]


@pytest.mark.parametrize("where", ["", "asyncio"])
@pytest.mark.parametrize("late", [False, True])
def test_a_failure_is_exported_once_wherever_and_whenever_the_handler_was_added(
    loops: Loops, telemetry: Telemetry, handler: logging.Handler, where: str, late: bool
) -> None:
    async def main() -> None:
        if late:
            await fail_in_a_callback()
            logging.getLogger(where).addHandler(handler)
        await fail_in_a_callback()

    if not late:
        logging.getLogger(where).addHandler(handler)
    telemetry.start()
    loops.run(main())

    assert telemetry.session is not None
    assert telemetry.session.close(timeout=30)
    assert _exported(telemetry)[0] == "exception"
    scopes = [log.instrumentation_scope for log in telemetry.log_exporter.get_finished_logs()]
    assert {scope.name for scope in scopes if scope is not None} == {"aiotel"}


def test_other_handlers_get_everything(
    telemetry: Telemetry, handler: logging.Handler, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger().addHandler(handler)
    telemetry.start()
    asyncio.run(fail_in_a_callback())

    assert [record.name for record in caplog.records] == ["asyncio"]
    assert _exported(telemetry) == ["exception"]


def test_what_fails_while_a_failure_is_handled_is_another_failure(
    telemetry: Telemetry, handler: logging.Handler
) -> None:
    def broken(loop: Any, context: Any) -> None:
        logging.getLogger("asyncio").error("by hand")
        raise RuntimeError("the program's handler")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(broken)
        await fail_in_a_callback()

    logging.getLogger().addHandler(handler)
    telemetry.start()
    asyncio.run(main())

    assert sorted(_exported(telemetry)) == ["Unhandled error in exception handler", "by hand", "exception"]


def test_what_aiotel_does_not_tell_is_exported_as_ever(
    telemetry: Telemetry, handler: logging.Handler
) -> None:
    async def main() -> None:
        context = {"message": "by the book", "exception": asyncio.CancelledError()}
        asyncio.get_running_loop().call_exception_handler(context)

    logging.getLogger().addHandler(handler)
    telemetry.start()
    asyncio.run(main())

    assert _exported(telemetry) == ["by the book"]


def test_what_has_no_exception_is_exported_once(telemetry: Telemetry, handler: logging.Handler) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "nothing was raised"})

    logging.getLogger().addHandler(handler)
    telemetry.start()
    asyncio.run(main())

    assert _exported(telemetry) == ["exception"]


def test_what_has_no_exception_is_told_on_its_own_thread_only(
    telemetry: Telemetry, handler: logging.Handler
) -> None:
    def log(text: str) -> None:
        logging.getLogger("asyncio").error(text)

    duplicates = Duplicates()
    logging.getLogger().addHandler(handler)
    outer = duplicates.begin(None)
    inner = duplicates.begin(None)
    duplicates.end(inner)
    log("here")
    thread = threading.Thread(target=log, args=["on another thread"])
    thread.start()
    thread.join()
    duplicates.end(outer)
    log("afterwards")
    duplicates.close()

    assert _exported(telemetry) == ["on another thread", "afterwards"]


def test_handlers_are_left_as_they_were(telemetry: Telemetry, handler: logging.Handler) -> None:
    logging.getLogger().addHandler(handler)
    telemetry.start()
    asyncio.run(fail_in_a_callback())
    filtered = list(handler.filters)
    aiotel.uninstrument()
    asyncio.run(fail_in_a_callback())

    assert len(filtered) == 1
    assert handler.filters == []
    assert [name.partition("(")[0] for name in _exported(telemetry)] == [
        "exception",
        "Exception in callback _fails",
    ]
