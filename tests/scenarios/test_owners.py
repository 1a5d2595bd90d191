"""A failure is exported once, whatever else there is that exports failures, and whichever came first."""

from __future__ import annotations

import re
import sys

import pytest

from aiotel.testing import Receiver

from ..cli.processes import Outcome, run

PROGRAM = """
import asyncio, gc, logging, sys
import structlog
from opentelemetry import _logs
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.instrumentation.exceptions import UnhandledExceptionInstrumentor
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.instrumentation.structlog import StructlogInstrumentor
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
import aiotel

loop_name, order, *options = sys.argv[1:]
provider = LoggerProvider(shutdown_on_exit=False)
provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
_logs.set_logger_provider(provider)

def theirs():
    UnhandledExceptionInstrumentor().instrument()
    LoggingInstrumentor().instrument()
    StructlogInstrumentor().instrument()
    if "sdk" in options:
        logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))

def ours():
    aiotel.instrument()

class BadError(Exception):
    pass

async def fails():
    raise BadError("no such order")

async def lose_a_task():
    asyncio.create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()

def fail_in_a_callback():
    raise BadError("callback")

async def main():
    if order == "inside":
        theirs()
    await lose_a_task()
    asyncio.get_running_loop().call_soon(fail_in_a_callback)
    await asyncio.sleep(0.01)
    if "uninstrumented" in options:
        aiotel.uninstrument()
        await lose_a_task()

def loop_factory():
    if loop_name == "uvloop":
        import uvloop
        return uvloop.new_event_loop()
    loop = asyncio.new_event_loop()
    if loop_name == "eager":
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop

if "configured" in options:  # structlog that ends in the standard library, which ends in OpenTelemetry
    structlog.configure(
        processors=[structlog.stdlib.add_logger_name, structlog.processors.JSONRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
if "stdlib" in options:
    logging.basicConfig(format="%(name)s|%(message)s|%(exc_info)s", stream=sys.stdout)
if order == "theirs first":
    theirs()
ours()
if order == "ours first":
    theirs()
with asyncio.Runner(loop_factory=loop_factory) as runner:
    runner.run(main())
if "own" in options:  # what the program logs by itself is exported as ever
    logging.getLogger("asyncio").error("a line of another sort")
    logging.getLogger("shop").error("a line of the program's")
aiotel.uninstrument()
print(sorted(str(each) for handler in logging.getLogger().handlers for each in handler.filters))
"""

LOOPS = ["asyncio", "uvloop", "eager"]
ORDERS = ["theirs first", "ours first", "inside"]


def _run(loop: str, order: str, *options: str) -> tuple[Outcome, list[tuple[str, str, str]]]:
    """What the program said, and of each log that came: scope, event, message of the exception."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    if loop == "eager" and sys.version_info < (3, 12):
        pytest.skip("eager tasks came with 3.12")
    with Receiver() as receiver:
        outcome = run(
            *(sys.executable, "-c", PROGRAM, loop, order, *options),
            environ={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "AIOTEL_STALL_AFTER": "3600"},
        )
        assert outcome.status == 0, outcome.stderr
        received = [
            (log.scope, _words(log.event_name or str(log.body)), str(log.attributes.get("exception.message")))
            for log in receiver.logs
        ]
    return outcome, sorted(received)


def _words(text: str) -> str:
    return re.sub(r"<Task .*", "…", text)


EXCEPTIONS = "opentelemetry.instrumentation.exceptions"
ONCE = [("aiotel", "exception", "callback"), ("aiotel", "exception", "no such order")]


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("order", ORDERS)
def test_beside_opentelemetrys_instrumentations_each_failure_is_exported_once(loop: str, order: str) -> None:
    outcome, received = _run(loop, order, "sdk")

    assert received == ONCE
    assert outcome.stdout == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_what_their_handlers_export_of_the_program_stays(order: str) -> None:
    _, received = _run("asyncio", order, "own")

    assert received == [
        *ONCE,
        ("asyncio", "a line of another sort", "None"),
        ("shop", "a line of the program's", "None"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["theirs first", "ours first"])
@pytest.mark.parametrize("configured", [(), ("configured",)])
def test_what_the_programs_own_logging_shows_of_us_is_not_exported_again(
    order: str, configured: tuple[str, ...]
) -> None:
    outcome, received = _run("asyncio", order, "sdk", "stdlib", *configured)

    assert received == ONCE
    shown = [
        line.partition("|")[0] for line in outcome.stdout.splitlines() if "Exception in callback" in line
    ]
    assert shown == ["asyncio", "aiotel"]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["theirs first", "ours first"])
def test_once_aiotel_is_gone_their_instrumentations_work_as_before(order: str) -> None:
    _, received = _run("asyncio", order, "uninstrumented")

    assert received == [
        *ONCE,
        ("asyncio", "Task exception was never retrieved\nfuture: …", "no such order"),
        (EXCEPTIONS, "Task exception was never retrieved", "no such order"),
    ]
